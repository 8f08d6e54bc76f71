/** Admin operations on groups and transactions, against a real Kafka. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Consumer, type ConsumerOptions, KafkaError } from 'dohle'
import { administered, code, filled } from './administered.ts'
import { eventually, unique } from './servers.ts'

describe('admin operations on groups on Apache Kafka', () => {
  const context = administered('admin-groups')

  /** A member that has its partitions. */
  async function member(topic: string, groupId: string, options: ConsumerOptions = {}): Promise<Consumer> {
    const consumer = context.kafka.consumer({
      groupId,
      autoOffsetReset: 'earliest',
      enableAutoCommit: false,
      ...options,
    })
    await consumer.subscribe(topic)
    for await (const message of consumer) {
      assert.equal(message.topic, topic)
      break
    }
    return consumer
  }

  const describeGroup = async (groupId: string) => {
    const [group] = await context.admin.describeGroups([groupId])
    assert.ok(group)
    return group
  }
  const kinds = ['classic', 'consumer'] as const

  for (const kind of kinds) {
    const groupProtocol = kind
    test(`a ${kind} group is listed and described with its members' assignments`, async () => {
      const [topic, groupId] = [await filled(context.kafka, 'described', 10), unique('group')]
      const consumer = await member(topic, groupId, { groupProtocol })
      const group = await eventually(
        () => describeGroup(groupId),
        of => of.state === 'Stable',
      )
      assert.equal(group.error, null)
      assert.equal(group.type, kind)
      assert.ok(group.coordinator !== null && group.assignor !== null)
      assert.equal(group.members.length, 1)
      const [only] = group.members
      assert.equal(only?.clientId, 'admin-groups')
      assert.deepEqual(only?.subscribedTopics, [topic])
      assert.deepEqual(only?.assignment.map(of => [of.topic, of.partition]).sort(), [
        [topic, 0],
        [topic, 1],
      ])
      const [allowed] = await context.admin.describeGroups([groupId], { includeAuthorizedOperations: true })
      assert.ok(allowed?.authorizedOperations?.includes('READ'))

      const listed = await context.admin.listGroups({
        states: ['Stable'],
        types: [groupProtocol],
        protocolTypes: ['consumer'],
      })
      const entry = listed.find(of => of.groupId === groupId)
      assert.deepEqual([entry?.type, entry?.state, entry?.protocolType], [kind, 'Stable', 'consumer'])
      const other = await context.admin.listGroups({ types: [groupProtocol === 'classic' ? 'consumer' : 'classic'] })
      assert.ok(!other.some(of => of.groupId === groupId))
      const empty = await context.admin.listGroups({ states: ['Empty'] })
      assert.ok(!empty.some(of => of.groupId === groupId))

      await assert.rejects(context.admin.deleteGroups([groupId]), code('NON_EMPTY_GROUP'))
      await consumer.close()
      await eventually(
        () => describeGroup(groupId),
        of => of.state === 'Empty',
      )
      await context.admin.deleteGroups([groupId])
      assert.equal((await describeGroup(groupId)).error?.code, 'GROUP_ID_NOT_FOUND')
      await assert.rejects(context.admin.deleteGroups([groupId]), code('GROUP_ID_NOT_FOUND'))
    })
  }

  test('a group that does not exist is an error of its own beside one that does', async () => {
    const [topic, groupId, none] = [await filled(context.kafka, 'beside', 10), unique('group'), unique('none')]
    const consumer = await member(topic, groupId)
    const [missing, there] = await context.admin.describeGroups([none, groupId])
    assert.deepEqual([missing?.groupId, missing?.error?.code, missing?.state], [none, 'GROUP_ID_NOT_FOUND', null])
    assert.deepEqual([there?.groupId, there?.error], [groupId, null])
    await consumer.close()
  })

  test('offsets of a group are set, listed and forgotten', async () => {
    const [topic, groupId, other] = [await filled(context.kafka, 'offsets', 10), unique('group'), unique('group')]
    await context.admin.alterConsumerGroupOffsets(groupId, [
      { topic, partition: 0, offset: 3, metadata: 'by hand' },
      { topic, partition: 1, offset: 5 },
    ])
    await context.admin.alterConsumerGroupOffsets(other, [{ topic, partition: 1, offset: 7 }])
    const listed = await context.admin.listConsumerGroupOffsets(
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
    const consumer = context.kafka.consumer({ groupId, enableAutoCommit: false })
    await consumer.subscribe(topic)
    for await (const message of consumer) {
      assert.equal(message.offset, message.partition === 0 ? 3 : 5)
      break
    }
    const held = context.admin.alterConsumerGroupOffsets(groupId, [{ topic, partition: 0, offset: 1 }])
    await assert.rejects(held, code('UNKNOWN_MEMBER_ID'))
    await assert.rejects(held, /the group has members.*stop them first/)
    const subscribed = context.admin.deleteConsumerGroupOffsets(groupId, [{ topic, partition: 0 }])
    await assert.rejects(subscribed, code('GROUP_SUBSCRIBED_TO_TOPIC'))
    await consumer.close()

    await context.admin.deleteConsumerGroupOffsets(other, [{ topic, partition: 1 }])
    const [left] = await context.admin.listConsumerGroupOffsets([{ groupId: other }])
    assert.deepEqual(left?.offsets ?? [], [])
  })

  test('the lag of groups is what lies between their offsets and the ends of the partitions', async () => {
    const [topic, groupId, none] = [await filled(context.kafka, 'lagging', 10), unique('group'), unique('none')]
    await context.admin.alterConsumerGroupOffsets(groupId, [{ topic, partition: 0, offset: 3 }])
    const [stopped, missing] = await context.admin.describeGroupLag([groupId, none])
    const plain = { memberId: null, clientId: null, host: null, error: null }
    assert.deepEqual(stopped, {
      groupId,
      state: 'Empty',
      lag: 7,
      partitions: [{ topic, partition: 0, committed: 3, endOffset: 10, lag: 7, ...plain }],
      error: null,
    })
    assert.deepEqual(
      [missing?.error?.code, missing?.lag, missing?.state, missing?.partitions],
      ['GROUP_ID_NOT_FOUND', null, null, []],
    )
    // A member has what was never committed, too: all that is there is before it.
    await context.admin.deleteRecords([{ topic, partition: 1, beforeOffset: 4 }])
    const consumer = await member(topic, groupId)
    const [running] = await eventually(
      () => context.admin.describeGroupLag([groupId]),
      ([of]) => of?.partitions.length === 2 && of.partitions.every(one => one.clientId !== null),
    )
    const told = running?.partitions.map(of => [of.partition, of.committed, of.endOffset, of.lag, of.clientId])
    assert.deepEqual(told, [
      [0, 3, 10, 7, 'admin-groups'],
      [1, null, 10, 6, 'admin-groups'],
    ])
    assert.equal(running?.lag, 13)
    await consumer.close()
  })

  test('members are removed, by their instance id or all of them', async () => {
    const [topic, groupId] = [await filled(context.kafka, 'removed', 10), unique('group')]
    const options = { groupProtocol: 'classic', sessionTimeoutMs: 30_000 } as const
    const consumer = await member(topic, groupId, { ...options, groupInstanceId: 'left-behind' })
    // A static member stays in its group when it closes.
    await consumer.close()
    const names = async () => (await describeGroup(groupId)).members.map(of => of.instanceId)
    assert.deepEqual(await names(), ['left-behind'])
    await assert.rejects(
      context.admin.removeMembersFromConsumerGroup(groupId, { members: [{ instanceId: 'nobody' }] }),
      code('UNKNOWN_MEMBER_ID'),
    )
    await context.admin.removeMembersFromConsumerGroup(groupId, {
      members: [{ instanceId: 'left-behind' }],
      reason: 'test',
    })
    assert.deepEqual(await names(), [])

    const again = await member(topic, groupId, { ...options, groupInstanceId: 'again' })
    await again.close()
    assert.deepEqual(await names(), ['again'])
    await context.admin.removeMembersFromConsumerGroup(groupId)
    assert.deepEqual(await names(), [])
  })

  test('a transaction is listed, described and seen in its partition; its producer is fenced', async () => {
    const [topic, transactionalId] = [await filled(context.kafka, 'transaction', 10), unique('tx')]
    const producer = context.kafka.producer({ transactionalId })
    let fenced: unknown
    const ended = producer
      .transaction(async tx => {
        await tx.send({ topic, partition: 1, value: 'open' })
        const listed = await context.admin.listTransactions({ states: ['Ongoing'], pattern: `${transactionalId}` })
        assert.deepEqual(
          listed.map(of => [of.transactionalId, of.state]),
          [[transactionalId, 'Ongoing']],
        )
        const id = listed[0]?.producerId as number
        const byProducer = await context.admin.listTransactions({ producerIds: [id] })
        assert.deepEqual(
          byProducer.map(of => of.transactionalId),
          [transactionalId],
        )
        assert.deepEqual(
          await context.admin.listTransactions({ runningLongerMs: 600_000, pattern: transactionalId }),
          [],
        )

        const [described, none] = await context.admin.describeTransactions([transactionalId, unique('none')])
        assert.equal(described?.state, 'Ongoing')
        assert.equal(described?.producerId, id)
        assert.deepEqual(described?.partitions, [{ topic, partition: 1 }])
        assert.equal(none?.error?.code, 'TRANSACTIONAL_ID_NOT_FOUND')

        const [seen] = await context.admin.describeProducers([{ topic, partition: 1 }])
        const active = seen?.producers.find(of => of.producerId === id)
        assert.equal(active?.transactionStart, 10)

        const [taken] = await context.admin.fenceProducers([transactionalId])
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
    const [described] = await context.admin.describeTransactions([transactionalId])
    assert.notEqual(described?.state, 'Ongoing')
    await producer.close().catch(() => {})
  })

  test('abortTransaction ends a transaction in a partition', async () => {
    const [topic, transactionalId] = [await filled(context.kafka, 'hanging', 10), unique('tx')]
    const producer = context.kafka.producer({ transactionalId })
    const ended = producer.transaction(async tx => {
      await tx.send({ topic, partition: 0, value: 'open' })
      const open = async () => {
        const [seen] = await context.admin.describeProducers([{ topic, partition: 0 }])
        return seen?.producers.find(of => of.transactionStart !== null)
      }
      const hanging = await open()
      assert.ok(hanging)
      const { producerId, producerEpoch } = hanging
      await context.admin.abortTransaction({ topic, partition: 0, producerId, producerEpoch, coordinatorEpoch: 0 })
      assert.equal(await open(), undefined)
      throw new Error('enough')
    })
    await assert.rejects(ended, error => !(error instanceof assert.AssertionError))
    await producer.close().catch(() => {})
  })
})
