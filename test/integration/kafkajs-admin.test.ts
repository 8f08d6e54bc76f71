/** The admin client of kafkajs 2.2.4 and that of `dohle/kafkajs` beside each other, on a Kafka that has access rules. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as ours from 'dohle/kafkajs'
import * as theirs from 'kafkajs'
import { KafkaServer } from '../../scripts/kafka.mjs'
import { both, failure, steady } from './kafkajs-both.ts'
import { eventually, ready, unique } from './servers.ts'

const rules = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'allow.everyone.if.no.acl.found': 'true',
  'super.users': 'User:ANONYMOUS',
}

/** Without kafkajs' own wait, which fails where a broker does not know the topic yet. */
async function made(admin: ours.Admin, of: ours.ITopicConfig): Promise<void> {
  await admin.createTopics({ topics: [of], waitForLeaders: false })
  await ready(server.bootstrap, { [of.topic]: of.numPartitions! })
}

let server: KafkaServer

type Program = (admin: ours.Admin, kafka: ours.Kafka, topic: string) => Promise<unknown>

const { TOPIC } = ours.ConfigResourceTypes
const sorted = (list: unknown[]): unknown[] =>
  list.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))

const programs: Record<string, Program> = {
  'configurations and partitions': async (admin, _, topic) => {
    const configEntries = [{ name: 'retention.ms', value: '100000' }]
    await made(admin, { topic, numPartitions: 1, configEntries })
    const configNames = ['retention.ms', 'cleanup.policy', 'max.message.bytes']
    const all = async (includeSynonyms: boolean) => {
      const { resources } = await admin.describeConfigs({
        resources: [{ type: TOPIC, name: topic, configNames }],
        includeSynonyms,
      })
      return resources.map(({ configEntries, ...of }) => ({ ...of, configEntries: sorted(configEntries) }))
    }
    const alter = (validateOnly: boolean) =>
      admin.alterConfigs({
        validateOnly,
        resources: [{ type: TOPIC, name: topic, configEntries: [{ name: 'max.message.bytes', value: '2000' }] }],
      })
    const found = [await all(false), await all(true), await alter(true), await all(false), await alter(false)]
    // What is not named goes back to its default.
    found.push(
      await eventually(
        () => all(false),
        resources => JSON.stringify(resources).includes('"2000"'),
      ),
    )
    await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
    const partitions = async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]?.partitions.length
    return {
      found,
      partitions: await eventually(partitions, count => count !== 1),
      errors: [
        await failure(() => admin.describeConfigs({ resources: [], includeSynonyms: false })),
        await failure(() =>
          admin.describeConfigs({ resources: [{ type: 9 as 2, name: 'a' }], includeSynonyms: false }),
        ),
        await failure(() => admin.createPartitions({ topicPartitions: [] })),
        await failure(() => admin.alterConfigs({ validateOnly: false, resources: [] })),
      ],
    }
  },

  'deleting records': async (admin, kafka, topic) => {
    await made(admin, { topic, numPartitions: 2 })
    const producer = kafka.producer({ createPartitioner: theirs.Partitioners.DefaultPartitioner })
    await producer.connect()
    const values = Array.from({ length: 5 }, (_, i) => ({ value: String(i), partition: i % 2 }))
    await producer.send({ topic, messages: values })
    await producer.disconnect()
    // kafkajs deletes nothing of a topic that it does not know yet.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({
      topic,
      partitions: [
        { partition: 0, offset: '2' },
        { partition: 1, offset: '-1' },
      ],
    })
    return {
      left: sorted(await admin.fetchTopicOffsets(topic)),
      tooFar: await failure(() => admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '99' }] })),
      none: await failure(() => admin.deleteTopicRecords({ topic, partitions: [] })),
    }
  },

  groups: async (admin, kafka, topic) => {
    await made(admin, { topic, numPartitions: 1 })
    const groupId = `${topic}-group`
    const consumer = kafka.consumer({ groupId, heartbeatInterval: 200 })
    await consumer.connect()
    await consumer.subscribe({ topic })
    await consumer.run({ eachMessage: async () => {} })
    const described = async () => {
      const { groups } = await admin.describeGroups([groupId, `${groupId}-none`])
      // The broker answers them in any order; kafkajs leaves that as it is.
      const byName = groups.toSorted((a, b) => a.groupId.localeCompare(b.groupId))
      return byName.map(({ members, ...of }) => ({
        ...of,
        members: members.map(({ clientId, memberMetadata, memberAssignment }) => ({
          clientId,
          // What follows in newer versions is ours.
          topics: ours.AssignerProtocol.MemberMetadata.decode(memberMetadata)?.topics,
          assignment: ours.AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment,
        })),
      }))
    }
    const listed = async () => (await admin.listGroups()).groups.filter(one => one.groupId === groupId)
    // The join has been answered when `run` resolves, not the distribution of partitions.
    await eventually(
      () => admin.describeGroups([groupId]),
      ({ groups }) => groups[0]?.state === 'Stable',
    )
    const { state, protocol, protocolType } = await consumer.describeGroup()
    const found: unknown[] = [await described(), await listed(), { state, protocol, protocolType }]
    const used = await failure(() => admin.deleteGroups([groupId]))
    await consumer.disconnect()
    found.push(await described())
    found.push(await admin.deleteGroups([groupId]), await listed())
    return { found, used, wrong: await failure(() => admin.deleteGroups('a' as unknown as string[])) }
  },

  'access rules': async (admin, _, topic) => {
    const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = ours
    const acl: ours.AclEntry[] = [AclOperationTypes.READ, AclOperationTypes.DESCRIBE].map(operation => ({
      resourceType: AclResourceTypes.TOPIC,
      resourceName: topic,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: 'User:bob',
      host: '*',
      operation,
      permissionType: AclPermissionTypes.ALLOW,
    }))
    const filter: ours.AclFilter = {
      resourceType: AclResourceTypes.TOPIC,
      resourceName: topic,
      resourcePatternType: ResourcePatternTypes.ANY,
      operation: AclOperationTypes.ANY,
      permissionType: AclPermissionTypes.ANY,
    }
    const all = async () => {
      const { resources } = await admin.describeAcls(filter)
      return resources.map(({ acls, ...of }) => ({ ...of, acls: sorted(acls) }))
    }
    const made = await admin.createAcls({ acl })
    const before = await eventually(all, resources => resources.length > 0)
    const { filterResponses } = await admin.deleteAcls({ filters: [filter] })
    const deleted = filterResponses.map(({ matchingAcls, ...of }) => ({ ...of, matchingAcls: sorted(matchingAcls) }))
    const after = await eventually(all, resources => resources.length === 0)
    const wrong = { ...acl[0]!, operation: 99 as 1 }
    const bare = { ...acl[0]!, principal: undefined as unknown as string }
    return {
      made,
      before,
      deleted,
      after,
      errors: [
        await failure(() => admin.createAcls({ acl: [] })),
        await failure(() => admin.createAcls({ acl: [wrong] })),
        await failure(() => admin.createAcls({ acl: [bare] })),
        await failure(() => admin.describeAcls({ ...filter, resourceType: 77 as 1 })),
        await failure(() => admin.deleteAcls({ filters: [] })),
      ],
    }
  },

  reassignments: async (admin, _, topic) => {
    await made(admin, { topic, numPartitions: 1 })
    const { brokers } = await admin.describeCluster()
    const partitionAssignment = [{ partition: 0, replicas: [brokers[0]!.nodeId] }]
    return {
      done: await admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment }] }),
      listed: await admin.listPartitionReassignments({ topics: [{ topic, partitions: [0] }] }),
      all: await admin.listPartitionReassignments({}),
      wrong: await failure(() => admin.alterPartitionReassignments({ topics: 'a' as unknown as [] })),
    }
  },
}

describe("the admin client of dohle/kafkajs beside kafkajs'", () => {
  before(async () => {
    server = await KafkaServer.start({ properties: rules })
  })
  after(() => server?.stop())

  for (const [what, program] of Object.entries(programs)) {
    test(`${what}: the same`, async () => {
      const found: unknown[] = []
      for (const { Kafka, logLevel } of Object.values(both)) {
        const topic = unique('admin')
        const kafka = new Kafka({ clientId: 'admin', brokers: [server.bootstrap], logLevel: logLevel.NOTHING })
        const admin = kafka.admin()
        await admin.connect()
        const text = JSON.stringify(steady(await program(admin, kafka, topic)))
        await admin.disconnect()
        found.push(JSON.parse(text.replaceAll(topic, 'TOPIC')))
      }
      assert.deepEqual(found[1], found[0])
    })
  }
})
