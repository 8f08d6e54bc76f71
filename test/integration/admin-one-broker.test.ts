/** Admin operations on clusters of many brokers, asked of one broker: a real Kafka and the embedded one answer the same. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Admin, Kafka, KafkaError } from 'dohle'
import { created, type Server, servers, unique } from './servers.ts'

/** For `assert.rejects`: an error of this code with these words. */
const says = (code: string, words: string) => (error: unknown) => {
  assert.ok(error instanceof KafkaError && error.code === code && error.message.includes(words), `${error}`)
  return true
}

for (const [name, start] of servers) {
  describe(`admin operations on one broker, ${name}`, () => {
    let server: Server
    let kafka: Kafka
    let admin: Admin
    let me: number
    before(async () => {
      server = await start()
      kafka = new Kafka({ brokers: server.bootstrap })
      admin = kafka.admin()
      me = (await admin.describeCluster()).controller as number
    })
    after(async () => {
      await kafka?.close()
      await server?.stop()
    })

    test('a partition is where it can be, and its leader is elected', async () => {
      const topic = unique('still')
      await created(admin, [{ topic, partitions: 1 }])
      const move = (replicas: number[] | null) =>
        admin.alterPartitionReassignments([{ topic, partition: 0, replicas: replicas as number[] }])
      await move([me])
      const wrong = 'INVALID_REPLICA_ASSIGNMENT'
      await assert.rejects(move([me, 77]), says(wrong, 'includes broker 77, but no such broker is registered.'))
      await assert.rejects(move([]), says(wrong, 'an empty replica list.'))
      await assert.rejects(move([me, me]), says(wrong, `the broker ${me} more than once.`))
      await assert.rejects(move(null), says('NO_REASSIGNMENT_IN_PROGRESS', 'The partition is not being reassigned.'))
      assert.deepEqual(await admin.listPartitionReassignments(), [])
      const partitions = [{ topic, partition: 0 }]
      for (const kind of ['preferred', 'unclean'] as const) {
        assert.deepEqual(await admin.electLeaders(kind, { partitions }), [{ topic, partition: 0, elected: false }])
      }
      assert.deepEqual(await admin.electLeaders('preferred'), [])
      const none = admin.electLeaders('preferred', { partitions: [{ topic, partition: 9 }] })
      await assert.rejects(none, says('UNKNOWN_TOPIC_OR_PARTITION', `No such partition as ${topic}-9`))
    })

    test('the quorum is this broker, and its voters are fixed', async () => {
      const quorum = await admin.describeMetadataQuorum()
      assert.deepEqual([quorum.leader, quorum.voters.map(of => of.id), quorum.observers], [me, [me], []])
      assert.ok(quorum.highWatermark > 0 && quorum.voters.every(of => of.logEndOffset > 0))
      const voter = { id: 3, directory: 'AAAAAAAAAAAAAAAAAAAAAQ' }
      const endpoint = { name: 'CONTROLLER', host: '127.0.0.1', port: 1 }
      const fixed = says('UNSUPPORTED_VERSION', 'the kraft.version feature is 0')
      await assert.rejects(admin.addRaftVoter(voter, [endpoint]), fixed)
      await assert.rejects(admin.removeRaftVoter(voter), fixed)
      const gone = says('BROKER_ID_NOT_REGISTERED', 'Broker ID 77 is not currently registered')
      await assert.rejects(admin.unregisterBroker(77), gone)
    })
  })
}
