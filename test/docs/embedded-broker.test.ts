/** The examples of docs/embedded-broker.md do what their comments say. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Authority } from '../../scripts/kafka-secure.mjs'
import { root } from '../../scripts/lib/paths.mjs'
import { Broker } from '../../ts/broker.ts'
import { Kafka } from '../../ts/index.ts'
import { unique } from '../support.ts'

const text = readFileSync(join(root, 'docs', 'embedded-broker.md'), 'utf8')
const section = (name: string) => text.split(/^## /m).find(part => part.startsWith(`${name}\n`)) ?? ''
const AsyncFunction = (async () => {}).constructor as new (
  ...source: string[]
) => (...given: unknown[]) => Promise<void>

describe('security', () => {
  const examples = [...section('Security').matchAll(/^\*\*(.+?)\*\*[\s\S]*?^```js\n([\s\S]*?)^```$/gm)]
  let given: Record<string, unknown>
  let dir: string

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'dohle-docs-'))
    const authority = await new Authority(dir).make()
    const { cert, key } = await authority.issue('server', ['DNS:localhost', 'IP:127.0.0.1'])
    const orders = await authority.issue('orders')
    given = { Broker, Kafka, cert, key, ca: authority.read('ca.pem'), clientCert: orders.cert, clientKey: orders.key }
  })
  after(() => rmSync(dir, { recursive: true, force: true }))

  test('there is an example of each kind', () => {
    assert.equal(examples.length, 3)
  })

  for (const [, what, program] of examples) {
    test(what!, async () => {
      const names = Object.keys(given).join(', ')
      const printed: string[] = []
      const console = { log: (...values: unknown[]) => printed.push(values.join(' ')) }
      // As a file: `await using` is younger than some of the engines that the tests run on.
      const file = join(dir, `${what!.replace(/\W/g, '')}.mts`)
      writeFileSync(file, `export const run = async given => {\nconst { ${names}, console } = given\n${program}}`)
      const { run } = (await import(pathToFileURL(file).href)) as { run: (given: object) => Promise<void> }
      await run({ ...given, console })
      const expected = [...program!.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(found => found[1])
      assert.deepEqual(printed, expected)
    })
  }
})

describe('faults', () => {
  const examples = [...section('Faults').matchAll(/^\*\*(.+?)\*\*[\s\S]*?^```js\n([\s\S]*?)^```$/gm)]
  const kinds = new Set(
    examples.flatMap(([, , program]) => [...program!.matchAll(/kind: '(\w+)'/g)].map(found => found[1])),
  )

  test('every kind has an example', () => {
    const operations = readFileSync(join(root, 'ts', 'generated', 'operations.ts'), 'utf8')
    const [, action] = /^export type FaultAction =([\s\S]*?)^\/\*\*/m.exec(operations) ?? []
    const all = [...(action ?? '').matchAll(/kind: '(\w+)'/g)].map(found => found[1])
    assert.ok(all.length >= 8, `${all}`)
    assert.deepEqual(kinds, new Set(all))
  })

  for (const [, what, program] of examples) {
    test(what!, async () => {
      await using broker = await Broker.start()
      await using kafka = new Kafka({ brokers: broker.address })
      await using producer = kafka.producer()
      const topic = unique('fault')
      const admin = kafka.admin()
      await admin.createTopics([{ topic, partitions: 1 }])
      const written = async () =>
        (await admin.listOffsets([{ topic, partition: 0, offset: { kind: 'latest' } }]))[0]?.offset
      const printed: string[] = []
      const console = { log: (...values: unknown[]) => printed.push(values.join(' ')) }
      const given = { Kafka, broker, kafka, producer, topic, written, console }
      await new AsyncFunction(...Object.keys(given), program!)(...Object.values(given))
      const expected = [...program!.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(found => found[1])
      assert.deepEqual(printed, expected)
    })
  }
})
