/** kafkajs' consumer on our engine: handlers that fail, crashes, events, and how it stops. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Consumer, KafkaJSNonRetriableError } from '../../ts/kafkajs/index.ts'
import { unique } from '../support.ts'
import { client, committed, numbers, running, setUp, until } from './support.ts'

const context = setUp()

/** The crashes of a consumer. */
function crashes(consumer: Consumer): { error: Error; restart: boolean }[] {
  const found: { error: Error; restart: boolean }[] = []
  consumer.on(consumer.events.CRASH, ({ payload }) => found.push(payload))
  return found
}

test('a record whose handler fails comes again, after a commit of those before it', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 6)
  const groupId = unique('group')
  const seen: string[] = []
  let before = ''
  const consumer = await running(
    kafka,
    topic,
    {
      eachMessage: async ({ message }) => {
        seen.push(message.offset)
        if (message.offset !== '3' || seen.length > 5) return
        if (seen.length === 5) before = await committed(kafka, groupId, topic)
        throw new Error('not yet')
      },
    },
    { groupId },
  )
  await until('all', () => seen.includes('5'))
  await consumer.disconnect()
  assert.deepEqual(seen, ['0', '1', '2', '3', '3', '3', '4', '5'])
  assert.equal(before, '3')
})

test('a handler that fails for good crashes the consumer, which begins again where it was', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 4)
  const seen: string[] = []
  let repaired = false
  const consumer = await running(
    kafka,
    topic,
    {
      eachMessage: async ({ message }) => {
        seen.push(message.offset)
        if (message.offset === '1' && !repaired) throw new Error('broken')
      },
    },
    { retry: { retries: 2 } },
  )
  const found = crashes(consumer)
  await until('it has crashed', () => found.length > 0)
  repaired = true
  await until('all', () => seen.includes('3'))
  await consumer.disconnect()
  const [{ error, restart }] = found as [{ error: Error & { retryCount: number }; restart: boolean }]
  assert.deepEqual(
    [error.name, error.message, error.retryCount, restart],
    ['KafkaJSNumberOfRetriesExceeded', 'broken', 2, true],
  )
  assert.equal((error.cause as Error).message, 'broken')
  assert.equal(seen.filter(offset => offset === '1').length >= 4, true)
  assert.equal(seen.filter(offset => offset === '0').length, 1)
})

test('without retries of its own a consumer tries five times, whatever the client says, as in kafkajs', async () => {
  const kafka = client(context.broker.address, 0)
  const topic = await numbers(kafka, 1)
  let calls = 0
  const eachMessage = async () => {
    calls++
    if (calls < 6) throw new Error('not yet')
  }
  const consumer = await running(kafka, topic, { eachMessage })
  const found = crashes(consumer)
  await until('it is handled', () => calls === 6)
  await consumer.disconnect()
  assert.deepEqual(found, [])
})

test('restartOnFailure decides whether it begins again', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 1)
  const asked: string[] = []
  const restartOnFailure = async ({ message }: Error) => {
    asked.push(message)
    return false
  }
  const eachMessage = () => Promise.reject(new Error('broken'))
  const consumer = await running(kafka, topic, { eachMessage }, { retry: { retries: 0, restartOnFailure } })
  const found = crashes(consumer)
  await until('it has crashed', () => found.length > 0)
  assert.equal(found[0]!.restart, false)
  assert.deepEqual(asked, ['broken'])
  await sleep(100)
  assert.equal(found.length, 1)
  await consumer.disconnect()
})

test('a defect of the handler is not tried again and not begun again', async () => {
  const { kafka } = context
  for (const failure of [new TypeError('a defect'), new KafkaJSNonRetriableError('no')]) {
    const topic = await numbers(kafka, 1)
    let calls = 0
    const consumer = await running(kafka, topic, {
      eachBatch: async () => {
        calls++
        throw failure
      },
    })
    const found = crashes(consumer)
    await until('it has crashed', () => found.length > 0)
    const [{ error, restart }] = found as [{ error: Error; restart: boolean }]
    assert.deepEqual(
      [error.name, error.message, restart, calls],
      ['KafkaJSNonRetriableError', failure.message, false, 1],
    )
    await consumer.disconnect()
  }
})

test('what the group does not allow crashes the consumer, and run returns', async () => {
  const { kafka, broker } = context
  const topic = await numbers(kafka, 1)
  const error = { kind: 'error', code: 'GROUP_AUTHORIZATION_FAILED', when: 'before' } as const
  broker.faults.add({ api: 'JoinGroup', action: error, count: 0 })
  const consumer = kafka.consumer({ groupId: unique('group') })
  const found = crashes(consumer)
  await consumer.connect()
  await consumer.subscribe({ topic })
  await consumer.run({ eachMessage: async () => {} })
  await until('it has crashed', () => found.length > 0)
  broker.faults.clear()
  const [{ error: crash, restart }] = found as [{ error: Error & { type: string; code: number }; restart: boolean }]
  assert.deepEqual([crash.type, crash.code, restart], ['GROUP_AUTHORIZATION_FAILED', 30, false])
  await consumer.disconnect()
})

