/** What the tests of the TypeScript API share: one embedded broker per file, and topics of unique names. */
import { after, before } from 'node:test'
import { Broker, type BrokerOptions } from '../ts/broker.ts'
import { type Batch, type Consumer, type ConsumerOptions, Kafka, type KafkaError, type Message } from '../ts/index.ts'

/** A broker and a client of it, made before the tests of the calling suite and closed after them. */
export function setUp(options: BrokerOptions = {}) {
  const context = {} as { broker: Broker; kafka: Kafka }
  before(async () => {
    context.broker = await Broker.start(options)
    context.kafka = new Kafka({ brokers: context.broker.address })
  })
  after(async () => {
    await context.kafka.close()
    await context.broker.stop()
  })
  return context
}

let count = 0

/** A name that no other test uses. */
export function unique(name: string): string {
  return `${name}-${process.pid}-${++count}`
}

/** Numbers below a bound, the same in every run, so that a failure can be run again. */
export function random(seed: number) {
  let x = seed
  return (below: number) => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) % below
  }
}

/** A topic with `records` records per partition, whose values are their offsets. */
export async function numbers(kafka: Kafka, records: number, partitions = 1): Promise<string> {
  const topic = unique('numbers')
  await kafka.admin().createTopics([{ topic, partitions }])
  const producer = kafka.producer()
  const messages = Array.from({ length: records * partitions }, (_, i) => ({
    partition: i % partitions,
    value: String(Math.floor(i / partitions)),
  }))
  await producer.sendBatch({ topic, messages })
  await producer.close()
  return topic
}

/** A consumer without a group, at the start of the topic's partitions. After a seek it does not wait long for an empty fetch. */
export async function assigned(kafka: Kafka, topic: string, partitions = 1): Promise<Consumer> {
  const consumer = kafka.consumer({ fetchMaxWaitMs: 20 })
  await consumer.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 })))
  return consumer
}

/** The next `count` records of a consumer, as `partition:value`. */
export async function take(from: AsyncIterable<Message>, count: number): Promise<string[]> {
  const taken: string[] = []
  for await (const message of from) {
    taken.push(`${message.partition}:${message.text()}`)
    if (taken.length === count) break
  }
  return taken
}

/** For `assert.rejects` and `assert.throws`: an error of this code, and a message if wanted. */
export function code(expected: string, message?: RegExp) {
  return (error: unknown): boolean => {
    const { code, message: text } = error as KafkaError
    if (code !== expected) throw new Error(`expected ${expected}, got ${code}: ${text}`, { cause: error })
    if (message !== undefined && !message.test(text)) throw new Error(`unexpected message: ${text}`, { cause: error })
    return true
  }
}

/** The values of a batch. */
export function values(batch: Batch): (string | null)[] {
  return [...batch].map(message => message.text())
}

/** A member of a group of its own, and what that group has committed for partition 0. */
export async function member(kafka: Kafka, topic: string, options: ConsumerOptions = {}) {
  const groupId = unique('group')
  const consumer = kafka.consumer({ groupId, autoOffsetReset: 'earliest', enableAutoCommit: false, ...options })
  await consumer.subscribe(topic)
  const committed = async () => (await consumer.committed([{ topic, partition: 0 }]))[0]?.offset ?? null
  return { consumer, committed, groupId }
}

/** The records of partition 0 between two offsets, as `take` gives those of `numbers`. */
export const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `0:${from + i}`)

/** A promise, and what resolves it. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>(own => {
    resolve = own
  })
  return { promise, resolve }
}
