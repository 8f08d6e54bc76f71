/**
 * Groups, for kafkajs' consumer and admin client.
 */
import type { GroupDescription as EngineDescription } from '../generated/operations.ts'
import type { KafkaError } from '../index.ts'
import type { Connection } from './connection.ts'
import { KafkaJSDeleteGroupsError, type KafkaJSError, KafkaJSNonRetriableError } from './errors.ts'
import { one, theirs } from './failure.ts'
import { protocolError } from './protocol-errors.ts'
import type { Admin } from './types/admin.ts'
import type { ConsumerGroupState, GroupDescription, GroupDescriptions } from './types/consumer.ts'

/** See the module. */
export function groupOperations(connection: Connection): Pick<Admin, 'listGroups' | 'describeGroups' | 'deleteGroups'> {
  return {
    async listGroups() {
      const kafka = await connection.open()
      const groups = await connection.tried(kafka.admin().listGroups())
      return { groups: groups.map(({ groupId, protocolType }) => ({ groupId, protocolType })) }
    },

    describeGroups: groupIds => describeGroups(connection, groupIds),

    async deleteGroups(groupIds) {
      if (!groupIds || !Array.isArray(groupIds)) {
        throw new KafkaJSNonRetriableError(`Invalid groupIds array ${groupIds}`)
      }
      const odd = groupIds.find(groupId => typeof groupId !== 'string')
      if (odd !== undefined) throw new KafkaJSNonRetriableError(`Invalid groupId name: ${JSON.stringify(odd)}`)
      const admin = (await connection.open()).admin()
      const results = await Promise.allSettled(groupIds.map(groupId => admin.deleteGroups([groupId])))
      const failed = results.flatMap((result, at) => {
        if (result.status === 'fulfilled') return []
        const error: KafkaJSError = one(result.reason as KafkaError)
        return [{ groupId: groupIds[at]!, errorCode: protocolError((result.reason as KafkaError).code).code, error }]
      })
      if (failed.length > 0) throw new KafkaJSDeleteGroupsError('Error in DeleteGroups', failed)
      return groupIds.map(groupId => ({ groupId, errorCode: 0 }))
    },
  }
}

/** Describes groups; one that does not exist is dead. */
export async function describeGroups(connection: Connection, groupIds: string[]): Promise<GroupDescriptions> {
  const kafka = await connection.open()
  const groups = await connection.tried(kafka.admin().describeGroups(groupIds))
  return { groups: groups.map(described) }
}

function described({ groupId, error, state, protocolType, assignor, members }: EngineDescription): GroupDescription {
  const none = { errorCode: 0, groupId, members: [], protocol: '', protocolType: '', state: 'Dead' as const }
  if (error !== null) {
    if (error.code === 'GROUP_ID_NOT_FOUND') return none
    throw theirs(error)
  }
  return {
    ...none,
    state: (state ?? 'Unknown') as ConsumerGroupState,
    protocolType: protocolType ?? 'consumer',
    protocol: assignor ?? '',
    members: members.map(({ memberId, clientId, host, metadata, rawAssignment }) => ({
      memberId,
      clientId,
      clientHost: host,
      memberMetadata: Buffer.from(metadata ?? []),
      memberAssignment: Buffer.from(rawAssignment ?? []),
    })),
  }
}
