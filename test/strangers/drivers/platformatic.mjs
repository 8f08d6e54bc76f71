/** @platformatic/kafka as a driver of the cases: platformatic.mjs BOOTSTRAP. Its administration is in platformatic-admin.mjs. */
import { randomUUID } from 'node:crypto'
import { T0 } from '../table.ts'
import { records, serve, text, until } from './kit.ts'
import { administration, code, committed, ignore, kafka, stateOf } from './platformatic-admin.mjs'

const { Admin, Consumer, Producer } = kafka
const base = { clientId: 'platformatic', bootstrapBrokers: [process.argv[2]], retries: 10, retryDelay: 200 }
const admin = new Admin({ ...base, retries: 3 })
const buffer = value => (value === null || value === undefined ? undefined : Buffer.from(value))

/** Sends to partition 0, and gives the offset of the first. */
async function send(topic, messages, options = {}) {
  const producer = new Producer({ ...base, idempotent: true, ...options })
  try {
    const all = messages.map(message => ({ topic, partition: 0, ...message }))
    const { offsets } = await producer.send({ messages: all, acks: -1 })
    return Number(offsets[0].offset)
  } finally {
    await producer.close()
  }
}

/** So many messages of a partition from an offset. */
async function read(topic, partition, offset, count, options = {}) {
  const consumer = new Consumer({ ...base, groupId: `reads-${randomUUID()}` })
  try {
    const offsets = [{ topic, partition, offset: BigInt(offset) }]
    const own = { mode: 'manual', offsets, autocommit: false, maxWaitTime: 100 }
    const stream = await consumer.consume({ topics: [topic], ...own, ...options })
    const messages = []
    for await (const message of stream) {
      messages.push(message)
      if (messages.length === count) break
    }
    await stream.close()
    return messages
  } finally {
    await consumer.close(true)
  }
}

/** The offset of a time for each partition. */
async function offsetsOf(topic, timestamp, isolationLevel = 0) {
  const consumer = new Consumer({ ...base, groupId: `asks-${randomUUID()}` })
  try {
    const found = await consumer.listOffsets({ topics: [topic], timestamp: BigInt(timestamp), isolationLevel })
    return found.get(topic).map(Number)
  } finally {
    await consumer.close(true)
  }
}

const values = messages => messages.map(({ value }) => text(value))
const offsets = messages => messages.map(({ offset }) => Number(offset))

/** A member of a group: what it has, and what it has read. */
class Member {
  next = {}

  static async start(topic, seen, options) {
    const member = new Member()
    const own = { groupId: `${topic}-group`, autocommit: false, maxWaitTime: 100 }
    member.topic = topic
    member.consumer = new Consumer({ ...base, ...own, ...options })
    member.stream = await member.consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' })
    member.stream.on('error', error => {
      member.failed = error
    })
    member.stream.on('data', ({ partition, offset }) => {
      seen.add(`${partition}:${offset}`)
      member.next[partition] = Number(offset) + 1
    })
    return member
  }

  get places() {
    const found = (this.consumer.assignments ?? []).filter(({ topic }) => topic === this.topic)
    return found.flatMap(({ partitions }) => partitions).sort()
  }

  commit(offsets) {
    return this.consumer.commit({ offsets })
  }

  async end() {
    await this.stream.close().catch(ignore)
    await this.consumer.close(true)
  }
}

async function rebalances(topic, options) {
  const [groupId, seen, steps] = [`${topic}-group`, new Set(), []]
  const settle = async (members, want, read = () => true) => {
    const counts = () => members.map(({ places }) => places.length)
    await until(`${want}`, () => `${counts()}` === `${want}` && read())
    steps.push(counts())
  }
  const one = await Member.start(topic, seen, options)
  await settle([one], [4])
  const two = await Member.start(topic, seen, options)
  await settle([one, two], [2, 2])
  await one.end()
  // The one that is left reads what nobody has committed.
  const places = [0, 1, 2, 3]
  await settle([two], [4], () => places.every(partition => two.next[partition] === 10))
  await two.commit(places.map(partition => ({ topic, partition, offset: 10n, leaderEpoch: -1 })))
  const described = options.groupProtocol === 'consumer' ? {} : { stable: await stateOf(admin, groupId) }
  await two.end()
  if (described.stable) {
    described.empty = await until('the group is empty', async () => {
      const now = await stateOf(admin, groupId)
      return now[1] === 0 && now
    })
  }
  return { steps, read: seen.size, committed: await committed(admin, groupId, topic, 4), ...described }
}

