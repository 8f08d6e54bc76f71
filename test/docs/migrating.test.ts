/** The programs of docs/migrating.md run as they stand, on a broker of their own; and what it says of options holds. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { root } from '../../scripts/lib/paths.mjs'
import { run } from '../../scripts/lib/run.mjs'
import { Broker } from '../../ts/broker.ts'

const text = readFileSync(join(root, 'docs', 'migrating.md'), 'utf8')
const programs = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, program]) => program!)
const options = readFileSync(join(root, 'docs', 'configuration.md'), 'utf8')

let broker: Broker
before(async () => {
  broker = await Broker.start({ partitions: 3 })
})
after(() => broker.stop())

/** What each program prints, in its order. */
const printed = [
  /^[012]\n$/,
  /^$/,
  /^payments \d 0 tea\n$/,
  /^refunds \d 0 tea\n$/,
  /^true\n$/,
  /^k 1 0\nk 2 1\nk 3 2\n$/,
]

test('there is an expectation for each program', () => assert.equal(programs.length, printed.length))

for (const [at, program] of programs.entries()) {
  test(`program ${at + 1} runs: ${program.split('\n').find(line => line.includes('await')) ?? ''}`, async () => {
    assert.ok(program.includes("'localhost:9092'"))
    // Beside this file, so that the package finds itself.
    const file = join(import.meta.dirname, `migrating-${process.pid}-${at}.mts`)
    writeFileSync(file, program.replaceAll('localhost:9092', broker.address))
    try {
      const output = await run(process.execPath, ['--import=tsx', file], { capture: true, cwd: root })
      assert.match(String(output), printed[at]!)
    } finally {
      rmSync(file, { force: true })
    }
  })
}

test('the options that it names as ours exist', () => {
  const named = [...text.matchAll(/`(\w+(?:Ms|Bytes|Memory|Strategy|Reset|Commit|Level|Size))\b/g)].map(
    ([, name]) => name!,
  )
  assert.ok(named.length > 20, `${named.length} names`)
  const known = new Set([...options.matchAll(/^\| `[^`]+` \| `(\w+)`/gm)].map(([, name]) => name!))
  const theirs = ['autoCommit', 'minBytes', 'maxBytes', 'maxWaitTimeInMs']
  const unknown = named.filter(name => !known.has(name) && !theirs.includes(name))
  assert.deepEqual(unknown, [])
})
