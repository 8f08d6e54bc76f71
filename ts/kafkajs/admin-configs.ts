/**
 * Configurations, partitions and records in kafkajs' admin client.
 */
import type { ConfigChanges, ConfigResource } from '../generated/operations.ts'
import type { Admin as EngineAdmin, KafkaError } from '../index.ts'
import type { Connection } from './connection.ts'
import { ConfigResourceTypes, ConfigSource } from './constants.ts'
import {
  KafkaJSDeleteTopicRecordsError,
  type KafkaJSDeleteTopicRecordsErrorPartition,
  KafkaJSNonRetriableError,
} from './errors.ts'
import { one } from './failure.ts'
import { nameOf, numberOf } from './numbers.ts'
import type { Admin, IResourceConfig, ResourceConfigQuery } from './types/admin.ts'

type ConfigOperations = Pick<Admin, 'describeConfigs' | 'alterConfigs' | 'createPartitions' | 'deleteTopicRecords'>

/** kafkajs' names of sources that the engine has under Kafka's. */
const SOURCES: Readonly<Record<string, string>> = { DYNAMIC_TOPIC_CONFIG: 'TOPIC_CONFIG' }
/** Where values come from that `alterConfigs` has set before. */
const ALTERED = ['DYNAMIC_TOPIC_CONFIG', 'DYNAMIC_BROKER_CONFIG', 'DYNAMIC_BROKER_LOGGER_CONFIG']

/** See the module. */
export function configOperations(connection: Connection): ConfigOperations {
  const admin = async () => (await connection.open()).admin()
  return {
    async describeConfigs({ resources, includeSynonyms }) {
      checkResources(resources)
      const wrong = resources.find(({ configNames }) => !Array.isArray(configNames) && configNames != null)
      if (wrong) {
        throw new KafkaJSNonRetriableError(
          `Invalid resource configNames ${wrong.configNames}: ${JSON.stringify(wrong)}`,
        )
      }
      const wanted = resources.map(resource => ({ ...kind(resource), keys: resource.configNames }))
      const found = await connection.tried((await admin()).describeConfigs(wanted, { includeSynonyms }))
      const described = found.map(({ type, name, configs }) => ({
        errorCode: 0,
        errorMessage: '',
        resourceType: numberOf(ConfigResourceTypes, type),
        resourceName: name,
        configEntries: configs.map(({ name, value, readOnly, source, sensitive, synonyms }) => ({
          configName: name,
          configValue: value as string,
          readOnly,
          isDefault: source === 'DEFAULT_CONFIG',
          configSource: sourceOf(source),
          isSensitive: sensitive,
          configSynonyms: synonyms.map(({ name, value, source }) => ({
            configName: name,
            configValue: value as string,
            configSource: sourceOf(source),
          })),
        })),
      }))
      // kafkajs declares a time that it does not give.
      return { resources: described } as Awaited<ReturnType<Admin['describeConfigs']>>
    },

    async alterConfigs({ resources, validateOnly }) {
      checkResources(resources)
      const wrong = resources.find(({ configEntries }) => !Array.isArray(configEntries))
      if (wrong) {
        throw new KafkaJSNonRetriableError(
          `Invalid resource configEntries ${wrong.configEntries}: ${JSON.stringify(wrong)}`,
        )
      }
      const odd = resources.find(({ configEntries }) =>
        configEntries.some(({ name, value }) => typeof name !== 'string' || typeof value !== 'string'),
      )
      if (odd) throw new KafkaJSNonRetriableError(`Invalid resource config value: ${JSON.stringify(odd)}`)
      await connection.tried(alter(await admin(), resources, !!validateOnly))
      const altered = resources.map(({ type, name }) => ({
        errorCode: 0,
        errorMessage: null,
        resourceType: type,
        resourceName: name,
      }))
      return { resources: altered }
    },

    async createPartitions({ topicPartitions, validateOnly, timeout }) {
      if (!topicPartitions || !Array.isArray(topicPartitions)) {
        throw new KafkaJSNonRetriableError(`Invalid topic partitions array ${topicPartitions}`)
      }
      if (topicPartitions.length === 0) throw new KafkaJSNonRetriableError('Empty topic partitions array')
      if (topicPartitions.some(({ topic }) => typeof topic !== 'string')) {
        throw new KafkaJSNonRetriableError('Invalid topic partitions array, the topic names have to be a valid string')
      }
      if (new Set(topicPartitions.map(({ topic }) => topic)).size < topicPartitions.length) {
        throw new KafkaJSNonRetriableError(
          'Invalid topic partitions array, it cannot have multiple entries for the same topic',
        )
      }
      const topics = topicPartitions.map(({ topic, count, assignments }) => ({ topic, count, assignments }))
      const options = { validateOnly, ...(timeout ? { timeoutMs: timeout } : {}) }
      await connection.tried((await admin()).createPartitions(topics, options))
      return true
    },

    async deleteTopicRecords({ topic, partitions }) {
      if (!topic || typeof topic !== 'string') throw new KafkaJSNonRetriableError(`Invalid topic "${topic}"`)
      if (!partitions || partitions.length === 0) throw new KafkaJSNonRetriableError('Invalid partitions')
      const client = await admin()
      const results = await Promise.allSettled(
        partitions.map(({ partition, offset }) => {
          const before = Number(offset)
          return client.deleteRecords([{ topic, partition, beforeOffset: before < 0 ? undefined : before }])
        }),
      )
      const failed = results.flatMap((result, at): KafkaJSDeleteTopicRecordsErrorPartition[] =>
        result.status === 'fulfilled' ? [] : [{ ...partitions[at]!, error: one(result.reason as KafkaError) }],
      )
      if (failed.length > 0) {
        const cause = new KafkaJSDeleteTopicRecordsError({ topic, partitions: failed })
        throw new KafkaJSNonRetriableError(cause, { cause })
      }
    },
  }
}

