/** kafkajs' consumer on our engine: what handlers get, resolve, pause and seek. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { unique } from '../support.ts'
import { append, committed, numbers, running, setUp, until } from './support.ts'

const context = setUp()
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => String(from + i))

test('records of a partition come in order, and what is handled is committed', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 500)
  const groupId = unique('group')
  const seen: string[] = []
  const eachMessage = async ({ message }: { message: { value: Buffer | null } }) => {
    seen.push(String(message.value))
  }
  const consumer = await running(kafka, topic, { eachMessage }, { groupId })
  await until('all', () => seen.length === 500)
  await consumer.disconnect()
  assert.deepEqual(seen, range(0, 500))
  assert.equal(await committed(kafka, groupId, topic), '500')
  await append(kafka, topic, 500, 510)
  const again = await running(kafka, topic, { eachMessage }, { groupId })
  await until('the rest', () => seen.length === 510)
  await again.disconnect()
  assert.deepEqual(seen, range(0, 510))
})

test('partitions are handled as many at a time as partitionsConsumedConcurrently says', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 20, 4)
  for (const [partitionsConsumedConcurrently, expected] of [
    [undefined, 1],
    [3, 3],
    [9, 4],
  ] as const) {
    const busy = new Set<number>()
    let most = 0
    let seen = 0
    const consumer = await running(kafka, topic, {
      partitionsConsumedConcurrently,
      eachMessage: async ({ partition }) => {
        assert.ok(!busy.has(partition), 'one at a time of a partition')
        busy.add(partition)
        most = Math.max(most, busy.size)
        await sleep(5)
        busy.delete(partition)
        seen++
      },
    })
    await until('all', () => seen === 80)
    await consumer.disconnect()
    assert.equal(most, expected)
  }
})

test('of a batch that is not resolved to its end the rest comes again, in eachBatch', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 10)
  const groupId = unique('group')
  const batches: string[] = []
  const consumer = await running(
    kafka,
    topic,
    {
      eachBatchAutoResolve: false,
      eachBatch: async ({ batch, resolveOffset }) => {
        batches.push(`${batch.firstOffset()}-${batch.lastOffset()}`)
        resolveOffset(String(Math.min(Number(batch.firstOffset()) + 3, 9)))
      },
    },
    { groupId },
  )
  await until('all', () => batches.length === 3)
  await consumer.disconnect()
  assert.deepEqual(batches, ['0-9', '4-9', '8-9'])
  assert.equal(await committed(kafka, groupId, topic), '10')
})

test('helpers of eachBatch: what is uncommitted, commits that are due, whether it runs', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 10)
  const groupId = unique('group')
  const found: unknown[] = []
  const consumer = await running(
    kafka,
    topic,
    {
      autoCommitThreshold: 5,
      eachBatch: async helpers => {
        const { resolveOffset, commitOffsetsIfNecessary, uncommittedOffsets, heartbeat, isRunning, isStale } = helpers
        found.push(uncommittedOffsets())
        resolveOffset('3')
        await commitOffsetsIfNecessary()
        found.push(uncommittedOffsets(), await committed(kafka, groupId, topic))
        resolveOffset('4')
        await commitOffsetsIfNecessary()
        found.push(uncommittedOffsets(), await committed(kafka, groupId, topic))
        const topics = [{ topic, partitions: [{ partition: 0, offset: '7' }] }]
        await commitOffsetsIfNecessary({ topics })
        await heartbeat()
        found.push(await committed(kafka, groupId, topic), isRunning(), isStale())
      },
    },
    { groupId },
  )
  await until('it is handled', () => found.length === 8)
  await consumer.disconnect()
  const topics = [{ topic, partitions: [{ partition: 0, offset: '4' }] }]
  assert.deepEqual(found, [{ topics: [] }, { topics }, '-1', { topics: [] }, '5', '7', true, false])
  assert.equal(await committed(kafka, groupId, topic), '10')
})

test('without autoCommit nothing is committed but what the program commits', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 10)
  const groupId = unique('group')
  let seen = 0
  const eachMessage = async () => {
    seen++
  }
  const consumer = await running(kafka, topic, { autoCommit: false, eachMessage }, { groupId })
  const told: unknown[] = []
  consumer.on(consumer.events.COMMIT_OFFSETS, ({ payload }) => told.push(payload.topics))
  await until('all', () => seen === 10)
  assert.equal(await committed(kafka, groupId, topic), '-1')
  await consumer.commitOffsets([{ topic, partition: 0, offset: '4', metadata: 'mine' }])
  assert.deepEqual(told, [[{ topic, partitions: [{ partition: 0, offset: '4' }] }]])
  await consumer.disconnect()
  assert.equal(await committed(kafka, groupId, topic), '4')
})

test('a seek goes there, right after run too, and to the ends', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 20)
  const groupId = unique('group')
  const seen: string[] = []
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 50 })
  await consumer.connect()
  await consumer.subscribe({ topic })
  const joined = consumer.run({
    eachMessage: async ({ message }) => {
      seen.push(message.offset)
    },
  })
  consumer.seek({ topic, partition: 0, offset: '15' })
  await joined
  // The group goes on there too, whatever becomes of this consumer.
  await until('it is committed', async () => Number(await committed(kafka, groupId, topic)) >= 15)
  await until('from there on', () => seen.length === 5)
  assert.deepEqual(seen, range(15, 20))
  consumer.seek({ topic, partition: 0, offset: '18' })
  await until('again', () => seen.length === 7)
  consumer.seek({ topic, partition: 0, offset: '-2' })
  await until('the whole', () => seen.length === 27)
  await consumer.disconnect()
  assert.deepEqual(seen.slice(5), [...range(18, 20), ...range(0, 20)])
})

test('a seek in a handler ends its batch, which says that it is stale', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 10)
  const seen: string[] = []
  const consumer = await running(kafka, topic, consumer => ({
    eachBatch: async ({ batch, resolveOffset, isStale }) => {
      for (const { offset } of batch.messages) {
        if (isStale()) return
        seen.push(offset)
        resolveOffset(offset)
        if (offset === '2' && seen.length === 3) consumer.seek({ topic, partition: 0, offset: '8' })
      }
    },
  }))
  await until('the end', () => seen.includes('9'))
  await consumer.disconnect()
  assert.deepEqual(seen, ['0', '1', '2', '8', '9'])
})

test('a paused partition stands still, in eachMessage after the record in hand, until it is resumed', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 10)
  const seen: string[] = []
  let resume = () => {}
  const consumer = await running(kafka, topic, {
    eachMessage: async ({ message, pause }) => {
      seen.push(message.offset)
      if (message.offset === '3') resume = pause()
    },
  })
  await until('it is paused', () => seen.length === 4)
  await sleep(100)
  assert.deepEqual(consumer.paused(), [{ topic, partitions: [0] }])
  assert.equal(seen.length, 4)
  resume()
  await until('the rest', () => seen.length === 10)
  assert.deepEqual(consumer.paused(), [])
  await consumer.disconnect()
  assert.deepEqual(seen, range(0, 10))
})

test('what a handler of a batch has left when it paused comes after resume', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 10)
  const batches: (string | null)[] = []
  const consumer = await running(kafka, topic, {
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, pause }) => {
      batches.push(batch.firstOffset())
      if (batches.length > 1) return resolveOffset(batch.lastOffset())
      resolveOffset('3')
      pause()
    },
  })
  await until('it is paused', () => consumer.paused().length === 1)
  await sleep(100)
  assert.deepEqual(batches, ['0'])
  consumer.resume([{ topic }])
  await until('the rest', () => batches.length === 2)
  await consumer.disconnect()
  assert.deepEqual(batches, ['0', '4'])
})

test('a topic that is paused before it has partitions is paused when it has, but for what is resumed', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 5, 3)
  const partitions = new Set<number>()
  const consumer = kafka.consumer({ groupId: unique('group'), maxWaitTimeInMs: 50 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const joined = consumer.run({
    eachMessage: async ({ partition }) => {
      partitions.add(partition)
    },
  })
  consumer.pause([{ topic }])
  consumer.resume([{ topic, partitions: [1] }])
  await joined
  await until('that of one', () => partitions.has(1))
  await sleep(100)
  assert.deepEqual([...partitions], [1])
  assert.deepEqual(consumer.paused(), [{ topic, partitions: [0, 2] }])
  await consumer.disconnect()
})

test('topics that begin elsewhere than others of the same consumer do', async () => {
  const { kafka } = context
  const [all, fresh] = [await numbers(kafka, 3), await numbers(kafka, 3)]
  const consumer = kafka.consumer({ groupId: unique('group'), maxWaitTimeInMs: 50 })
  await consumer.connect()
  await consumer.subscribe({ topics: [all], fromBeginning: true })
  await consumer.subscribe({ topics: [fresh], fromBeginning: false })
  const seen: string[] = []
  await consumer.run({
    eachMessage: async ({ topic, message }) => {
      seen.push(`${topic}:${message.value}`)
    },
  })
  await until('the old ones', () => seen.length === 3)
  await append(kafka, fresh, 3, 4)
  await until('the new one', () => seen.length === 4)
  await consumer.disconnect()
  assert.deepEqual(seen, [...range(0, 3).map(value => `${all}:${value}`), `${fresh}:3`])
})

test('a RegExp subscribes to the topics that there are', async () => {
  const { kafka } = context
  const [one, two] = [await numbers(kafka, 1), await numbers(kafka, 1)]
  const seen = new Set<string>()
  const consumer = kafka.consumer({ groupId: unique('group'), maxWaitTimeInMs: 50 })
  await consumer.connect()
  await consumer.subscribe({ topics: [new RegExp(`^(${one}|${two})$`)], fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ topic }) => {
      seen.add(topic)
    },
  })
  await until('both', () => seen.size === 2)
  await consumer.disconnect()
})
