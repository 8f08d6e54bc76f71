/** kafkajs' producer on our engine: a producer of the engine's for each way of sending. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CompressionTypes,
  Kafka,
  type KafkaConfig,
  logLevel,
  type Message,
  type PartitionerArgs,
} from '../../ts/kafkajs/index.ts'
import { saslOptions } from '../../ts/kafkajs/security.ts'
import { unique } from '../support.ts'
import { numbers, running, setUp, until } from './support.ts'

const context = setUp()

/** The values of a topic, in order. */
async function values(kafka: Kafka, topic: string, count: number): Promise<string[]> {
  const seen: string[] = []
  const eachMessage = async ({ message }: { message: { value: Buffer | null } }) => {
    seen.push(String(message.value))
  }
  const consumer = await running(kafka, topic, { eachMessage })
  await until(`${count} records`, () => seen.length >= count)
  await consumer.disconnect()
  return seen
}

test('acks and compression are those of each call', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 0)
  const producer = kafka.producer()
  await producer.connect()
  // Larger than the broker takes, unless compressed.
  const messages: Message[] = [{ value: Buffer.alloc(1_500_000) }]
  for (const compression of [1, 2, 3, 4] as const) {
    const [metadata] = await producer.send({ topic, messages, compression })
    assert.equal(metadata!.baseOffset, String(compression - 1))
  }
  await assert.rejects(producer.send({ topic, messages }), { name: 'KafkaJSProtocolError', type: 'MESSAGE_TOO_LARGE' })
  assert.deepEqual(await producer.send({ topic, messages: [{ value: 'a' }], acks: 0 }), [])
  const [written] = await producer.send({ topic, messages: [{ value: 'a' }], acks: 1 })
  assert.ok(Number(written!.baseOffset) >= 4)
  const wrong = { topic, messages: [{ value: 'a' }], compression: 9 as CompressionTypes }
  await assert.rejects(producer.send(wrong), { name: 'KafkaJSNonRetriableError', message: /compression type 9/ })
  await producer.disconnect()
})

test('calls that are not awaited keep their order', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 0)
  const producer = kafka.producer()
  await producer.connect()
  const send = (i: number) => producer.send({ topic, messages: [{ value: `${i}a` }, { value: `${i}b` }] })
  await Promise.all(Array.from({ length: 200 }, (_, i) => send(i)))
  await producer.disconnect()
  assert.deepEqual(await values(kafka, topic, 400), Array.from({ length: 200 }, (_, i) => [`${i}a`, `${i}b`]).flat())
})

test('a partitioner of the program’s own gets what kafkajs’ get, also for a topic that is made by sending to it', async () => {
  const { kafka } = context
  const topic = unique('made')
  const given: PartitionerArgs[] = []
  const producer = kafka.producer({
    createPartitioner: () => args => {
      given.push(args)
      return 0
    },
  })
  await producer.connect()
  const message = { key: 'k', value: 'v', headers: { a: 'b' } }
  const [metadata] = await producer.send({ topic, messages: [message] })
  assert.deepEqual([metadata!.topicName, metadata!.partition, metadata!.baseOffset], [topic, 0, '0'])
  const partition = { partitionId: 0, leader: 1, replicas: [1], isr: [1], offlineReplicas: [], partitionErrorCode: 0 }
  assert.deepEqual(given, [{ topic, partitionMetadata: [partition], message }])
  await producer.disconnect()
})

test('records without a key are dealt out one by one', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 0, 3)
  const producer = kafka.producer()
  await producer.connect()
  const partitions: number[] = []
  for (let i = 0; i < 6; i++) {
    const [metadata] = await producer.send({ topic, messages: [{ value: 'v' }] })
    partitions.push(metadata!.partition)
  }
  assert.deepEqual(partitions.slice(0, 3).sort(), [0, 1, 2])
  assert.deepEqual(partitions.slice(3), partitions.slice(0, 3))
  await producer.disconnect()
})

test('what is no text and no bytes is written as text, as kafkajs does', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 0)
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic, messages: [{ value: 5 as unknown as string }, { value: true as unknown as string }] })
  await producer.disconnect()
  assert.deepEqual(await values(kafka, topic, 2), ['5', 'true'])
})

