import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { type ClientOptions, Kafka, type KafkaError, PartialFailureError, type ProducerOptions } from 'dohle'
import { Broker, type FaultRule } from 'dohle/broker'

// The runner of cases.json in TypeScript: whoever adds a language writes one like it.

type Value = string | { repeat: string; times: number }
type Fate = number | { code: string; persistence?: string }
type Step =
  | { fault: FaultRule }
  | { send: Value[]; gives: Fate[] }
  | { sendBatch: Value[]; gives: Fate[] }
  | { read: Value[] }

interface Case {
  name: string
  client?: Partial<ClientOptions>
  producer?: ProducerOptions
  steps: Step[]
}

const { cases } = JSON.parse(readFileSync(new URL('./cases.json', import.meta.url), 'utf8')) as { cases: Case[] }
const topic = 'conformance'

describe('conformance', () => {
  for (const { name, client, producer: options, steps } of cases) {
    test(name, async () => {
      const broker = await Broker.start({ partitions: 1 })
      const kafka = new Kafka({ ...client, brokers: broker.address })
      try {
        await kafka.admin().createTopics([{ topic, partitions: 1 }])
        const producer = kafka.producer(options)
        for (const step of steps) {
          if ('fault' in step) broker.faults.add(step.fault)
          else if ('send' in step) {
            // One by one: each has an answer before the next is sent.
            for (const [at, value] of step.send.entries()) {
              const sent = producer.send({ topic, value: text(value) }).then(({ offset }) => offset, fateOf)
              check(await sent, step.gives[at] as Fate, text(value))
            }
          } else if ('sendBatch' in step) {
            const messages = step.sendBatch.map(value => ({ value: text(value) }))
            const places = await producer.sendBatch({ topic, messages }).then(
              all => all.toArray().map(({ offset }) => offset),
              error => failuresOf(error, messages.length),
            )
            for (const [at, place] of places.entries())
              check(place, step.gives[at] as Fate, String(messages[at]?.value))
          } else {
            await producer.flush()
            assert.deepEqual(await read(kafka, step.read.length), step.read.map(text))
          }
        }
      } finally {
        await kafka.close({ timeout: 5_000 })
        await broker.close()
      }
    })
  }
})

const text = (value: Value): string => (typeof value === 'string' ? value : value.repeat.repeat(value.times))

const fateOf = ({ code, persistence }: KafkaError): Fate => ({ code, ...(persistence && { persistence }) })

function failuresOf(error: unknown, count: number): Fate[] {
  if (!(error instanceof PartialFailureError)) throw error
  const fates: Fate[] = Array.from({ length: count }, () => Number.NaN)
  for (const failure of error.failures) fates[failure.index] = fateOf(failure.error)
  return fates
}

function check(found: Fate, expected: Fate, value: string): void {
  if (typeof expected === 'number' || typeof found === 'number') assert.equal(found, expected, value.slice(0, 20))
  else assert.deepEqual({ ...found, ...expected }, found, value.slice(0, 20))
}

/** Everything in the topic: at least `count` records, and what follows them within a moment. */
async function read(kafka: Kafka, count: number): Promise<(string | null)[]> {
  const consumer = kafka.consumer({ enableAutoCommit: false })
  await consumer.assign([{ topic, partition: 0, offset: 'earliest' }])
  const values: (string | null)[] = []
  const enough = new AbortController()
  try {
    for await (const batch of consumer.batches({ signal: enough.signal })) {
      for (const message of batch) values.push(message.text())
      if (values.length >= count) setTimeout(() => enough.abort(), 100)
    }
  } catch (error) {
    if (!enough.signal.aborted) throw error
  }
  await consumer.close()
  return values
}
