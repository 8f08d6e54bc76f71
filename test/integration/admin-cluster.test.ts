/** Admin operations that need several brokers: moves of partitions, elections, features, the quorum. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Admin, Kafka, KafkaError } from 'dohle'
import { KafkaCluster } from '../../scripts/kafka-cluster.mjs'
import { becomes, created, eventually, unique } from './servers.ts'

/** For `assert.rejects`: an error of this code. */
const code = (expected: string) => (error: unknown) => error instanceof KafkaError && error.code === expected

describe('admin operations on three brokers', () => {
  let cluster: KafkaCluster
  let kafka: Kafka
  let admin: Admin
  before(async () => {
    cluster = await KafkaCluster.start()
    kafka = new Kafka({ brokers: cluster.bootstrap })
    admin = kafka.admin()
  })
  after(async () => {
    await kafka?.close()
    await cluster?.stop()
  })

  /** Undefined until every broker knows the topic. */
  const partition = async (topic: string) => {
    const [described] = await admin.describeTopics([topic]).catch(error => {
      if (error.code === 'UNKNOWN_TOPIC_OR_PARTITION') return []
      throw error
    })
    return described?.partitions[0]
  }

  test('the copies of a partition move to other brokers, and their leader is elected', async () => {
    const topic = unique('moved')
    await created(admin, [{ topic, assignments: [[1, 2]] }])
    await admin.alterPartitionReassignments([{ topic, partition: 0, replicas: [3, 1] }])
    const moved = await eventually(
      () => partition(topic),
      of => of?.replicas.join() === '3,1' && of.inSync.length === 2,
    )
    assert.ok(moved)
    assert.deepEqual(await admin.listPartitionReassignments({ partitions: [{ topic, partition: 0 }] }), [])
    // Whoever leads now, the first of the replicas shall.
    const [elected] = await admin.electLeaders('preferred', { partitions: [{ topic, partition: 0 }] })
    assert.deepEqual([elected?.topic, elected?.partition], [topic, 0])
    await eventually(
      () => partition(topic),
      of => of?.leader === 3,
    )
    const again = await admin.electLeaders('preferred', { partitions: [{ topic, partition: 0 }] })
    assert.equal(again[0]?.elected, false)
    await assert.rejects(
      admin.alterPartitionReassignments([{ topic, partition: 0, replicas: null }]),
      code('NO_REASSIGNMENT_IN_PROGRESS'),
    )
    await assert.rejects(
      admin.alterPartitionReassignments([{ topic, partition: 0, replicas: [1, 77] }]),
      code('INVALID_REPLICA_ASSIGNMENT'),
    )
  })

  test('a move to a broker that is down is listed until it is stopped; a fenced broker is told; a leader is elected', async () => {
    const topic = unique('stuck')
    await created(admin, [{ topic, assignments: [[3, 1]] }])
    await eventually(
      () => partition(topic),
      of => of?.leader === 3 && of.inSync.length === 2,
    )
    const third = cluster.servers[2] as KafkaCluster['servers'][number]
    await third.kill()
    await eventually(
      async () => (await admin.describeCluster()).brokers.map(of => of.id),
      ids => ids.join() === '1,2',
    )
    const all = () => admin.describeCluster({ includeFencedBrokers: true, includeAuthorizedOperations: true })
    await becomes(
      async () => (await all()).brokers.map(of => [of.id, of.fenced]),
      [
        [1, false],
        [2, false],
        [3, true],
      ],
    )
    assert.ok((await all()).authorizedOperations?.includes('ALTER'))
    await eventually(
      () => partition(topic),
      of => of?.leader === 1,
    )

    const other = unique('listed')
    await created(admin, [{ topic: other, assignments: [[1]] }])
    await admin.alterPartitionReassignments([{ topic: other, partition: 0, replicas: [3] }])
    const moving = await admin.listPartitionReassignments()
    assert.deepEqual(
      moving.map(of => [of.topic, of.partition, of.adding, of.removing]),
      [[other, 0, [3], [1]]],
    )
    await admin.alterPartitionReassignments([{ topic: other, partition: 0 }])
    assert.deepEqual(await admin.listPartitionReassignments(), [])

    await cluster.restart(third)
    // Those of the test before too: all partitions are asked to elect.
    const topics = (await admin.listTopics()).map(of => of.topic)
    await eventually(
      async () => (await admin.describeTopics(topics)).flatMap(of => of.partitions),
      all => all.every(of => of.inSync.length === of.replicas.length),
    )
    await admin.electLeaders('preferred')
    await eventually(
      () => partition(topic),
      of => of?.leader === 3,
    )
  })

  test('groups and transactions of all brokers are listed', async () => {
    const topic = unique('spread')
    await created(admin, [{ topic, partitions: 1 }])
    const groups = Array.from({ length: 30 }, () => unique('group'))
    await Promise.all(groups.map(id => admin.alterConsumerGroupOffsets(id, [{ topic, partition: 0, offset: 1 }])))
    const listed = (await admin.listGroups()).filter(of => groups.includes(of.groupId))
    assert.deepEqual(
      listed.map(of => of.groupId),
      [...groups].sort(),
    )
    assert.ok(new Set(listed.map(of => of.coordinator)).size > 1, 'they are on several brokers')
    const offsets = await admin.listConsumerGroupOffsets(groups.map(groupId => ({ groupId })))
    assert.deepEqual(
      offsets.map(of => of.offsets[0]?.offset),
      groups.map(() => 1),
    )
    assert.equal((await admin.describeLogDirs()).length, 3)
  })

  test('features are described, and a wrong level is refused', async () => {
    const { finalized, supported, epoch } = await admin.describeFeatures()
    const names = finalized.map(of => of.name)
    assert.ok(names.includes('metadata.version') && names.includes('transaction.version'), names.join())
    assert.ok(supported.length >= finalized.length && epoch !== null)
    const version = async () => (await admin.describeFeatures()).finalized.find(of => of.name === 'group.version')?.max
    assert.equal(await version(), 1)
    const down = [{ name: 'group.version', level: 0, upgrade: 'safeDowngrade' as const }]
    await admin.updateFeatures(down, { validateOnly: true })
    assert.equal(await version(), 1)
    await admin.updateFeatures(down)
    await eventually(version, level => level === undefined || level === 0)
    await admin.updateFeatures([{ name: 'group.version', level: 1 }])
    await eventually(version, level => level === 1)
    await assert.rejects(admin.updateFeatures([{ name: 'group.version', level: 99 }]), KafkaError)
  })

  test('the quorum is described', async () => {
    const quorum = await eventually(
      () => admin.describeMetadataQuorum(),
      // A leader that has just been elected does not know yet how far the others are.
      of => of.highWatermark > 0 && of.voters.every(voter => voter.logEndOffset > 0),
    )
    assert.deepEqual(quorum.voters.map(of => of.id).sort(), [1, 2, 3])
    assert.ok(quorum.leader !== null)
    // The voters of this cluster are in its file: the controller says that they cannot change, and nothing about the request.
    const voter = { id: 3, directory: 'AAAAAAAAAAAAAAAAAAAAAQ' }
    const endpoint = { name: 'CONTROLLER', host: '127.0.0.1', port: 1 }
    const refused = (error: unknown) => error instanceof KafkaError && !/cluster id/.test(error.message)
    await assert.rejects(admin.addRaftVoter(voter, [endpoint]), refused)
    await assert.rejects(admin.removeRaftVoter(voter), refused)
  })

  test('a broker is forgotten only when it is known', async () => {
    await assert.rejects(admin.unregisterBroker(77), code('BROKER_ID_NOT_REGISTERED'))
  })
})