test('events tell of connecting and disconnecting, and a listener that throws is logged', async () => {
  const logged: string[] = []
  const kafka = new Kafka({
    brokers: async () => [context.broker.address],
    logLevel: logLevel.ERROR,
    logCreator: () => entry => logged.push(entry.log.message),
  })
  const producer = kafka.producer()
  const told: string[] = []
  const forget = producer.on(producer.events.CONNECT, ({ type }) => told.push(type))
  producer.on('producer.disconnect', () => {
    throw new Error('in the listener')
  })
  await producer.connect()
  await producer.disconnect()
  forget()
  await producer.connect()
  await producer.disconnect()
  assert.deepEqual(told, ['producer.connect'])
  assert.deepEqual(logged, Array(2).fill('Failed to execute listener: in the listener'))
})

test('what the engine logs goes to the program’s logger, and nothing where it wants nothing', async () => {
  for (const [level, expected] of [
    [logLevel.WARN, true],
    [logLevel.NOTHING, false],
  ] as const) {
    const lines: { namespace: string; message: string }[] = []
    const kafka = new Kafka({
      brokers: ['127.0.0.1:1'],
      logLevel: level,
      logCreator: () => entry => lines.push({ namespace: entry.namespace, message: entry.log.message }),
      retry: { retries: 1, initialRetryTime: 50 },
    })
    await assert.rejects(kafka.producer().connect(), { name: 'KafkaJSNumberOfRetriesExceeded' })
    const engine = lines.filter(({ namespace }) => namespace === 'Engine')
    assert.equal(engine.length > 0, expected, JSON.stringify(lines))
  }
})

test('what the engine has no counterpart of is refused by name, before anything is connected', async () => {
  const brokers = ['localhost:1']
  const refused: [object, RegExp][] = [
    [{ socketFactory: () => {} }, /^socketFactory: /],
    [
      { sasl: { mechanism: 'plain', username: 'u', password: 'p' } },
      /^sasl: plain sends the password .* \(ssl: true\), .* ssl: false$/,
    ],
    [
      { sasl: { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: 't' }) } },
      /^sasl: oauthbearer sends the token /,
    ],
    [{ sasl: { mechanism: 'x', authenticationProvider: () => ({}) } }, /^sasl: a mechanism of your own \("x"\)/],
    [{ sasl: { mechanism: 'aws' } }, /^sasl: the mechanism "aws" .* AWS_MSK_IAM .* oauthBearerProvider /],
    [{ sasl: { mechanism: 'oauthbearer' } }, /^sasl: oauthbearer needs oauthBearerProvider/],
    [{ ssl: { checkServerIdentity: () => {} } }, /^ssl\.checkServerIdentity: /],
  ]
  for (const [options, message] of refused) {
    const make = () => new Kafka({ brokers, ...options } as KafkaConfig)
    assert.throws(make, { name: 'KafkaJSNonRetriableError', message })
  }
  const logged = { logLevel: logLevel.NOTHING }
  const connect = (brokers: unknown) => new Kafka({ brokers, ...logged } as KafkaConfig).producer().connect()
  await assert.rejects(connect([]), { message: 'Failed to connect: brokers array is empty' })
  await assert.rejects(connect(undefined), { message: 'Failed to connect: brokers should not be null' })
  const failing = () => Promise.reject(new Error('no list'))
  await assert.rejects(connect(failing), { message: 'Failed to connect: "config.brokers" threw: no list' })
})

test('brokers and mechanisms that are none are errors of kafkajs', async () => {
  const connect = (brokers: unknown) =>
    new Kafka({ brokers: brokers as string[], logLevel: logLevel.NOTHING }).producer().connect()
  const typed = { name: 'KafkaJSNonRetriableError' }
  await assert.rejects(connect(5), typed)
  await assert.rejects(
    connect(() => Promise.reject(null)),
    { ...typed, message: 'Failed to connect: "config.brokers" threw: null' },
  )
  for (const sasl of [{}, { mechanism: 5 }, 5])
    assert.throws(() => new Kafka({ brokers: ['localhost:1'], sasl: sasl as never }), typed)
})

test('what a provider of tokens gives goes on with its extensions, as in kafkajs', async () => {
  const oauthBearerProvider = async () => ({ value: 't', extensions: { logicalCluster: 'lkc-1' } })
  const { sasl } = saslOptions({ mechanism: 'oauthbearer', oauthBearerProvider }, true) as {
    sasl: { token: () => Promise<unknown> }
  }
  assert.deepEqual(await sasl.token(), { value: 't', extensions: { logicalCluster: 'lkc-1' } })
})
