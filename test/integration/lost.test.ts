import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { type BuiltInAssignor, type Consumer, type ConsumerOptions, Kafka } from 'dohle'
import { Broker } from 'dohle/broker'
import { losing } from './losing.ts'
import { created, realKafka, type Server, unique } from './servers.ts'

// `onLost` on Apache Kafka: somebody else takes the member out of its group, as its coordinator does when the session is
// over. The member's next heartbeat is answered UNKNOWN_MEMBER_ID.

const text = (value: string) => {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}
const compact = (value: string) => Buffer.concat([Buffer.from([value.length + 1]), Buffer.from(value)])

/** Sends one request and returns the body of its answer. `header`: what comes after the client id. */
async function ask(bootstrap: string, api: number, header: Buffer, body: Buffer): Promise<Buffer> {
  const [host, port] = bootstrap.split(':')
  const socket = connect(Number(port), host)
  await once(socket, 'connect')
  const head = Buffer.from([0, api, 0, 0, 0, 0, 0, 7])
  const frame = Buffer.concat([head, text('somebody else'), header, body])
  const size = Buffer.alloc(4)
  size.writeInt32BE(frame.length)
  socket.write(Buffer.concat([size, frame]))
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return answer.subarray(8)
}

/** LeaveGroup, version 0. */
async function leaveGroup(bootstrap: string, groupId: string, memberId: string): Promise<void> {
  const answer = await ask(bootstrap, 13, Buffer.alloc(0), Buffer.concat([text(groupId), text(memberId)]))
  assert.equal(answer.readInt16BE(0), 0)
}

/** ConsumerGroupHeartbeat, version 0, with the epoch of a member that leaves. */
async function lastHeartbeat(bootstrap: string, groupId: string, memberId: string): Promise<void> {
  // Epoch −1; no instance, no rack, no rebalance timeout, no topics, no assignor, no partitions; no tags.
  const rest = [0xff, 0xff, 0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]
  const body = Buffer.concat([compact(groupId), compact(memberId), Buffer.from(rest)])
  const answer = await ask(bootstrap, 68, Buffer.from([0]), body)
  // After the tags of the header and the throttle time.
  assert.equal(answer.readInt16BE(5), 0)
}

const lost = ['assigned', 'lost', 'lost and nothing committed', 'assigned']

/** A topic of ten records in one partition. */
async function ten(kafka: Kafka): Promise<string> {
  const topic = unique('lost')
  await created(kafka.admin(), [{ topic, partitions: 1 }])
  await using producer = kafka.producer()
  await producer.sendBatch({ topic, messages: Array.from({ length: 10 }, (_, n) => ({ value: String(n) })) })
  return topic
}

describe('a member that Apache Kafka takes out of its group', () => {
  let server: Server
  let kafka: Kafka
  before(async () => {
    server = await realKafka()
    kafka = new Kafka({ brokers: server.bootstrap })
  })
  after(async () => {
    await kafka?.close()
    await server?.stop()
  })

  const ways: Record<string, [ConsumerOptions, typeof leaveGroup]> = {
    range: [{ partitionAssignmentStrategy: ['range'], heartbeatIntervalMs: 200 }, leaveGroup],
    'cooperative-sticky': [
      { partitionAssignmentStrategy: ['cooperative-sticky'], heartbeatIntervalMs: 200 },
      leaveGroup,
    ],
    'KIP-848': [{ groupProtocol: 'consumer' }, lastHeartbeat],
  }
  for (const [name, [options, leave]] of Object.entries(ways)) {
    test(`is told by onLost and not by onRevoked, commits nothing, and begins anew (${name})`, async () => {
      const topic = await ten(kafka)
      const groupId = unique('group')
      const throwOut = (consumer: Consumer) =>
        leave(server.bootstrap, groupId, consumer.groupMetadata().memberId as string)
      const log = await losing(kafka, topic, { ...options, groupId }, throwOut)
      assert.deepEqual(log, lost)
    })
  }
})

describe('a member that the embedded broker does not know any more', () => {
  let broker: Broker
  let kafka: Kafka
  before(async () => {
    broker = await Broker.start({ port: 0 })
    kafka = new Kafka({ brokers: broker.address })
  })
  after(async () => {
    await kafka?.close()
    await broker?.close()
  })

  for (const code of ['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'] as const) {
    for (const strategy of ['range', 'cooperative-sticky'] as BuiltInAssignor[]) {
      test(`is told by onLost and not by onRevoked, commits nothing, and begins anew (${code}, ${strategy})`, async () => {
        // What the coordinator still remembers of the first life is gone after its session.
        const options = { partitionAssignmentStrategy: [strategy], sessionTimeoutMs: 2_000, heartbeatIntervalMs: 50 }
        const throwOut = async () => {
          broker.faults.add({ api: 'Heartbeat', action: { kind: 'error', code, when: 'before' } })
        }
        assert.deepEqual(
          await losing(kafka, await ten(kafka), { groupId: unique('group'), ...options }, throwOut),
          lost,
        )
      })
    }
  }
})