test('stop waits for the handler, commits what it has done, and the consumer can run again', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 5)
  const groupId = unique('group')
  const seen: string[] = []
  let inHand = false
  const run = {
    eachMessage: async ({ message }: { message: { offset: string } }) => {
      inHand = true
      await sleep(50)
      seen.push(message.offset)
    },
  }
  const consumer = await running(kafka, topic, run, { groupId })
  const told: string[] = []
  for (const name of ['STOP', 'DISCONNECT', 'CONNECT'] as const)
    consumer.on(consumer.events[name], ({ type }) => told.push(type))
  await until('one is in hand', () => inHand)
  await consumer.stop()
  assert.equal(seen.length, 1)
  assert.equal(await committed(kafka, groupId, topic), '1')
  await assert.rejects(async () => consumer.pause([{ topic }]), /consumer#run must be called first/)
  await consumer.run(run)
  await until('all', () => seen.length === 5)
  await consumer.disconnect()
  assert.deepEqual(seen, ['0', '1', '2', '3', '4'])
  assert.deepEqual(told, ['consumer.stop', 'consumer.stop', 'consumer.disconnect'])
  assert.equal(await committed(kafka, groupId, topic), '5')
})

test('a handler may wait for its own consumer to disconnect', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 5)
  let ended = false
  let handled = 0
  await running(kafka, topic, consumer => ({
    eachMessage: async () => {
      handled++
      await consumer.disconnect()
      ended = true
    },
  }))
  await until('it has', () => ended)
  await sleep(50)
  assert.equal(handled, 1)
})

test('a second run changes nothing, a subscription while it runs is refused', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 1)
  let seen = 0
  const eachMessage = async () => {
    seen++
  }
  const consumer = await running(kafka, topic, { eachMessage })
  await consumer.run({ eachMessage: () => assert.fail('the first one runs') })
  await assert.rejects(consumer.subscribe({ topic }), { name: 'KafkaJSNonRetriableError' })
  await until('one', () => seen === 1)
  await consumer.disconnect()
})

test('a member tells of itself while it lives, also when there is nothing to read', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 0, 2)
  const consumer = kafka.consumer({ groupId: unique('group'), heartbeatInterval: 20, maxWaitTimeInMs: 50 })
  const joins: object[] = []
  let heartbeats = 0
  consumer.on(consumer.events.GROUP_JOIN, ({ payload: { memberAssignment, isLeader, groupProtocol } }) =>
    joins.push({ memberAssignment, isLeader, groupProtocol }),
  )
  consumer.on(consumer.events.HEARTBEAT, ({ payload }) => {
    assert.equal(payload.groupGenerationId, 1)
    assert.match(payload.memberId, /./)
    heartbeats++
  })
  await consumer.connect()
  await consumer.subscribe({ topic })
  await consumer.run({ eachMessage: async () => {} })
  await until('three heartbeats', () => heartbeats >= 3)
  await consumer.disconnect()
  const last = heartbeats
  await sleep(60)
  assert.equal(heartbeats, last)
  const expected = { memberAssignment: { [topic]: [0, 1] }, isLeader: true, groupProtocol: 'RoundRobinAssigner' }
  assert.deepEqual(joins, [expected])
})

test('in a rebalance a batch in hand learns of it by heartbeat, and what it has resolved is committed', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 100, 2)
  const groupId = unique('group')
  const config = { groupId, heartbeatInterval: 50 }
  const seen: string[] = []
  let stale = false
  const one = await running(
    kafka,
    topic,
    {
      partitionsConsumedConcurrently: 2,
      eachBatchAutoResolve: false,
      eachBatch: async ({ batch, resolveOffset, heartbeat, isStale }) => {
        for (const { offset } of batch.messages) {
          try {
            await heartbeat()
          } catch (error) {
            assert.equal((error as { type?: string }).type, 'REBALANCE_IN_PROGRESS')
            stale = isStale()
            throw error
          }
          await sleep(20)
          seen.push(`${batch.partition}:${offset}`)
          resolveOffset(offset)
        }
      },
    },
    config,
  )
  const found = crashes(one)
  await until('it works', () => seen.length > 3)
  const two = await running(
    kafka,
    topic,
    {
      eachMessage: async ({ partition, message }) => {
        seen.push(`${partition}:${message.offset}`)
      },
    },
    config,
  )
  await until('all', () => new Set(seen).size === 200)
  assert.ok(stale, 'the batch was stale')
  assert.deepEqual(found, [])
  assert.equal(seen.length, 200, 'none twice')
  await Promise.all([one.disconnect(), two.disconnect()])
})

test('handlers, restartOnFailure and listeners may throw what is no error', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 3)
  const seen: string[] = []
  const thrown = [null, undefined, Symbol('s'), Object.defineProperty(new Error(), 'message', { value: Symbol('m') })]
  const consumer = await running(
    kafka,
    topic,
    {
      eachMessage: async ({ message }) => {
        seen.push(message.offset)
        if (thrown.length > 0) throw thrown.pop()
      },
    },
    { retry: { retries: 5, initialRetryTime: 10 } },
  )
  const found = crashes(consumer)
  // What a listener throws is logged, and never an unhandled rejection.
  consumer.on(consumer.events.END_BATCH_PROCESS, () => Promise.reject(null))
  await until('all', () => seen.includes('2'))
  await consumer.disconnect()
  assert.deepEqual(seen, ['0', '0', '0', '0', '0', '1', '2'])
  assert.deepEqual(found, [])
})

test('a restartOnFailure that throws nothing at all restarts', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 1)
  let calls = 0
  const restartOnFailure = () => Promise.reject(undefined)
  const eachMessage = async () => {
    if (++calls === 1) throw new Error('broken')
  }
  const retry = { retries: 0, initialRetryTime: 10, restartOnFailure }
  const consumer = await running(kafka, topic, { eachMessage }, { retry })
  const found = crashes(consumer)
  await until('it has begun again', () => calls === 2)
  assert.deepEqual(
    found.map(({ restart }) => restart),
    [true],
  )
  await consumer.disconnect()
})
