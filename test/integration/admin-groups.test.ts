/** Admin operations on groups and transactions, against a real Kafka. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Admin, type Consumer, type ConsumerOptions, Kafka, KafkaError } from 'dohle'
import { eventually, realKafka, type Server, unique } from './servers.ts'

/** For `assert.rejects`: an error of this code. */
const code = (expected: string) => (error: unknown) => error instanceof KafkaError && error.code === expected

describe('admin operations on groups on Apache Kafka', () => {
  let server: Server
  let kafka: Kafka
  let admin: Admin
  before(async () => {
    server = await realKafka()
    kafka = new Kafka({ brokers: server.bootstrap, clientId: 'admin-groups' })
    admin = kafka.admin()
  })
  after(async () => {
    await kafka?.close()
    await server?.stop()
  })

  /** A topic of two partitions with ten records in each. */
  async function filled(what: string): Promise<string> {
    const topic = unique(what)
    await admin.createTopics([{ topic, partitions: 2 }])
    const producer = kafka.producer()
    const messages = Array.from({ length: 20 }, (_, i) => ({ partition: i % 2, value: `${i}` }))
    await producer.sendBatch({ topic, messages })
    await producer.close()
    return topic
  }

  /** A member that has its partitions. */
  async function member(topic: string, groupId: string, options: ConsumerOptions = {}): Promise<Consumer> {
    const consumer = kafka.consumer({ groupId, autoOffsetReset: 'earliest', enableAutoCommit: false, ...options })
    await consumer.subscribe(topic)
    for await (const message of consumer) {
      assert.equal(message.topic, topic)
      break
    }
    return consumer
  }

  const describeGroup = async (groupId: string) => {
    const [group] = await admin.describeGroups([groupId])
    assert.ok(group)
    return group
  }
  const kinds = ['classic', 'consumer'] as const

  for (const kind of kinds) {
    const groupProtocol = kind
    test(`a ${kind} group is listed and described with its members' assignments`, async () => {
      const [topic, groupId] = [await filled('described'), unique('group')]
      const consumer = await member(topic, groupId, { groupProtocol })
      const group = await eventually(
        () => describeGroup(groupId),
        of => of.state === 'Stable',
      )
      assert.equal(group.error, null)
      assert.equal(group.kind, kind)
      assert.ok(group.coordinator !== null && group.assignor !== null)
      assert.equal(group.members.length, 1)
      const [only] = group.members
      assert.equal(only?.clientId, 'admin-groups')
      assert.deepEqual(only?.subscribedTopics, [topic])
      assert.deepEqual(only?.assignment.map(of => [of.topic, of.partition]).sort(), [
        [topic, 0],
        [topic, 1],
      ])
      const [allowed] = await admin.describeGroups([groupId], { includeAuthorizedOperations: true })
      assert.ok(allowed?.authorizedOperations?.includes('READ'))

      const listed = await admin.listGroups({ states: ['Stable'], types: [groupProtocol], protocolTypes: ['consumer'] })
      const entry = listed.find(of => of.groupId === groupId)
      assert.deepEqual([entry?.kind, entry?.state, entry?.protocolType], [kind, 'Stable', 'consumer'])
      const other = await admin.listGroups({ types: [groupProtocol === 'classic' ? 'consumer' : 'classic'] })
      assert.ok(!other.some(of => of.groupId === groupId))
      const empty = await admin.listGroups({ states: ['Empty'] })
      assert.ok(!empty.some(of => of.groupId === groupId))

      await assert.rejects(admin.deleteGroups([groupId]), code('NON_EMPTY_GROUP'))
      await consumer.close()
      await eventually(
        () => describeGroup(groupId),
        of => of.state === 'Empty',
      )
      await admin.deleteGroups([groupId])
      assert.equal((await describeGroup(groupId)).error?.code, 'GROUP_ID_NOT_FOUND')
      await assert.rejects(admin.deleteGroups([groupId]), code('GROUP_ID_NOT_FOUND'))
    })
  }

  test('a group that does not exist is an error of its own beside one that does', async () => {
    const [topic, groupId, none] = [await filled('beside'), unique('group'), unique('none')]
    const consumer = await member(topic, groupId)
    const [missing, there] = await admin.describeGroups([none, groupId])
    assert.deepEqual([missing?.groupId, missing?.error?.code, missing?.state], [none, 'GROUP_ID_NOT_FOUND', null])
    assert.deepEqual([there?.groupId, there?.error], [groupId, null])
    await consumer.close()
  })

  test('offsets of a group are set, listed and forgotten', async () => {
    const [topic, groupId, other] = [await filled('offsets'), unique('group'), unique('group')]
    await admin.alterConsumerGroupOffsets(groupId, [
      { topic, partition: 0, offset: 3, metadata: 'by hand' },
      { topic, partition: 1, offset: 5 },
    ])
    await admin.alterConsumerGroupOffsets(other, [{ topic, partition: 1, offset: 7 }])
    const listed = await admin.listConsumerGroupOffsets(
      [{ groupId }, { groupId: other, partitions: [{ topic, partition: 1 }] }],
      { requireStable: true },
    )
    const plain = listed.map(({ groupId, error, offsets }) => ({
      groupId,
      error,
      offsets: offsets.map(of => [of.topic, of.partition, of.offset, of.metadata, of.error]).sort(),
    }))
    assert.deepEqual(plain, [
      {
        groupId,
        error: null,
        offsets: [
          [topic, 0, 3, 'by hand', null],
          [topic, 1, 5, '', null],
        ],
      },
      { groupId: other, error: null, offsets: [[topic, 1, 7, '', null]] },
    ])
    // The next member begins there.
    const consumer = kafka.consumer({ groupId, enableAutoCommit: false })
    await consumer.subscribe(topic)
    for await (const message of consumer) {
      assert.equal(message.offset, message.partition === 0 ? 3 : 5)
      break
    }
    const held = admin.alterConsumerGroupOffsets(groupId, [{ topic, partition: 0, offset: 1 }])
    await assert.rejects(held, code('UNKNOWN_MEMBER_ID'))
    const subscribed = admin.deleteConsumerGroupOffsets(groupId, [{ topic, partition: 0 }])
    await assert.rejects(subscribed, code('GROUP_SUBSCRIBED_TO_TOPIC'))
    await consumer.close()

    await admin.deleteConsumerGroupOffsets(other, [{ topic, partition: 1 }])
    const [left] = await admin.listConsumerGroupOffsets([{ groupId: other }])
    assert.deepEqual(left?.offsets ?? [], [])
  })

  test('members are removed, by their instance id or all of them', async () => {
    const [topic, groupId] = [await filled('removed'), unique('group')]
    const options = { groupProtocol: 'classic', sessionTimeoutMs: 30_000 } as const
    const consumer = await member(topic, groupId, { ...options, groupInstanceId: 'left-behind' })
    // A static member stays in its group when it closes.
    await consumer.close()
    const names = async () => (await describeGroup(groupId)).members.map(of => of.instanceId)
    assert.deepEqual(await names(), ['left-behind'])
    await assert.rejects(
      admin.removeMembersFromConsumerGroup(groupId, { members: [{ instanceId: 'nobody' }] }),
      code('UNKNOWN_MEMBER_ID'),
    )
    await admin.removeMembersFromConsumerGroup(groupId, { members: [{ instanceId: 'left-behind' }], reason: 'test' })
    assert.deepEqual(await names(), [])

    const again = await member(topic, groupId, { ...options, groupInstanceId: 'again' })
    await again.close()
    assert.deepEqual(await names(), ['again'])
    await admin.removeMembersFromConsumerGroup(groupId)
    assert.deepEqual(await names(), [])
  })

  test('a transaction is listed, described and seen in its partition; its producer is fenced', async () => {
    const [topic, transactionalId] = [await filled('transaction'), unique('tx')]
    const producer = kafka.producer({ transactionalId })
    let fenced: unknown
    const ended = producer
      .transaction(async tx => {
        await tx.send({ topic, partition: 1, value: 'open' })
        const listed = await admin.listTransactions({ states: ['Ongoing'], pattern: `${transactionalId}` })
        assert.deepEqual(
          listed.map(of => [of.transactionalId, of.state]),
          [[transactionalId, 'Ongoing']],
        )
        const id = listed[0]?.producerId as number
        const byProducer = await admin.listTransactions({ producerIds: [id] })
        assert.deepEqual(
          byProducer.map(of => of.transactionalId),
          [transactionalId],
        )
        assert.deepEqual(await admin.listTransactions({ runningLongerMs: 600_000, pattern: transactionalId }), [])

        const [described, none] = await admin.describeTransactions([transactionalId, unique('none')])
        assert.equal(described?.state, 'Ongoing')
        assert.equal(described?.producerId, id)
        assert.deepEqual(described?.partitions, [{ topic, partition: 1 }])
        assert.equal(none?.error?.code, 'TRANSACTIONAL_ID_NOT_FOUND')

        const [seen] = await admin.describeProducers([{ topic, partition: 1 }])
        const active = seen?.producers.find(of => of.producerId === id)
        assert.equal(active?.transactionStart, 10)

        const [taken] = await admin.fenceProducers([transactionalId])
        assert.equal(taken?.transactionalId, transactionalId)
        fenced = taken
      })
      .then(
        () => undefined,
        error => error,
      )
    const error = await ended
    assert.ok(fenced, `${error}`)
    assert.ok(error instanceof KafkaError && !(error instanceof assert.AssertionError), `${error}`)
    const [described] = await admin.describeTransactions([transactionalId])
    assert.notEqual(described?.state, 'Ongoing')
    await producer.close().catch(() => {})
  })

  test('abortTransaction ends a transaction in a partition', async () => {
    const [topic, transactionalId] = [await filled('hanging'), unique('tx')]
    const producer = kafka.producer({ transactionalId })
    const ended = producer.transaction(async tx => {
      await tx.send({ topic, partition: 0, value: 'open' })
      const open = async () => {
        const [seen] = await admin.describeProducers([{ topic, partition: 0 }])
        return seen?.producers.find(of => of.transactionStart !== null)
      }
      const hanging = await open()
      assert.ok(hanging)
      const { producerId, producerEpoch } = hanging
      await admin.abortTransaction({ topic, partition: 0, producerId, producerEpoch, coordinatorEpoch: 0 })
      assert.equal(await open(), undefined)
      throw new Error('enough')
    })
    await assert.rejects(ended, error => !(error instanceof assert.AssertionError))
    await producer.close().catch(() => {})
  })
})