await serve({
  async codec(topic, compression) {
    const messages = records.map(({ key, value, headers, timestamp }) => ({
      key: buffer(key),
      value: buffer(value),
      timestamp: BigInt(timestamp),
      // Keys that are different objects, so that a name can be there twice.
      headers: new Map(
        Object.entries(headers).flatMap(([name, given]) => [given].flat().map(one => [buffer(name), buffer(one)])),
      ),
    }))
    await send(topic, messages, { compression })
    const found = await read(topic, 0, 0, records.length)
    return {
      records: found.map(({ offset, key, value, headerEntries, timestamp }) => ({
        offset: Number(offset),
        key: text(key),
        value: text(value),
        headers: headerEntries.map(([name, one]) => [text(name), text(one)]),
        timestamp: Number(timestamp),
      })),
    }
  },

  async 'too-large'(topic) {
    const error = await code(() => send(topic, [{ value: buffer('x'.repeat(20_000)) }]))
    const offset = await send(topic, [{ value: buffer('small') }])
    return { error, offset, end: (await offsetsOf(topic, -1))[0] }
  },

  async 'append-time'(topic) {
    await send(topic, [{ value: buffer('v'), timestamp: BigInt(T0) }])
    const [message] = await read(topic, 0, 0, 1)
    return { brokersClock: Math.abs(Date.now() - Number(message.timestamp)) < 3_600_000 }
  },

  async 'auto-create'(name) {
    const topic = `${name}-auto`
    const offset = await send(topic, [{ value: buffer('v') }], { autocreateTopics: true })
    const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true })
    return { offset, partitions: topics.get(topic).partitionsCount }
  },

  async fetch(topic) {
    const messages = await read(topic, 1, 4, 6)
    const earliest = await offsetsOf(topic, -2)
    return { values: values(messages), offsets: offsets(messages), earliest, latest: await offsetsOf(topic, -1) }
  },

  async 'seek-by-time'(topic) {
    const found = []
    for (const after of [-1, 4_500, 5_000, 9_001]) {
      const [offset] = await offsetsOf(topic, T0 + after)
      found.push(offset < 0 ? null : offset)
    }
    return { offsets: found, values: values(await read(topic, 0, found[1], 5)) }
  },

  async 'list-offsets'(topic) {
    const [earliest, latest, byTime, largest] = await Promise.all(
      [-2, -1, T0 + 1, -3].map(time => offsetsOf(topic, time)),
    )
    return { earliest: earliest[0], latest: latest[0], byTime: byTime[0], largest: largest[0] }
  },

  'group-classic': topic => rebalances(topic, { heartbeatInterval: 300 }),
  'group-848': topic => rebalances(topic, { groupProtocol: 'consumer' }),

  async transactions(topic) {
    const groupId = `${topic}-group`
    const make = () => new Producer({ ...base, idempotent: true, transactionalId: `${topic}-tx`, retries: 3 })
    const one = make()
    const begin = async (...list) => {
      const transaction = await one.beginTransaction()
      await transaction.send({ messages: list.map(value => ({ topic, partition: 0, value: buffer(value) })), acks: -1 })
      return transaction
    }
    await (await begin('a0', 'a1')).commit()
    await (await begin('b0', 'b1')).abort()
    const consumer = new Consumer({ ...base, groupId, isolationLevel: 1, maxWaitTime: 100 })
    const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false })
    const own = []
    for await (const message of stream) if (own.push(message) === 2) break
    const third = await begin('c0')
    await third.addConsumer(consumer)
    await third.addOffset(own[1])
    await third.commit()
    await stream.close().catch(ignore)
    await consumer.close(true)
    const open = await begin('d0')
    const ends = async () => [(await offsetsOf(topic, -1, 1))[0], (await offsetsOf(topic, -1, 0))[0]]
    const before = await ends()
    const found = await read(topic, 0, 0, 3, { isolationLevel: 1 })
    const uncommitted = await read(topic, 0, 0, 6, { isolationLevel: 0 })
    await open.abort()
    const result = {
      committed: values(found),
      offsets: offsets(found),
      uncommitted: values(uncommitted).slice(0, 5),
      ends: before,
      groupOffset: (await committed(admin, groupId, topic, 1))[0],
      final: await ends(),
    }
    await one.close(true)
    return result
  },

  ...administration(admin),
})
