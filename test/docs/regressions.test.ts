import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The names of all tests: what is between the quotes of `test(…)`, and functions that have `#[test]` or its like. */
function tests(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return entry.name === 'target' || entry.name === 'node_modules' ? [] : tests(path)
    if (!/\.(rs|ts)$/.test(entry.name)) return []
    const text = readFileSync(join(root, path), 'utf8')
    const rust = /#\[(?:tokio::)?test[^\]]*\]\s*(?:#\[[^\n]*\]\s*)*(?:async )?fn (\w+)/g
    const node = /\btest\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g
    return [...text.matchAll(entry.name.endsWith('.rs') ? rust : node)].map(found => found.at(-1)!)
  })
}

describe('docs/regressions.md', () => {
  const known = new Set([...tests('native'), ...tests('test')])
  const rows = readFileSync(join(root, 'docs/regressions.md'), 'utf8')
    .split('\n')
    .filter(line => /^\| (?!fault|#|---)/.test(line))

  test('names only tests that exist', () => {
    const missing = rows.flatMap(row =>
      [
        ...row
          .split('|')
          .at(-2)!
          .matchAll(/`([^`]+)`/g),
      ]
        .map(([, name]) => name!)
        .filter(name => !known.has(name)),
    )
    assert.deepEqual(missing, [])
  })

  test('has a test, a reason or a line above for every fault', () => {
    assert.ok(rows.length > 40, `${rows.length} rows`)
    const bare = rows.filter(row => !/`|—|above/.test(row.split('|').at(-2)!))
    assert.deepEqual(bare, [])
  })
})
