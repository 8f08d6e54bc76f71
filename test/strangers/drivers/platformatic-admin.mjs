/** The administration of @platformatic/kafka: see platformatic.mjs. */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { until } from './kit.ts'

/** The library: it is installed beside the programs of the benchmark. */
const require = createRequire(new URL('../../../bench/peers/package.json', import.meta.url))
export const kafka = await import(pathToFileURL(require.resolve('@platformatic/kafka')).href)
const { AclOperations, AclPermissionTypes, ConfigResourceTypes, ConfigSources, ResourcePatternTypes, ResourceTypes } =
  kafka
const { IncrementalAlterConfigOperationTypes: Change } = kafka

export const ignore = () => {}

/** Kafka's number of the error that a call ends with; 0 for none. */
export async function code(call) {
  try {
    await call()
    return 0
  } catch (error) {
    const found = numberOf(error)
    if (found === undefined) throw error
    return found
  }
}

function numberOf(error) {
  if (typeof error?.apiCode === 'number') return error.apiCode
  for (const inner of [...(error?.errors ?? []), error?.cause]) {
    const found = inner && numberOf(inner)
    if (found !== undefined) return found
  }
  return undefined
}

/** State and number of members of a group. */
export async function stateOf(admin, group) {
  const { state, members } = (await admin.describeGroups({ groups: [group] })).get(group)
  return [state.toUpperCase(), members.size]
}

/** What a group has committed. */
export async function committed(admin, groupId, topic, partitions) {
  const [group] = await admin.listConsumerGroupOffsets({ groups: [groupId] })
  const found = group.topics.find(({ name }) => name === topic)?.partitions ?? []
  return Array.from({ length: partitions }, (_, at) => {
    const place = found.find(({ partitionIndex }) => partitionIndex === at)
    return place ? Number(place.committedOffset) : null
  })
}

const nameOf = (values, value) => Object.keys(values).find(name => values[name] === value)
/** The current names of sources: some have an older one too. */
const sourceOf = value => nameOf(ConfigSources, value)

