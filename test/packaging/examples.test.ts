import assert from 'node:assert/strict'
import { copyFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { root } from '../../scripts/lib/paths.mjs'
import { nodeBinary, nodeVersions, type Project, project, succeed } from './project.ts'

const examples = readdirSync(join(root, 'examples')).filter(name => name.endsWith('.ts'))
const tsx = import.meta.resolve('tsx')

let installed: Project
before(async () => {
  installed = await project()
  for (const name of examples)
    copyFileSync(join(root, 'examples', name), join(installed.folder, name.replace(/\.ts$/, '.mts')))
})
after(() => installed?.remove())

test('every example is named in their README', async () => {
  const { readFileSync } = await import('node:fs')
  const text = readFileSync(join(root, 'examples', 'README.md'), 'utf8')
  for (const name of examples) assert.ok(text.includes(`(${name})`), name)
})

for (const name of examples) {
  for (const [version, variable] of nodeVersions) {
    test(`${name} runs as written on Node ${version}`, async () => {
      const file = name.replace(/\.ts$/, '.mts')
      const output = await succeed(await nodeBinary(version, variable), ['--import', tsx, file], installed.folder, {
        KAFKA: '',
      })
      assert.notEqual(output.trim(), '', 'it says what it did')
    })
  }
}
