/**
 * Descriptions of groups, for kafkajs' consumer and admin client.
 */
import { missing } from './admin-missing.ts'
import type { Connection } from './connection.ts'
import type { GroupDescriptions } from './types/consumer.ts'

/** Describes groups. */
export function describeGroups(_connection: Connection, _groupIds: string[]): Promise<GroupDescriptions> {
  return Promise.reject(missing('describeGroup'))
}
