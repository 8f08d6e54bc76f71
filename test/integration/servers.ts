/**
 * The brokers that the tests run against, a real Apache Kafka and the embedded one, and what it takes to see there what was changed:
 * Kafka's controller answers when it has decided, and its brokers know of it a little later, on a busy machine seconds later.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { type Admin, type CreatedTopic, Kafka, type NewTopic } from 'dohle'
import { Broker } from 'dohle/broker'
import { KafkaServer } from '../../scripts/kafka.mjs'
import { partitionsKnown } from '../../scripts/lib/kafka-ready.mjs'

/** A broker for the length of a test file. */
export interface Server {
  readonly bootstrap: string
  stop(): Promise<void>
}

/** The real Kafka of this test run (DOHLE_KAFKA); run by hand, a test file starts its own. */
export async function realKafka(): Promise<Server> {
  const given = process.env.DOHLE_KAFKA
  if (given) return { bootstrap: given, stop: async () => {} }
  const server = await KafkaServer.start()
  return { bootstrap: server.bootstrap, stop: () => server.stop() }
}

/** An embedded broker of this test's own, with as many partitions for new topics as the real one. */
export async function embedded(properties: Record<string, string> = {}): Promise<Server> {
  const broker = await Broker.start({ port: 0, partitions: 3, properties })
  return { bootstrap: broker.address, stop: () => broker.close() }
}

/** Both, by name: most tests run against each. */
export const servers: readonly (readonly [name: string, start: () => Promise<Server>])[] = [
  ['Apache Kafka', realKafka],
  ['the embedded broker', () => embedded()],
]

/** For what never comes, not for what is slow. */
const PATIENCE_MS = 120_000

/** Waits until `read` gives what `check` wants. */
export async function eventually<T>(read: () => Promise<T>, check: (value: T) => boolean): Promise<T> {
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const value = await read()
    if (check(value)) return value
    if (Date.now() > end) throw new Error(`it is still ${JSON.stringify(value)}`)
    await sleep(50)
  }
}

/** Waits until `read` gives exactly this. */
export async function becomes<T>(read: () => Promise<T>, expected: T): Promise<void> {
  const end = Date.now() + PATIENCE_MS
  let value = await read()
  while (!isDeepStrictEqual(value, expected) && Date.now() < end) {
    await sleep(50)
    value = await read()
  }
  assert.deepEqual(value, expected)
}

/** Waits until the broker at a listener without TLS and SASL knows so many partitions of each topic, and their leaders. */
export async function known(address: string, topics: Record<string, number>): Promise<void> {
  const [host, port] = address.split(':') as [string, string]
  await becomes(() => partitionsKnown(host, Number(port), Object.keys(topics)), topics)
}

/** Waits until these partitions are led: a broker tells that it leads one before it does. */
async function led(admin: Pick<Admin, 'listOffsets'>, topics: Record<string, number>): Promise<void> {
  const partitions = Object.entries(topics).flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition, offset: { kind: 'latest' as const } })),
  )
  await eventually(
    () => admin.listOffsets(partitions),
    found => found.every(({ error }) => !error),
  )
}

/** Waits until topics that another client has made are known, and led. */
export async function ready(bootstrap: string, topics: Record<string, number>): Promise<void> {
  await known(bootstrap, topics)
  await using kafka = new Kafka({ brokers: bootstrap })
  await led(kafka.admin(), topics)
}

/** Makes topics, and waits until every broker knows them, and their leaders lead. */
export async function created(
  admin: Pick<Admin, 'createTopics' | 'describeCluster' | 'listOffsets'>,
  topics: NewTopic[],
): Promise<CreatedTopic[]> {
  const made = await admin.createTopics(topics)
  const { brokers } = await admin.describeCluster()
  // Brokers before Kafka 2.4 do not say how many partitions they have made.
  const asked = new Map(topics.map(({ topic, partitions }) => [topic, partitions]))
  const wanted = Object.fromEntries(made.map(({ topic, partitions }) => [topic, (partitions ?? asked.get(topic))!]))
  for (const { host, port } of brokers) await known(`${host}:${port}`, wanted)
  await led(admin, wanted)
  return made
}

/** Waits until groups of any name have their coordinator: kafkajs gives up on one that has just been made. */
export async function coordinated(bootstrap: string): Promise<void> {
  await using kafka = new Kafka({ brokers: bootstrap })
  await kafka.admin().describeGroups(Array.from({ length: 40 }, () => unique('any')))
}

let counter = 0
const run = `${Date.now().toString(36)}${process.pid.toString(36)}`

/** A name that no other test uses. */
export function unique(what: string): string {
  return `${what}-${run}-${++counter}`
}
