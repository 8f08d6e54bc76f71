/** The administration of kafkajs: see kafkajs.ts. */
import kafkajs, {
  type Admin,
  type ResourcePatternTypes as Pattern,
  type AclResourceTypes as ResourceType,
} from 'kafkajs'
import { type Cases, until } from './kit.ts'

// Names that Node does not find in a module of CommonJS.
const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ConfigResourceTypes, ResourcePatternTypes } = kafkajs

interface Failure extends Error {
  code?: number
  cause?: Failure
  errors?: Failure[]
  groups?: { error: Failure }[]
  partitions?: { error: Failure }[]
}

/** Kafka's number of the error that a call ends with; 0 for none. */
export async function code(call: () => Promise<unknown>): Promise<number> {
  try {
    await call()
    return 0
  } catch (error) {
    const found = numberOf(error as Failure)
    if (found === undefined) throw error
    return found
  }
}

function numberOf(error: Failure): number | undefined {
  if (typeof error.code === 'number') return error.code
  const inner = error.cause ?? error.errors?.[0] ?? error.groups?.[0]?.error ?? error.partitions?.[0]?.error
  return inner && numberOf(inner)
}

/** State and number of members of a group. */
export async function states(admin: Admin, groupId: string): Promise<[string | undefined, number | undefined]> {
  const [group] = (await admin.describeGroups([groupId])).groups
  return [group?.state.toUpperCase(), group?.members.length]
}

/** The number of a source of a config, in words. */
const sources: Record<number, string> = { 1: 'DYNAMIC_TOPIC_CONFIG', 4: 'STATIC_BROKER_CONFIG', 5: 'DEFAULT_CONFIG' }

const nameOf = (values: object, value: number) =>
  Object.keys(values)
    .find(name => (values as Record<string, unknown>)[name] === value)
    ?.toUpperCase()

