/** A group whose members move from kafkajs to `dohle/kafkajs` one after the other: as a service does when it is rolled out. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import * as ours from 'dohle/kafkajs'
import * as theirs from 'kafkajs'
import { ready, realKafka, type Server, unique } from './servers.ts'

const PATIENCE = 120_000

async function until(what: string, done: () => boolean, state?: () => unknown): Promise<void> {
  for (let waited = 0; !done(); waited += 50) {
    assert.ok(waited < PATIENCE, `never: ${what}${state ? ` (${JSON.stringify(state())})` : ''}`)
    await sleep(50)
  }
}

/** What this file needs of either client. */
type Library = Pick<typeof ours, 'Kafka' | 'logLevel'>
const libraries = { kafkajs: theirs as unknown as Library, 'dohle/kafkajs': ours }
type Name = keyof typeof libraries

describe('a group during a roll-out', () => {
  let server: Server
  before(async () => {
    server = await realKafka()
  })
  after(() => server?.stop())

  /** What a test that fails leaves open. */
  const open: { disconnect(): Promise<void> }[] = []
  afterEach(async () => {
    for (const one of open.splice(0)) await one.disconnect()
  })

  const client = (name: Name) => {
    const { Kafka, logLevel } = libraries[name]
    return new Kafka({ clientId: name, brokers: [server.bootstrap], logLevel: logLevel.NOTHING })
  }

  /** A member, what it has, and what it has seen. */
  async function member(name: Name, groupId: string, topic: string, seen: Map<string, number>) {
    const consumer = client(name).consumer({ groupId, heartbeatInterval: 200, maxWaitTimeInMs: 200 })
    open.push(consumer)
    const has = { partitions: [] as number[], leads: false, protocol: '' }
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      has.partitions = payload.memberAssignment[topic] ?? []
      has.leads = payload.isLeader
      has.protocol = payload.groupProtocol
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      partitionsConsumedConcurrently: 4,
      eachMessage: async ({ partition, message }) => {
        const id = `${partition}:${message.offset}`
        seen.set(id, (seen.get(id) ?? 0) + 1)
      },
    })
    return { name, consumer, has }
  }

  for (const order of [
    ['kafkajs', 'dohle/kafkajs'],
    ['dohle/kafkajs', 'kafkajs'],
  ] as const) {
    test(`members move from ${order[0]} to ${order[1]}: each record is handled, each member has partitions`, async () => {
      const [from, to] = order
      const topic = unique('rollout')
      const groupId = unique('group')
      const admin = client(from).admin()
      await admin.connect()
      await admin.createTopics({ topics: [{ topic, numPartitions: 4 }], waitForLeaders: false })
      await ready(server.bootstrap, { [topic]: 4 })
      await admin.disconnect()

      // Ours: kafkajs leaves out what is for a partition of a new topic that has no leader yet, and tells nobody.
      const producer = client('dohle/kafkajs').producer()
      open.push(producer)
      await producer.connect()
      let sent = 0
      let going = true
      const sending = (async () => {
        while (going && open.includes(producer)) {
          const messages = Array.from({ length: 10 }, (_, i) => ({ partition: i % 4, value: String(sent + i) }))
          await producer.send({ topic, messages })
          sent += messages.length
          await sleep(20)
        }
      })()

      const seen = new Map<string, number>()
      const partitionsOf = (...members: Awaited<ReturnType<typeof member>>[]) =>
        members.flatMap(({ has }) => has.partitions).sort()
      const shared = (what: string, ...members: Awaited<ReturnType<typeof member>>[]) =>
        until(
          what,
          () => `${partitionsOf(...members)}` === '0,1,2,3' && members.every(m => m.has.partitions.length === 2),
        )

      const [one, two] = await Promise.all([member(from, groupId, topic, seen), member(from, groupId, topic, seen)])
      await shared(`two of ${from}`, one, two)
      await one.consumer.disconnect()
      const three = await member(to, groupId, topic, seen)
      await shared(`one of each`, two, three)
      assert.equal(three.has.protocol, 'RoundRobinAssigner')
      // Whoever leads, both members read on.
      const before = sent
      await until('records of after the change', () => seen.size > before)
      await two.consumer.disconnect()
      const four = await member(to, groupId, topic, seen)
      await shared(`two of ${to}`, three, four)

      going = false
      await sending
      const missing = () => {
        const last = (partition: number) =>
          Math.max(-1, ...[...seen.keys()].filter(id => id.startsWith(`${partition}:`)).map(id => Number(id.slice(2))))
        const gaps = (partition: number) =>
          Array.from({ length: last(partition) + 1 }, (_, offset) => offset).filter(
            offset => !seen.has(`${partition}:${offset}`),
          )
        return { seen: seen.size, sent, last: [0, 1, 2, 3].map(last), gaps: [0, 1, 2, 3].map(gaps) }
      }
      await until('every record', () => seen.size === sent, missing)
      await Promise.all([three.consumer.disconnect(), four.consumer.disconnect(), producer.disconnect()])
      assert.equal(seen.size, sent)
    })
  }
})
