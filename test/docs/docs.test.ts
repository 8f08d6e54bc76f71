import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../../scripts/lib/paths.mjs'

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'examples/README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true })
    .map(name => `docs/${name}`)
    .filter(name => name.endsWith('.md')),
]

for (const file of documents) {
  const text = readFileSync(join(root, file), 'utf8')

  test(`what ${file} links to is there`, () => {
    for (const [, link] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      assert.ok(existsSync(join(root, file, '..', link as string)), link)
    }
  })

  test(`the paths that ${file} names are there`, () => {
    for (const [, path] of text.matchAll(/`((?:native|ts|test|scripts|docs|examples|bench)\/[\w./-]+)`/g)) {
      if (path?.includes('NN_')) continue
      assert.ok(existsSync(join(root, path as string)), path)
    }
  })

  test(`the npm scripts that ${file} names are there`, () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    for (const [, name] of text.matchAll(/\bnpm run ([\w:-]+)/g)) assert.ok(scripts[name as string], name)
  })
}
