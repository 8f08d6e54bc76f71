/** What the tests of `dohle/kafkajs` share: an embedded broker, a client, topics with records, and a member of a group. */
import { after, before } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Broker } from '../../ts/broker.ts'
import { type Consumer, type ConsumerConfig, type ConsumerRunConfig, Kafka, logLevel } from '../../ts/kafkajs/index.ts'
import { unique } from '../support.ts'

/** A broker and a client of it, made before the tests of the calling file and closed after them. */
export function setUp() {
  const context = {} as { broker: Broker; kafka: Kafka }
  before(async () => {
    context.broker = await Broker.start({ partitions: 1 })
    context.kafka = client(context.broker.address)
  })
  after(() => context.broker.stop())
  return context
}

/** A silent client that soon tries again. */
export function client(address: string, retries = 5): Kafka {
  const retry = { initialRetryTime: 20, retries }
  return new Kafka({ clientId: 'tests', brokers: [address], logLevel: logLevel.NOTHING, retry })
}

/** A topic with the values `0` to `count - 1` in each partition. */
export async function numbers(kafka: Kafka, count: number, partitions = 1): Promise<string> {
  const topic = unique('numbers')
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }] })
  await admin.disconnect()
  await append(kafka, topic, 0, count, partitions)
  return topic
}

/** Appends the values `from` to `to - 1` to each partition. */
export async function append(kafka: Kafka, topic: string, from: number, to: number, partitions = 1): Promise<void> {
  const producer = kafka.producer()
  await producer.connect()
  const values = Array.from({ length: to - from }, (_, i) => String(from + i))
  const messages = Array.from({ length: partitions }, (_, partition) => values.map(value => ({ partition, value })))
  await producer.send({ topic, messages: messages.flat() })
  await producer.disconnect()
}

/** A consumer that runs, from the beginning. */
export async function running(
  kafka: Kafka,
  topics: string | string[],
  run: ConsumerRunConfig | ((consumer: Consumer) => ConsumerRunConfig),
  config: Partial<ConsumerConfig> = {},
): Promise<Consumer> {
  const consumer = kafka.consumer({ groupId: unique('group'), maxWaitTimeInMs: 50, ...config })
  await consumer.connect()
  await consumer.subscribe({ topics: [topics].flat(), fromBeginning: true })
  await consumer.run(typeof run === 'function' ? run(consumer) : run)
  return consumer
}

/** Waits until something is so, for two minutes at most. */
export async function until(what: string, so: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 120_000; !(await so()); await sleep(5)) {
    if (Date.now() > end) throw new Error(`never: ${what}`)
  }
}

/** What a group has committed for partition 0. */
export async function committed(kafka: Kafka, groupId: string, topic: string): Promise<string> {
  const admin = kafka.admin()
  await admin.connect()
  const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
  await admin.disconnect()
  return found!.partitions.find(({ partition }) => partition === 0)!.offset
}
