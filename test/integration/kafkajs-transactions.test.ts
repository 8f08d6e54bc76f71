/** kafkajs' transactions, as its documentation shows them, on `dohle/kafkajs` and a real Kafka. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Kafka as Native } from 'dohle'
import {
  CompressionTypes,
  Kafka,
  KafkaJSNonRetriableError,
  logLevel,
  type Producer,
  type Transaction,
} from 'dohle/kafkajs'
import { created, realKafka, type Server, unique } from './servers.ts'

describe('transactions of dohle/kafkajs', () => {
  let server: Server
  let kafka: Kafka
  let native: Native
  before(async () => {
    server = await realKafka()
    kafka = new Kafka({ clientId: 'transactions', brokers: [server.bootstrap], logLevel: logLevel.NOTHING })
    native = new Native({ brokers: server.bootstrap })
  })
  after(async () => {
    await native?.close()
    await server?.stop()
  })

  async function withProducer(work: (producer: Producer, topic: string) => Promise<void>): Promise<void> {
    const topic = unique('transactions')
    await created(native.admin(), [{ topic, partitions: 1 }])
    const producer = kafka.producer({ transactionalId: unique('id'), maxInFlightRequests: 1, idempotent: true })
    await producer.connect()
    try {
      await work(producer, topic)
    } finally {
      await producer.disconnect()
    }
  }

  /** The values that whoever reads committed sees before `end`. */
  async function committed(topic: string): Promise<(string | null)[]> {
    const producer = native.producer()
    await producer.send({ topic, partition: 0, value: 'end' })
    await using consumer = native.consumer({ isolationLevel: 'read_committed' })
    await consumer.assign([{ topic, partition: 0, offset: 0 }])
    const values: (string | null)[] = []
    for await (const message of consumer) {
      if (message.text() === 'end') break
      values.push(message.text())
    }
    await producer.close()
    return values
  }

  const sending = (transaction: Transaction, topic: string, ...values: string[]) =>
    transaction.send({ topic, messages: values.map(value => ({ value, partition: 0 })) })

  test('what is committed is seen, what is aborted never is', () =>
    withProducer(async (producer, topic) => {
      const first = await producer.transaction()
      assert.equal(first.isActive(), true)
      const [metadata] = await sending(first, topic, 'a', 'b')
      assert.equal(metadata?.baseOffset, '0')
      await first.sendBatch({ topicMessages: [{ topic, messages: [{ value: 'c', partition: 0 }] }] })
      await first.commit()
      assert.equal(first.isActive(), false)

      const second = await producer.transaction()
      await sending(second, topic, 'never')
      await second.abort()
      assert.equal(second.isActive(), false)

      const third = await producer.transaction()
      await sending(third, topic, 'd')
      await third.commit()
      assert.deepEqual(await committed(topic), ['a', 'b', 'c', 'd'])
    }))

  test('one at a time, and not beyond its end', () =>
    withProducer(async (producer, topic) => {
      const transaction = await producer.transaction()
      await assert.rejects(producer.transaction(), (error: unknown) => {
        assert.ok(error instanceof KafkaJSNonRetriableError)
        return /already an ongoing transaction/.test(error.message)
      })
      await transaction.abort()
      const ended = { name: 'KafkaJSNonRetriableError', message: 'Cannot continue to use transaction once ended' }
      await assert.rejects(sending(transaction, topic, 'a'), ended)
      await assert.rejects(transaction.commit(), ended)
      await assert.rejects(transaction.abort(), ended)
      const acks = { name: 'KafkaJSNonRetriableError', message: /invalidates the idempotent producer's EoS/ }
      const next = await producer.transaction()
      await assert.rejects(next.send({ topic, acks: 1, messages: [{ value: 'a' }] }), acks)
      await next.abort()
    }))

  test('offsets of a group are committed with the records', () =>
    withProducer(async (producer, topic) => {
      const consumerGroupId = unique('group')
      const reader = native.consumer({ groupId: consumerGroupId })
      const offset = async () => (await reader.committed([{ topic, partition: 0 }]))[0]?.offset
      const topics = (offset: string) => [{ topic, partitions: [{ partition: 0, offset }] }]

      const aborted = await producer.transaction()
      await sending(aborted, topic, 'a')
      await aborted.sendOffsets({ consumerGroupId, topics: topics('7') })
      await aborted.abort()
      assert.equal(await offset(), null)

      const done = await producer.transaction()
      await done.sendOffsets({ consumerGroupId, topics: topics('42') })
      await done.commit()
      assert.equal(await offset(), 42)
      await reader.close()
    }))

  test('a transaction takes the codec of its first send, another one another codec', () =>
    withProducer(async (producer, topic) => {
      // Only compressed they fit.
      const messages = [{ value: Buffer.alloc(1_500_000), partition: 0 }]
      const first = await producer.transaction()
      await first.send({ topic, messages, compression: CompressionTypes.GZIP })
      await first.commit()
      const second = await producer.transaction()
      await second.send({ topic, messages, compression: CompressionTypes.ZSTD })
      await second.commit()
      const third = await producer.transaction()
      await assert.rejects(third.send({ topic, messages }), { type: 'MESSAGE_TOO_LARGE', code: 10 })
      await third.abort()
      assert.equal((await committed(topic)).length, 2)
    }))

  test('a later producer of the same id fences the one before', () =>
    withProducer(async (_, topic) => {
      const transactionalId = unique('id')
      const [old, young] = [kafka.producer({ transactionalId }), kafka.producer({ transactionalId })]
      await Promise.all([old.connect(), young.connect()])
      const lost = await old.transaction()
      await sending(lost, topic, 'lost')
      const won = await young.transaction()
      await sending(won, topic, 'won')
      await won.commit()
      await assert.rejects(
        async () => {
          await sending(lost, topic, 'again')
          await lost.commit()
        },
        (error: Error) => error instanceof KafkaJSNonRetriableError || error.name === 'KafkaJSProtocolError',
      )
      assert.deepEqual(await committed(topic), ['won'])
      await Promise.all([old.disconnect(), young.disconnect()])
    }))

  test('offsets that a program keeps are committed in a transaction of the native API too', async () => {
    const topic = unique('transactions')
    const groupId = unique('group')
    await created(native.admin(), [{ topic, partitions: 1 }])
    const producer = native.producer({ transactionalId: unique('id') })
    await producer.transaction(tx =>
      tx.commitOffsets({ group: { groupId }, offsets: [{ topic, partition: 0, offset: 5, metadata: 'mine' }] }),
    )
    const reader = native.consumer({ groupId })
    const [found] = await reader.committed([{ topic, partition: 0 }])
    assert.deepEqual([found?.offset, found?.metadata], [5, 'mine'])
    const tx = await producer.beginTransaction()
    const wrong = { group: { groupId }, offset: [] } as unknown as { group: { groupId: string }; offsets: [] }
    await assert.rejects(tx.commitOffsets(wrong), {
      code: 'INVALID_ARGUMENT',
      message: /from\.offset: is not an option/,
    })
    await tx.abort()
    await Promise.all([reader.close(), producer.close()])
  })
})
