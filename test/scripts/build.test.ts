import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { prebuild, root } from '../../scripts/lib/paths.mjs'
import { hash, isCurrent } from '../../scripts/lib/stamp.mjs'
import { execute, succeed } from '../packaging/project.ts'

const folder = join('.cache', `build-test-${process.pid}`)
const file = (name: string): string => join(root, folder, name)

before(() => {
  mkdirSync(file('target'), { recursive: true })
  writeFileSync(file('a.ts'), 'a')
})
after(() => rmSync(join(root, folder), { recursive: true, force: true }))

test('what was built is built again only when something changed: a name, a content, a file more, a fact', () => {
  const sums = [hash([folder])]
  writeFileSync(file('a.ts'), 'b')
  sums.push(hash([folder]))
  renameSync(file('a.ts'), file('b.ts'))
  sums.push(hash([folder]))
  writeFileSync(file('c.ts'), '')
  sums.push(hash([folder]))
  sums.push(hash([folder], ['release']))
  assert.equal(new Set(sums).size, sums.length)
  writeFileSync(file(join('target', 'x')), 'what a build puts out is none of its inputs')
  assert.equal(hash([folder], ['release']), sums.at(-1))
  assert.equal(isCurrent('no such thing', sums[0], []), false)
})

test('a second build does nothing', async () => {
  const times = () => [prebuild(), 'dist/index.js', 'node_modules'].map(path => statSync(join(root, path)).mtimeMs)
  await succeed(process.execPath, ['scripts/build.mjs'], root)
  const before = times()
  const { code, stderr } = await execute(process.execPath, ['scripts/build.mjs'], root)
  assert.equal(code, 0, stderr)
  assert.equal(stderr.trim(), `build: up to date (${prebuild()}, dist/)`)
  assert.deepEqual(times(), before)
})
