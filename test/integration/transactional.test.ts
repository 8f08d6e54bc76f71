/** Our transactions of both kinds (`transaction.version` 2 and 1) on a real Kafka and on the embedded broker, seen by kcat too. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ConsumerOptions,
  Kafka,
  type KafkaError,
  type Producer,
  type ProducerOptions,
  type Transaction,
} from 'dohle'
import { Broker } from 'dohle/broker'
import { KafkaServer } from '../../scripts/kafka.mjs'
import { command } from './peers/peer.ts'
import { created, unique } from './servers.ts'

/** How often the broker looks for transactions that are too old. */
const cleanUp = { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200' }

const unexpected = (): never => assert.fail('it did not fail')

let server: KafkaServer
before(async () => {
  server = await KafkaServer.start({ properties: cleanUp })
})
after(() => server?.stop())

async function downgraded(level: number): Promise<string> {
  const feature = ['downgrade', '--feature', `transaction.version=${level}`]
  await server.tool('FeatureCommand', ['--bootstrap-server', '@broker', ...feature])
  return server.bootstrap
}

/** In this order: the real one is downgraded once. */
const brokers: { name: string; level: number; start: () => Promise<string | Broker> }[] = [
  { name: 'Apache Kafka', level: 2, start: async () => server.bootstrap },
  { name: 'Apache Kafka', level: 1, start: () => downgraded(1) },
  ...[2, 1].map(transactionVersion => ({
    name: 'the embedded broker',
    level: transactionVersion,
    start: () => Broker.start({ transactionVersion }),
  })),
]

for (const { name, level, start } of brokers) {
  describe(`transactions of ours on ${name}, with transaction.version ${level}`, () => {
    let broker: string | Broker
    let bootstrap: string
    let kafka: Kafka
    before(async () => {
      broker = await start()
      bootstrap = typeof broker === 'string' ? broker : broker.address
      kafka = new Kafka({ brokers: bootstrap })
    })
    after(async () => {
      await kafka?.close()
      if (typeof broker === 'object') await broker.close()
    })

    async function topic(partitions = 1, configs: Record<string, string> = {}): Promise<string> {
      const name = unique('transactional')
      await created(kafka.admin(), [{ topic: name, partitions, configs }])
      return name
    }

    function transactional(options: ProducerOptions = {}): Producer {
      return kafka.producer({ transactionalId: unique('id'), ...options })
    }

    /** A member of a group that leaves its offsets to transactions. */
    async function member(name: string, options: ConsumerOptions = {}) {
      const settings = { groupId: unique('group'), enableAutoCommit: false, autoOffsetReset: 'earliest' }
      const consumer = kafka.consumer({ ...settings, ...options })
      await consumer.subscribe(name)
      const committed = async () => (await consumer.committed([{ topic: name, partition: 0 }]))[0]?.offset ?? null
      return { consumer, committed }
    }

    async function write(name: string, values: string[], partition = 0): Promise<void> {
      const producer = kafka.producer()
      await producer.sendBatch({ topic: name, messages: values.map(value => ({ value, partition })) })
      await producer.close()
    }

    /** The first `count` values of partition 0 that whoever reads committed sees. */
    async function committedValues(name: string, count: number): Promise<(string | null)[]> {
      const consumer = kafka.consumer({ isolationLevel: 'read_committed' })
      await consumer.assign([{ topic: name, partition: 0, offset: 'earliest' }])
      const seen: (string | null)[] = []
      for await (const message of consumer) if (seen.push(message.text()) === count) break
      await consumer.close()
      return seen
    }

    const refused = (call: Promise<unknown>) =>
      assert.rejects(call, (error: KafkaError) => error.code === 'INVALID_TXN_STATE' && !error.fatal)

    test('what is committed is seen by all, what is aborted by nobody who reads committed', async () => {
      const name = await topic()
      const producer = transactional({ compression: 'lz4' })
      for (let round = 0; round < 6; round++) {
        const tx = await producer.beginTransaction()
        const messages = [0, 1, 2, 3].map(i => ({ value: `${round}-${i}` }))
        const sent = tx.sendBatch({ topic: name, messages })
        if (round !== 4) await sent
        await (round % 3 === 1 ? tx.abort() : tx.commit())
        assert.equal(tx.ended, true)
      }
      const expected = [0, 2, 3, 5].flatMap(round => [0, 1, 2, 3].map(i => `${round}-${i}`))
      assert.deepEqual(await committedValues(name, expected.length), expected)

      const args = ['-q', '-C', '-b', bootstrap, '-t', name, '-o', 'beginning', '-e', '-f', '%s\n']
      const lines = (text: Buffer) => text.toString().trim().split('\n')
      assert.deepEqual(lines(await command('kcat', [...args, '-X', 'isolation.level=read_committed'])), expected)
      const all = lines(await command('kcat', [...args, '-X', 'isolation.level=read_uncommitted']))
      assert.ok(all.includes('1-0') && expected.every(value => all.includes(value)))
      await producer.close()
    })

    test('a transaction returns what its work returns, and a throw aborts it', async () => {
      const name = await topic()
      const producer = transactional()
      const offset = await producer.transaction(async tx => (await tx.send({ topic: name, value: 'a' })).offset)
      assert.equal(offset, 0)
      const mine = new Error('mine')
      const failing = producer.transaction(async tx => {
        await tx.send({ topic: name, value: 'b' })
        throw mine
      })
      await assert.rejects(failing, error => error === mine)
      await producer.transaction(tx => {
        tx.send({ topic: name, value: 'c' })
      })
      assert.deepEqual(await committedValues(name, 2), ['a', 'c'])
      await producer.close()
    })

    test('a send that failed and was not awaited lets the commit abort, whoever refused it', async () => {
      const name = await topic(1, { 'max.message.bytes': '1000' })
      const producer = transactional()
      const wrong = [
        ['MESSAGE_TOO_LARGE', { topic: name, value: 'x'.repeat(5_000) }],
        ['INVALID_ARGUMENT', { topic: name, value: 5 as unknown as string }],
        ['INVALID_TOPIC_EXCEPTION', { topic: 'no/topic', value: 'x' }],
      ] as const
      for (const [code, message] of wrong) {
        const tx = await producer.beginTransaction()
        await tx.send({ topic: name, value: 'good' })
        tx.send(message)
        await assert.rejects(tx.commit(), (error: KafkaError) => {
          assert.deepEqual([error.code, error.abortable, error.fatal, error.retriable], [code, true, false, false])
          assert.match(error.message, /the transaction was aborted/)
          return true
        })
        assert.equal(tx.ended, true)
        await tx.abort() // nothing is left to do
      }
      await producer.transaction(tx => {
        tx.send({ topic: name, value: 'last' })
      })
      assert.deepEqual(await committedValues(name, 1), ['last'])
      await producer.close()
    })

    test('outside of a transaction nothing is sent, and there is one at a time', async () => {
      const name = await topic()
      const producer = transactional()
      await refused(producer.send({ topic: name, value: 'x' }))
      const tx = await producer.beginTransaction()
      await refused(producer.beginTransaction())
      await refused(producer.transaction(() => {}))
      await producer.send({ topic: name, value: 'a' }) // is part of it
      await tx.commit()
      const late = { code: 'INVALID_TXN_STATE', persistence: 'not-persisted' }
      await assert.rejects(tx.send({ topic: name, value: 'x' }), late)
      await assert.rejects(tx.sendBatch({ topic: name, messages: [{ value: 'x' }] }), late)
      await refused(tx.commit())
      await refused(producer.send({ topic: name, value: 'x' }))
      assert.deepEqual(await committedValues(name, 1), ['a'])
      await assert.rejects(kafka.producer().beginTransaction(), { code: 'INVALID_CONFIG' })
      await producer.close()
    })

    test('an end that the work has begun is waited for, and what comes of it comes of the transaction', async () => {
      const name = await topic()
      const producer = transactional()
      const sending = (value: string, end: (tx: Transaction) => unknown) =>
        producer.transaction(async tx => {
          tx.send({ topic: name, value })
          return end(tx)
        })
      const begun = (call: Promise<void>) => assert.ok(call)
      await sending('never', tx => begun(tx.abort()))
      await sending('a', tx => begun(tx.commit()))
      const mine = new Error('mine')
      const thrown = sending('b', tx => {
        begun(tx.commit())
        throw mine
      })
      await assert.rejects(thrown, error => error === mine)
      const swallowed = sending(5 as unknown as string, tx => tx.commit().catch(() => {}))
      await assert.rejects(swallowed, { code: 'INVALID_ARGUMENT', abortable: true })
      await sending('c', () => {})
      assert.deepEqual(await committedValues(name, 3), ['a', 'b', 'c'])
      await producer.close()
    })

    test('a later producer with the same id fences an earlier one', async () => {
      const name = await topic()
      const transactionalId = unique('fenced')
      const first = kafka.producer({ transactionalId })
      const left = await first.beginTransaction()
      await left.send({ topic: name, value: 'left' })
      const second = kafka.producer({ transactionalId })
      await second.transaction(async tx => {
        await tx.send({ topic: name, value: 'mine' })
      })
      const error: KafkaError = await left.commit().then(unexpected, error => error)
      assert.ok(['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH'].includes(error.code), error.code)
      assert.deepEqual([error.fatal, error.abortable], [true, false])
      await assert.rejects(first.beginTransaction(), { fatal: true })
      await assert.rejects(first.send({ topic: name, value: 'late' }), { fatal: true })
      assert.deepEqual(await committedValues(name, 1), ['mine'])
      await first.close()
      await second.close()
    })

    test('a transaction that grew too old is aborted, and the producer goes on where the broker lets it', async () => {
      const name = await topic()
      const producer = transactional({ transactionTimeoutMs: 500 })
      const tx = await producer.beginTransaction()
      await tx.send({ topic: name, value: 'old' })
      await write(name, ['after'])
      assert.deepEqual(await committedValues(name, 1), ['after']) // the broker has aborted it by then
      const error: KafkaError = await tx.commit().then(unexpected, error => error)
      // Before version 2 the broker does not tell it from a producer that was fenced.
      assert.deepEqual([error.abortable, error.fatal], [level === 2, level < 2], `${error.code}: ${error.message}`)
      if (level === 2) {
        await producer.transaction(async tx => void (await tx.send({ topic: name, value: 'again' })))
        assert.deepEqual(await committedValues(name, 2), ['after', 'again'])
      }
      await producer.close()
    })

    test('a send into a transaction that grew too old fails it; its abort tells whether the producer goes on, as with Java', async () => {
      const name = await topic()
      const producer = transactional({ transactionTimeoutMs: 500 })
      const tx = await producer.beginTransaction()
      await tx.send({ topic: name, value: 'old' })
      await write(name, ['after'])
      assert.deepEqual(await committedValues(name, 1), ['after'])
      // A leader cannot tell it from a producer that was fenced, so it is not the end yet (KIP-588) ...
      const late: KafkaError = await tx.send({ topic: name, value: 'late' }).then(unexpected, error => error)
      assert.deepEqual([late.code, late.abortable, late.fatal], ['INVALID_PRODUCER_EPOCH', true, false])
      if (level === 2) {
        await tx.abort()
        await producer.transaction(async next => void (await next.send({ topic: name, value: 'again' })))
        assert.deepEqual(await committedValues(name, 2), ['after', 'again'])
      } else {
        // ... but the coordinator, which has taken the epoch for itself, says that it is.
        const error: KafkaError = await tx.abort().then(unexpected, error => error)
        assert.deepEqual([error.code, error.abortable, error.fatal], ['PRODUCER_FENCED', false, true])
        await assert.rejects(producer.beginTransaction(), { code: 'PRODUCER_FENCED', fatal: true })
      }
      await producer.close()
    })

    test('closing aborts what is open', async () => {
      const name = await topic()
      const producer = transactional()
      const tx = await producer.beginTransaction()
      await tx.send({ topic: name, value: 'open' })
      await producer.close()
      await write(name, ['after'])
      assert.deepEqual(await committedValues(name, 1), ['after'])
      await assert.rejects(tx.commit())
    })

    test('offsets of a consumer, a message and a batch are committed with the transaction', async () => {
      const name = await topic()
      await write(
        name,
        Array.from({ length: 10 }, (_, i) => `${i}`),
      )
      const { consumer, committed } = await member(name)
      const producer = transactional()
      for await (const message of consumer) {
        if (message.offset === 2) {
          await producer.transaction(tx => tx.commitOffsets(consumer))
          assert.equal(await committed(), 3, 'the record in hand is included')
        } else if (message.offset === 5) {
          await producer.transaction(tx => tx.commitOffsets(message))
          assert.equal(await committed(), 6)
          const tx = await producer.beginTransaction()
          await tx.commitOffsets(consumer)
          await tx.abort()
          assert.equal(await committed(), 6)
          break
        }
      }
      for await (const batch of consumer.batches()) {
        assert.equal(batch.firstOffset, 6)
        await producer.transaction(tx => tx.commitOffsets(batch))
        assert.equal(await committed(), batch.lastOffset + 1)
        break
      }
      await consumer.close()
      await producer.close()
    })

    test('after an abort a consumer goes on from its last committed offsets, whatever it held', async () => {
      const [input, output] = [await topic(), await topic()]
      await write(
        input,
        Array.from({ length: 300 }, (_, i) => `${i}`),
      )
      const { consumer, committed } = await member(input)
      const producer = transactional()
      const failing = new Set([50, 151, 250])
      const seen: number[] = []
      for await (const message of consumer) {
        const number = Number(message.text())
        seen.push(number)
        const work = producer.transaction(
          async tx => {
            tx.send({ topic: output, value: `${number}` })
            if (failing.delete(number)) throw new Error('once')
            await tx.commitOffsets(number % 2 === 0 ? consumer : message)
          },
          { consumer },
        )
        await work.catch(error => assert.equal(error.message, 'once'))
        if (seen.length === 303) break
      }
      const all = Array.from({ length: 300 }, (_, i) => i)
      const twice = (number: number) => ([50, 151, 250].includes(number) ? [number, number] : [number])
      assert.deepEqual(seen, all.flatMap(twice), 'each again, and nothing between')
      assert.equal(await committed(), 300)
      assert.deepEqual(
        await committedValues(output, 300),
        all.map(number => `${number}`),
      )
      await consumer.close()
      await producer.close()
    })

    test('where the group has nothing yet, an abort goes back to where reading began', async () => {
      const name = await topic()
      const { consumer } = await member(name, { autoOffsetReset: 'latest' })
      const iterator = consumer[Symbol.asyncIterator]()
      const first = iterator.next()
      const placed = () => consumer.assignment().length > 0 && consumer.position({ topic: name, partition: 0 }) !== null
      while (!placed()) await sleep(20)
      await write(name, ['a', 'b'])
      assert.equal((await first).value?.text(), 'a')
      const producer = transactional()
      const tx = await producer.beginTransaction({ consumer })
      await tx.abort()
      assert.equal((await iterator.next()).value?.text(), 'a')
      await iterator.return?.()
      await consumer.close()
      await producer.close()
    })

    test('what was made of a partition that went to another member cannot be committed', async () => {
      const [input, output] = [await topic(2), await topic()]
      for (const partition of [0, 1]) await write(input, ['1', '2', '3'], partition)
      const groupId = unique('rebalanced')
      const { consumer } = await member(input, { groupId })
      const producer = transactional()
      const tx = await producer.beginTransaction()
      const iterator = consumer[Symbol.asyncIterator]()
      for (let i = 0; i < 6; i++) {
        const { value } = await iterator.next()
        tx.send({ topic: output, value: `${value?.partition}-${value?.text()}` })
      }
      const waiting = iterator.next() // nothing is in hand any more
      const gone = new Promise(resolve => consumer.once('revoked', resolve))
      const other = await member(input, { groupId })
      const reading = other.consumer[Symbol.asyncIterator]().next()
      await gone
      const error: KafkaError = await tx.commitOffsets(consumer).then(unexpected, error => error)
      assert.deepEqual([error.code, error.abortable], ['ILLEGAL_GENERATION', true])
      await assert.rejects(tx.commit(), { code: 'ILLEGAL_GENERATION', abortable: true })
      assert.equal((await reading).value?.text(), '1', 'the other member reads it again')
      // Ours goes back too, and what it makes of the partition that is left can be committed.
      assert.equal((await waiting).value?.text(), '1')
      await producer.transaction(tx => tx.commitOffsets(consumer))
      await consumer.close()
      await other.consumer.close()
      await producer.close()
    })

    test('a consumer that commits by itself cannot commit with a transaction', async () => {
      const name = await topic()
      const { consumer } = await member(name, { enableAutoCommit: true })
      const producer = transactional()
      await assert.rejects(
        producer.transaction(tx => tx.commitOffsets(consumer)),
        { code: 'INVALID_CONFIG', abortable: true, message: /enable.auto.commit/ },
      )
      // Told beforehand nothing is begun, so that a program that tries aborted transactions again does not do so for ever.
      await assert.rejects(producer.transaction(unexpected, { consumer }), { code: 'INVALID_CONFIG', abortable: false })
      await assert.rejects(
        producer.transaction(tx => tx.commitOffsets({} as never)),
        { code: 'INVALID_ARGUMENT', abortable: true },
      )
      await consumer.close()
      await producer.close()
    })

    test('an aborted signal ends the waiting; a transaction that is not being committed is aborted', async () => {
      const name = await topic()
      const producer = transactional()
      const abort = new AbortController()
      const cut = producer.transaction(
        async tx => {
          await tx.send({ topic: name, value: 'cut' })
          abort.abort()
        },
        { signal: abort.signal },
      )
      await assert.rejects(cut, { code: 'ABORTED' })
      await assert.rejects(producer.beginTransaction({ signal: abort.signal }), { code: 'ABORTED' })
      const during = new AbortController()
      const tx = await producer.beginTransaction()
      await tx.send({ topic: name, value: 'kept' })
      const commit = tx.commit({ signal: during.signal })
      setImmediate(() => during.abort())
      await commit.catch(async error => {
        assert.equal(error.code, 'ABORTED')
        await tx.commit()
      })
      assert.deepEqual(await committedValues(name, 1), ['kept'])
      await producer.close()
    })
  })
}