/** The cases of this file. */
export const administration = admin => ({
  async 'admin-topics'(name) {
    const topic = `${name}-new`
    const create = (topic, partitions = 2, replicas = 1) =>
      code(() => admin.createTopics({ topics: [topic], partitions, replicas }))
    const grow = count => code(() => admin.createPartitions({ topics: [{ name: topic, count }] }))
    const metadata = () => admin.metadata({ topics: [topic], forceUpdate: true })
    const partitions = async () => (await metadata()).topics.get(topic)?.partitions ?? []
    const [created] = [await create(topic)]
    if (created !== 0) throw new Error(`createTopics: ${created}`)
    await until('it is listed', async () => (await admin.listTopics()).includes(topic))
    const found = await partitions()
    const result = {
      brokers: [...(await metadata()).brokers.keys()],
      described: {
        partitions: found.length,
        leaders: found.map(({ leader }) => leader),
        replicas: found.map(({ replicas }) => replicas),
        isr: found.map(({ isr }) => isr),
      },
      again: await create(topic),
      badName: await create(`${name} with spaces`),
      badReplication: await create(`${name}-wide`, 1, 3),
      listed: true,
    }
    const grew = await grow(3)
    if (grew !== 0) throw new Error(`createPartitions: ${grew}`)
    await until('it has grown', async () => (await partitions()).length === 3)
    const shrunk = await grow(1)
    await admin.deleteTopics({ topics: [topic] })
    await until('it is gone', async () => !(await admin.listTopics()).includes(topic))
    const unknown = await code(() => admin.deleteTopics({ topics: [`${name}-none`] }))
    return { ...result, grown: 3, shrunk, deleted: true, unknown }
  },

  async 'delete-records'(topic) {
    const remove = async offset => {
      const [found] = await admin.deleteRecords({
        topics: [{ name: topic, partitions: [{ partition: 0, offset: BigInt(offset) }] }],
      })
      return Number(found.partitions[0].lowWatermark)
    }
    const low = await remove(4)
    const partitions = [{ partitionIndex: 0, timestamp: -2n }]
    const [earliest] = await admin.listOffsets({ topics: [{ name: topic, partitions }] })
    const beyond = await code(() => remove(11))
    return { low, earliest: Number(earliest.partitions[0].offset), beyond, all: await remove(-1) }
  },

  async 'admin-configs'(topic) {
    const alter = (resourceName, ...configs) =>
      admin.incrementalAlterConfigs({ resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName, configs }] })
    const set = (name, value) => ({ name, value, configOperation: Change.SET })
    const before = await configs(admin, topic)
    await alter(
      topic,
      set('retention.bytes', '1000'),
      { name: 'retention.ms', configOperation: Change.DELETE },
      { name: 'cleanup.policy', value: 'compact', configOperation: Change.APPEND },
    )
    const after = await until('it is changed', async () => {
      const now = await configs(admin, topic)
      return now['retention.bytes'][0] === '1000' && now
    })
    const [broker] = await admin.describeConfigs({
      resources: [{ resourceType: ConfigResourceTypes.BROKER, resourceName: '1' }],
    })
    return {
      before: chosen(before, 'retention.ms', 'cleanup.policy'),
      after: chosen(after, 'retention.ms', 'retention.bytes', 'cleanup.policy'),
      badValue: await code(() => alter(topic, set('retention.bytes', 'much'))),
      unknownName: await code(() => alter(topic, set('no.such.name', '1'))),
      unknownTopic: await code(() => alter(`${topic}-none`, set('retention.bytes', '1'))),
      broker: broker.configs.find(({ name }) => name === 'num.partitions').value,
      details: Object.keys(after).sort(),
    }
  },

  async 'admin-configs-legacy'(topic) {
    const alter = value => {
      const changes = [{ name: 'retention.bytes', value }]
      return admin.alterConfigs({
        resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs: changes }],
      })
    }
    await alter('1000')
    const after = await until('it is changed', async () => {
      const now = await configs(admin, topic)
      return now['retention.bytes'][0] === '1000' && now
    })
    return { after: chosen(after, 'retention.ms', 'retention.bytes'), badValue: await code(() => alter('much')) }
  },

  async 'admin-groups'(name) {
    const [empty, live] = [`${name}-group`, `${name}-live`]
    const remove = group => code(() => admin.deleteGroups({ groups: [group] }))
    const groups = await admin.listGroups()
    const result = {
      listed: groups.has(empty) && groups.has(live),
      described: await stateOf(admin, empty),
      live: await stateOf(admin, live),
      notEmpty: await remove(live),
      unknown: await remove(`${name}-none`),
      details: [empty, live].map(id => [groups.get(id).state, groups.get(id).groupType, groups.get(id).protocolType]),
    }
    await remove(empty)
    return { ...result, deleted: !(await admin.listGroups()).has(empty) }
  },

  async 'admin-offsets'(name) {
    const groupId = `${name}-group`
    const now = () => committed(admin, groupId, name, 2)
    const before = await now()
    const partitionOffsets = [{ partition: 0, offset: 1n }]
    await admin.alterConsumerGroupOffsets({ groupId, topics: [{ name, partitionOffsets }] })
    const altered = await now()
    await admin.deleteConsumerGroupOffsets({ groupId, topics: [{ name, partitionIndexes: [1] }] })
    return { before, altered, deleted: await now() }
  },

  async 'admin-acls'(name) {
    const any = { operation: AclOperations.ANY, permissionType: AclPermissionTypes.ANY, principal: null, host: null }
    const all = {
      ...any,
      resourceType: ResourceTypes.ANY,
      resourceName: null,
      resourcePatternType: ResourcePatternTypes.ANY,
    }
    const on = (resourceType, resourceName, resourcePatternType) => ({
      ...any,
      resourceType,
      resourceName,
      resourcePatternType,
    })
    const of = who => ({ ...all, principal: `User:${name}-${who}` })
    const find = async filter => {
      const found = await admin.describeAcls({ filter })
      return found.flatMap(resource => resource.acls.map(acl => said({ ...resource, ...acl }))).sort()
    }
    const alice = {
      ...on(ResourceTypes.TOPIC, name, ResourcePatternTypes.LITERAL),
      principal: `User:${name}-alice`,
      host: '*',
      operation: AclOperations.READ,
      permissionType: AclPermissionTypes.ALLOW,
    }
    const bob = {
      ...on(ResourceTypes.GROUP, name, ResourcePatternTypes.PREFIXED),
      principal: `User:${name}-bob`,
      host: '10.0.0.1',
      operation: AclOperations.DESCRIBE,
      permissionType: AclPermissionTypes.DENY,
    }
    await admin.createAcls({ creations: [alice, bob] })
    await until(
      'the rules are there',
      async () => (await find(of('alice'))).length + (await find(of('bob'))).length === 2,
    )
    const result = {
      alice: await find(of('alice')),
      bob: await find(of('bob')),
      matchTopic: await find(on(ResourceTypes.TOPIC, name, ResourcePatternTypes.MATCH)),
      matchGroup: await find(on(ResourceTypes.GROUP, `${name}-longer`, ResourcePatternTypes.MATCH)),
      literalGroup: await find(on(ResourceTypes.GROUP, `${name}-longer`, ResourcePatternTypes.LITERAL)),
      deleted: (await admin.deleteAcls({ filters: [of('alice')] })).map(said),
    }
    await until("alice's is gone", async () => (await find(of('alice'))).length === 0)
    return { ...result, left: await find(of('bob')) }
  },
})

async function configs(admin, topic) {
  const [found] = await admin.describeConfigs({
    resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic }],
  })
  return Object.fromEntries(
    found.configs.map(({ name, value, configSource }) => [name, [value, sourceOf(configSource)]]),
  )
}

const chosen = (found, ...names) => Object.fromEntries(names.map(name => [name, found[name]]))

const said = acl =>
  [
    nameOf(ResourceTypes, acl.resourceType),
    nameOf(ResourcePatternTypes, acl.resourcePatternType),
    acl.resourceName,
    acl.principal,
    acl.host,
    nameOf(AclOperations, acl.operation),
    nameOf(AclPermissionTypes, acl.permissionType),
  ].join(':')
