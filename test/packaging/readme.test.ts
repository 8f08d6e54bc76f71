import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { root } from '../../scripts/lib/paths.mjs'
import { nodeBinary, nodeVersions, type Project, project, succeed } from './project.ts'

/** The code blocks of a Markdown file in one language. */
function blocks(file: string, language: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(match => match[1] === language)
    .map(match => match[2] as string)
}

const programs = blocks('README.md', 'ts').filter(block => block.includes("from 'dohle'"))
const fragments = blocks('README.md', 'ts').filter(block => !block.includes("from 'dohle'"))

let installed: Project
before(async () => {
  installed = await project()
})
after(() => installed?.remove())

const tsx = import.meta.resolve('tsx')

for (const [version, variable] of nodeVersions) {
  test(`README's program runs as written on Node ${version}`, async () => {
    assert.equal(programs.length, 1)
    const binary = await nodeBinary(version, variable)
    writeFileSync(join(installed.folder, 'hello.mts'), programs[0] as string)
    const output = await succeed(binary, ['--import', tsx, 'hello.mts'], installed.folder)
    const [first, ...read] = output.trimEnd().split('\n')
    assert.match(first as string, /^written to partition \d+ at offset 0$/)
    assert.deepEqual(read.toSorted(), ["c-1 { item: 'tea' }", "c-2 { item: 'mug' }"])
  })
}

test('on Node 24 it runs without any tool, types and all', async () => {
  const [version, variable] = nodeVersions.at(-1) as (typeof nodeVersions)[number]
  writeFileSync(join(installed.folder, 'plain.mts'), programs[0] as string)
  assert.match(
    await succeed(await nodeBinary(version, variable), ['plain.mts'], installed.folder),
    /written to partition/,
  )
})

test("README's fragments run behind its imports", async () => {
  for (const [at, fragment] of fragments.entries()) {
    const file = `fragment${at}.mts`
    writeFileSync(join(installed.folder, file), `import { Kafka } from 'dohle'\n${fragment}\nawait kafka.close()\n`)
    await succeed(process.execPath, ['--import', tsx, file], installed.folder)
  }
})

test('the program of README has twenty lines', () => {
  const lines = (programs[0] as string).split('\n').filter(line => line.trim() !== '')
  assert.ok(lines.length <= 20, `${lines.length} lines`)
})