/** The cases of this file. */
export const administration = (admin: Admin, hasty: Admin): Cases => ({
  async 'admin-topics'(name) {
    const topic = `${name}-new`
    const create = (topic: string, numPartitions = 2, replicationFactor = 1) =>
      code(() => admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor }], waitForLeaders: false }))
    const grow = (count: number) => admin.createPartitions({ topicPartitions: [{ topic, count }] })
    const partitions = async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]?.partitions ?? []
    const topics = [{ topic, numPartitions: 2, replicationFactor: 1 }]
    // It would not wait for a topic that the broker does not know yet, but fail.
    const created = await admin.createTopics({ topics, waitForLeaders: false })
    if (!created) throw new Error('kafkajs says that the topic was there already')
    await until('it is listed', async () => (await admin.listTopics()).includes(topic))
    const found = (await partitions()).sort((a, b) => a.partitionId - b.partitionId)
    const result = {
      brokers: (await admin.describeCluster()).brokers.map(({ nodeId }) => nodeId),
      described: {
        partitions: found.length,
        leaders: found.map(({ leader }) => leader),
        replicas: found.map(({ replicas }) => replicas),
        isr: found.map(({ isr }) => isr),
      },
      badName: await create(`${name} with spaces`),
      badReplication: await create(`${name}-wide`, 1, 3),
      listed: true,
    }
    const again = await admin.createTopics({ topics: [{ topic }] })
    await grow(3)
    await until('it has grown', async () => (await partitions()).length === 3)
    const shrunk = await code(() => grow(1))
    await admin.deleteTopics({ topics: [topic] })
    await until('it is gone', async () => !(await admin.listTopics()).includes(topic))
    const unknown = await code(() => hasty.deleteTopics({ topics: [`${name}-none`] }))
    // false: it was there already.
    return { ...result, again: again ? 0 : 36, grown: 3, shrunk, deleted: true, unknown }
  },

  async 'delete-records'(topic) {
    const remove = (offset: number) =>
      admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] })
    const low = async () => Number((await admin.fetchTopicOffsets(topic))[0]?.low)
    await low() // it looks for leaders among the topics that it was asked about before
    await remove(4)
    const earliest = await low()
    const beyond = await code(() => remove(11))
    await remove(-1)
    return { earliest, beyond, all: await low() }
  },

  async 'admin-configs-legacy'(topic) {
    const alter = (value: string) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [
          { type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: 'retention.bytes', value }] },
        ],
      })
    const described = async () => {
      const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic }]
      const { resources: found } = await admin.describeConfigs({ includeSynonyms: false, resources })
      const entries = found[0]?.configEntries ?? []
      return Object.fromEntries(
        entries.map(({ configName, configValue, configSource }) => [configName, [configValue, sources[configSource]]]),
      )
    }
    await alter('1000')
    const after = await until('it is changed', async () => {
      const now = await described()
      return now['retention.bytes']?.[0] === '1000' && now
    })
    return {
      after: { 'retention.ms': after['retention.ms'], 'retention.bytes': after['retention.bytes'] },
      badValue: await code(() => alter('much')),
      details: Object.keys(after).sort(),
    }
  },

  async 'admin-groups'(name) {
    const [empty, live] = [`${name}-group`, `${name}-live`]
    const listed = async () => (await admin.listGroups()).groups.map(({ groupId }) => groupId)
    const before = await listed()
    const result = {
      listed: before.includes(empty) && before.includes(live),
      described: await states(admin, empty),
      live: await states(admin, live),
      notEmpty: await code(() => admin.deleteGroups([live])),
      unknown: await code(() => admin.deleteGroups([`${name}-none`])),
    }
    await admin.deleteGroups([empty])
    return { ...result, deleted: !(await listed()).includes(empty) }
  },

  async 'admin-offsets'(name) {
    const groupId = `${name}-group`
    const now = async () => {
      const [found] = await admin.fetchOffsets({ groupId, topics: [name] })
      const sorted = found?.partitions.sort((a, b) => a.partition - b.partition)
      return sorted?.map(({ offset }) => Number(offset))
    }
    const before = await now()
    await admin.setOffsets({ groupId, topic: name, partitions: [{ partition: 0, offset: '1' }] })
    return { before, altered: await now() }
  },

  async 'admin-acls'(name) {
    const [alice, bob] = [`User:${name}-alice`, `User:${name}-bob`]
    const any = { operation: AclOperationTypes.ANY, permissionType: AclPermissionTypes.ANY }
    const of = (principal: string) => ({
      ...any,
      principal,
      resourceType: AclResourceTypes.ANY,
      resourcePatternType: ResourcePatternTypes.ANY,
    })
    const on = (resourceType: ResourceType, resourceName: string, resourcePatternType: Pattern) => ({
      ...any,
      resourceType,
      resourceName,
      resourcePatternType,
    })
    const said = (kind: number, pattern: number, resource: string, rule: Rule) =>
      [
        nameOf(AclResourceTypes, kind),
        nameOf(ResourcePatternTypes, pattern),
        resource,
        rule.principal,
        rule.host,
        nameOf(AclOperationTypes, rule.operation),
        nameOf(AclPermissionTypes, rule.permissionType),
      ].join(':')
    const find = async (filter: ReturnType<typeof of> | ReturnType<typeof on>) => {
      const { resources } = await admin.describeAcls(filter)
      return resources
        .flatMap(({ resourceType, resourcePatternType, resourceName, acls }) =>
          acls.map(rule => said(resourceType, resourcePatternType, resourceName, rule)),
        )
        .sort()
    }
    await admin.createAcls({
      acl: [
        {
          ...on(AclResourceTypes.TOPIC, name, ResourcePatternTypes.LITERAL),
          principal: alice,
          host: '*',
          operation: AclOperationTypes.READ,
          permissionType: AclPermissionTypes.ALLOW,
        },
        {
          ...on(AclResourceTypes.GROUP, name, ResourcePatternTypes.PREFIXED),
          principal: bob,
          host: '10.0.0.1',
          operation: AclOperationTypes.DESCRIBE,
          permissionType: AclPermissionTypes.DENY,
        },
      ],
    })
    await until('the rules are there', async () => (await find(of(alice))).length + (await find(of(bob))).length === 2)
    const result = {
      alice: await find(of(alice)),
      bob: await find(of(bob)),
      matchTopic: await find(on(AclResourceTypes.TOPIC, name, ResourcePatternTypes.MATCH)),
      matchGroup: await find(on(AclResourceTypes.GROUP, `${name}-longer`, ResourcePatternTypes.MATCH)),
      literalGroup: await find(on(AclResourceTypes.GROUP, `${name}-longer`, ResourcePatternTypes.LITERAL)),
    }
    const { filterResponses } = await admin.deleteAcls({ filters: [of(alice)] })
    const deleted = filterResponses[0]?.matchingAcls.map(rule =>
      said(rule.resourceType, rule.resourcePatternType, rule.resourceName, rule),
    )
    await until("alice's is gone", async () => (await find(of(alice))).length === 0)
    return { ...result, deleted, left: await find(of(bob)) }
  },
})

interface Rule {
  principal: string
  host: string
  operation: number
  permissionType: number
}
