/** The examples of docs/embedded-broker.md do what their comments say. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { root } from '../../scripts/lib/paths.mjs'
import { Broker } from '../../ts/broker.ts'
import { Kafka } from '../../ts/index.ts'
import { unique } from '../support.ts'

const text = readFileSync(join(root, 'docs', 'embedded-broker.md'), 'utf8')
const section = (name: string) => text.split(/^## /m).find(part => part.startsWith(`${name}\n`)) ?? ''
const AsyncFunction = (async () => {}).constructor as new (
  ...source: string[]
) => (...given: unknown[]) => Promise<void>

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
