import assert from 'node:assert/strict'
import { tracingChannel } from 'node:diagnostics_channel'
import { describe, test } from 'node:test'
import {
  type CommitContext,
  Kafka,
  type PollContext,
  type ProcessContext,
  type ProduceContext,
  type RebalanceContext,
  type RequestContext,
} from '../ts/index.ts'
import { code, deferred, numbers, setUp, take, unique } from './support.ts'

/** What happens on a channel while `work` runs. */
async function heard<Context extends object>(
  name: string,
  work: () => Promise<unknown>,
  start: (context: Context) => void = () => {},
): Promise<{ event: string; context: Context }[]> {
  const events: { event: string; context: Context }[] = []
  const note = (event: string) => (message: object) => {
    if (event === 'start') start(message as Context)
    events.push({ event, context: message as Context })
  }
  const channel = tracingChannel<unknown, Context>(`dohle:${name}`)
  const handlers = {
    start: note('start'),
    end: note('end'),
    asyncStart: note('asyncStart'),
    asyncEnd: note('asyncEnd'),
    error: note('error'),
  }
  channel.subscribe(handlers)
  try {
    await work()
  } finally {
    channel.unsubscribe(handlers)
  }
  return events
}

const names = (events: { event: string }[]) => events.map(({ event }) => event)
const WHOLE = ['start', 'end', 'asyncStart', 'asyncEnd']

