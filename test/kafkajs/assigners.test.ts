/** Assigners in kafkajs' form, the default one and the program's own, on the engine's assignors. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssignerProtocol, type Cluster, type PartitionAssigner, PartitionAssigners } from '../../ts/kafkajs/index.ts'
import { unique } from '../support.ts'
import { numbers, running, setUp, until } from './support.ts'

const context = setUp()
const { MemberMetadata, MemberAssignment } = AssignerProtocol

test('the default one deals partitions out over the members in turn', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 1, 5)
  const config = { groupId: unique('group'), heartbeatInterval: 50 }
  const has = new Map<object, number[]>()
  const idle = { eachMessage: async () => {} }
  const members = await Promise.all(
    [1, 2].map(() =>
      running(
        kafka,
        topic,
        consumer => {
          consumer.on('consumer.group_join', ({ payload }) => has.set(consumer, payload.memberAssignment[topic] ?? []))
          return idle
        },
        config,
      ),
    ),
  )
  await until(
    'both have some',
    () => [...has.values()].flat().length === 5 && [...has.values()].every(own => own.length >= 2),
  )
  const shares = [...has.values()].map(own => own.join()).sort()
  assert.deepEqual(shares, ['0,2,4', '1,3'])
  await Promise.all(members.map(member => member.disconnect()))
})

test('one of the program’s own gets what members say of themselves, and is followed', async () => {
  const { kafka } = context
  const topic = await numbers(kafka, 1, 4)
  let cluster: Cluster | undefined
  /** Whoever says 'most' gets all partitions but one. */
  const mine =
    (says: string): PartitionAssigner =>
    setting => ({
      name: 'MostToOne',
      version: 3,
      async assign({ members, topics }) {
        cluster = setting.cluster
        assert.deepEqual(topics, [topic])
        const partitions = setting.cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId)
        assert.deepEqual(partitions, [0, 1, 2, 3])
        const userData = Buffer.alloc(0)
        return members.map(({ memberId, memberMetadata }) => {
          const told = MemberMetadata.decode(memberMetadata)!
          assert.deepEqual([told.version, told.topics], [3, [topic]])
          const most = told.userData.toString() === 'most'
          const own = members.length === 1 ? partitions : most ? [0, 1, 2] : [3]
          return {
            memberId,
            memberAssignment: MemberAssignment.encode({ version: 3, assignment: { [topic]: own }, userData }),
          }
        })
      },
      protocol({ topics }) {
        assert.deepEqual(topics, [topic])
        const metadata = { version: this.version, topics, userData: Buffer.from(says) }
        return { name: this.name, metadata: MemberMetadata.encode(metadata) }
      },
    })
  const groupId = unique('group')
  const has = new Map<string, number[]>()
  const start = (says: string) =>
    running(
      kafka,
      topic,
      consumer => {
        consumer.on('consumer.group_join', ({ payload: { memberAssignment, groupProtocol } }) => {
          assert.equal(groupProtocol, 'MostToOne')
          has.set(says, memberAssignment[topic] ?? [])
        })
        return { eachMessage: async () => {} }
      },
      { groupId, heartbeatInterval: 50, partitionAssigners: [mine(says), PartitionAssigners.roundRobin] },
    )
  const [few, most] = await Promise.all([start('few'), start('most')])
  await until('they have what it says', () => `${has.get('most')}` === '0,1,2' && `${has.get('few')}` === '3')
  assert.deepEqual(cluster!.getNodeIds(), [1])
  assert.deepEqual(cluster!.findLeaderForPartitions(topic, [1, 3]), { 1: [1, 3] })
  await assert.rejects(cluster!.findGroupCoordinator({ groupId }), { name: 'KafkaJSNonRetriableError' })
  await Promise.all([few.disconnect(), most.disconnect()])
})
