/**
 * What kafkajs' admin client can do and the engine's cannot yet: each says so.
 */
import { KafkaJSNonRetriableError } from './errors.ts'
import type { Admin } from './types/admin.ts'

const names = [
  'createPartitions',
  'deleteTopicRecords',
  'describeConfigs',
  'alterConfigs',
  'listGroups',
  'describeGroups',
  'deleteGroups',
  'createAcls',
  'describeAcls',
  'deleteAcls',
  'alterPartitionReassignments',
  'listPartitionReassignments',
] as const

type Missing = Pick<Admin, (typeof names)[number]>

/** The error of an operation that is not there. */
export function missing(name: string): KafkaJSNonRetriableError {
  return new KafkaJSNonRetriableError(`${name} is not supported by dohle/kafkajs yet`)
}

/** See the module. */
export const missingOperations = Object.fromEntries(
  names.map(name => [name, () => Promise.reject(missing(name))]),
) as unknown as Missing