/** kafkajs' request replaces all: what was set before and is not named goes back to its default. */
async function alter(admin: EngineAdmin, resources: IResourceConfig[], validateOnly: boolean): Promise<void> {
  const before = await admin.describeConfigs(resources.map(kind))
  const changes = resources.map((resource): ConfigChanges => {
    const { type, name } = kind(resource)
    const set = resource.configEntries.map(({ name, value }) => ({ name, value }))
    const known = before.find(one => one.type === type && one.name === name)?.configs ?? []
    const gone = known
      .filter(({ name, source }) => ALTERED.includes(source ?? '') && !set.some(one => one.name === name))
      .map(({ name }) => ({ name, operation: 'DELETE' }))
    return { type, name, configs: [...set, ...gone] }
  })
  await admin.incrementalAlterConfigs(changes, { validateOnly })
}

function kind({ type, name }: { type: ConfigResourceTypes; name: string }): {
  type: ConfigResource['type']
  name: string
} {
  return { type: nameOf(ConfigResourceTypes, type), name }
}

function sourceOf(source: string | null): ConfigSource {
  return numberOf(ConfigSource, SOURCES[source ?? ''] ?? source ?? '')
}

function checkResources(resources: (ResourceConfigQuery | IResourceConfig)[]): void {
  if (!resources || !Array.isArray(resources))
    throw new KafkaJSNonRetriableError(`Invalid resources array ${resources}`)
  if (resources.length === 0) throw new KafkaJSNonRetriableError('Resources array cannot be empty')
  const types: number[] = Object.values(ConfigResourceTypes)
  const type = resources.find(resource => !types.includes(resource.type))
  if (type) throw new KafkaJSNonRetriableError(`Invalid resource type ${type.type}: ${JSON.stringify(type)}`)
  const name = resources.find(resource => !resource.name || typeof resource.name !== 'string')
  if (name) throw new KafkaJSNonRetriableError(`Invalid resource name ${name.name}: ${JSON.stringify(name)}`)
}