describe('diagnostics channels', () => {
  const context = setUp()

  test('produce: tells of a send, and sends the headers that a subscriber has added', async () => {
    const topic = await numbers(context.kafka, 0)
    await using kafka = new Kafka({ brokers: context.broker.address, clientId: 'traced' })
    const producer = kafka.producer()
    const headers = { own: 'o' }
    const add = ({ messages }: ProduceContext) => {
      for (const { headers } of messages) headers.push(['added', 'a'])
    }
    const events = await heard<ProduceContext>(
      'produce',
      async () => {
        await producer.send({ topic, key: 'k', value: 'v', headers })
        await producer.sendBatch({ topic, messages: [{ value: '1' }, { value: '2', headers: [['x', 'y']] }] })
        producer.tryEnqueue({ topic, value: '3' })
      },
      add,
    )
    assert.deepEqual(names(events), [...WHOLE, ...WHOLE, 'start', 'end'])
    const { clientId, server, operation, result } = events[0]!.context
    assert.deepEqual(
      { clientId, server, operation },
      { clientId: 'traced', server: context.broker.address, operation: 'send' },
    )
    assert.deepEqual(result, { topic, partition: 0, offset: 0, appendTime: null })
    assert.deepEqual(headers, { own: 'o' }, "the program's own object is left as it was")
    const consumer = kafka.consumer()
    await consumer.assign([{ topic, partition: 0, offset: 0 }])
    const found: string[][] = []
    await producer.flush()
    for await (const message of consumer) {
      found.push([message.text() ?? '', ...[...message.headers].map(([name, value]) => `${name}=${value}`)])
      if (found.length === 4) break
    }
    assert.deepEqual(found, [
      ['v', 'own=o', 'added=a'],
      ['1', 'added=a'],
      ['2', 'x=y', 'added=a'],
      ['3', 'added=a'],
    ])
  })

  test('produce: tells what a send has failed with, and the program gets the same', async () => {
    await using kafka = new Kafka({ brokers: context.broker.address })
    const producer = kafka.producer()
    const events = await heard<ProduceContext>('produce', async () => {
      await assert.rejects(producer.send({ topic: 'no such/name', value: '' }), code('INVALID_TOPIC_EXCEPTION'))
      await assert.rejects(producer.send(7 as never), code('INVALID_ARGUMENT'))
      await assert.rejects(producer.sendBatch({ topic: 't', messages: [7 as never] }), code('INVALID_ARGUMENT'))
    })
    assert.deepEqual(names(events), ['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
    assert.equal((events.at(-1)!.context.error as { code: string }).code, 'INVALID_TOPIC_EXCEPTION')
  })

  test('poll: tells of chunks with their records, without finishing any', async () => {
    const topic = await numbers(context.kafka, 30)
    const group = unique('group')
    const consumer = context.kafka.consumer({ groupId: group })
    await consumer.assign([{ topic, partition: 0, offset: 0 }])
    const read: (string | null)[] = []
    const events = await heard<PollContext>('poll', () => take(consumer, 3))
    for (const message of events.at(-1)!.context.messages!) read.push(message.text())
    const { groupId, topic: of, partition, count } = events[0]!.context
    assert.deepEqual({ groupId, of, partition, count }, { groupId: group, of: topic, partition: 0, count: 30 })
    assert.deepEqual(names(events), WHOLE)
    assert.equal(read.length, 30)
    await consumer.commit([{ topic, partition: 0, offset: 2 }])
    assert.equal(consumer.position({ topic, partition: 0 }), 3)
    await consumer.close()
  })

  test('process and commit: tell of handlers and of commits, with their errors', async () => {
    const topic = await numbers(context.kafka, 3)
    const groupId = unique('group')
    const consumer = context.kafka.consumer({ groupId, enableAutoCommit: false })
    await consumer.assign([{ topic, partition: 0, offset: 0 }])
    const failed = new Error('the third')
    const handle = async (message: { offset: number }) => {
      if (message.offset === 2) throw failed
    }
    const events = await heard<ProcessContext>('process', () => assert.rejects(consumer.forEach(handle), failed))
    assert.deepEqual(names(events), [...WHOLE, ...WHOLE, 'start', 'end', 'error', 'asyncStart', 'asyncEnd'])
    assert.deepEqual([...new Set(events.map(({ context }) => context.message.offset))], [0, 1, 2])
    assert.equal(events.at(-1)!.context.error, failed)
    const commits = await heard<CommitContext>('commit', () => consumer.commit())
    assert.deepEqual(names(commits), WHOLE)
    assert.equal(commits[0]!.context.groupId, groupId)
    await consumer.close()
  })

  test('request and rebalance: tell of operations, never of what was asked, and of partitions that come and go', async () => {
    const topic = unique('topic')
    const asked = await heard<RequestContext>('request', () => context.kafka.admin().createTopics([{ topic }]))
    assert.deepEqual(asked.map(({ event, context }) => [event, context.operation]).slice(0, 2), [
      ['start', 'admin.createTopics'],
      ['end', 'admin.createTopics'],
    ])
    assert.ok(!JSON.stringify(asked[0]!.context.operation).includes(topic))
    const events = await heard<RebalanceContext>('rebalance', async () => {
      const consumer = context.kafka.consumer({ groupId: unique('group') })
      const { promise, resolve } = deferred<void>()
      await consumer.subscribe(topic, { onAssigned: () => resolve() })
      const reading = consumer[Symbol.asyncIterator]().next()
      await promise
      await consumer.close()
      await reading
    })
    const starts = events.filter(({ event }) => event === 'start').map(({ context }) => context)
    assert.deepEqual(
      starts.map(({ kind, partitions }) => [kind, partitions]),
      [
        ['assigned', [{ topic, partition: 0 }]],
        ['revoked', [{ topic, partition: 0 }]],
      ],
    )
  })

  test('cost one look per call or per chunk when nobody listens, nothing per record', async () => {
    // Every look goes through a getter of the channel's prototype: counted here.
    const prototype = Object.getPrototypeOf(tracingChannel('dohle:produce'))
    const own = Object.getOwnPropertyDescriptor(prototype, 'hasSubscribers')!
    let looks = 0
    Object.defineProperty(prototype, 'hasSubscribers', {
      ...own,
      get() {
        looks++
        return own.get!.call(this)
      },
    })
    const during = async (work: () => unknown) => {
      const before = looks
      await work()
      return looks - before
    }
    try {
      const topic = await numbers(context.kafka, 0)
      const producer = context.kafka.producer()
      const messages = Array.from({ length: 1000 }, (_, n) => ({ value: String(n) }))
      assert.equal(await during(() => producer.send({ topic, value: 'alone' })), 1)
      assert.equal(await during(() => producer.sendBatch({ topic, messages })), 1)
      const consumer = context.kafka.consumer()
      await consumer.assign([{ topic, partition: 0, offset: 0 }])
      const few = 20 // chunks, and turns of the loop
      const read = await during(() => take(consumer, 500))
      assert.ok(read < few, `${read}`)
      let left = 400
      const { promise, resolve } = deferred<void>()
      assert.ok(
        (await during(async () => {
          void consumer.forEach(() => {
            if (--left === 0) resolve()
          })
          await promise
        })) < few,
      )
      await consumer.close()
      await producer.close()
    } finally {
      Object.defineProperty(prototype, 'hasSubscribers', own)
    }
  })
})
