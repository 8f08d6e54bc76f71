/**
 * All that `dohle/kafkajs` exports, by name.
 */

export { AssignerProtocol } from './assigner-protocol.ts'
export { PartitionAssigners } from './assigners.ts'
export {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  CompressionCodecs,
  CompressionTypes,
  ConfigResourceTypes,
  ConfigSource,
  logLevel,
  ResourcePatternTypes,
} from './constants.ts'
export * from './errors.ts'
export { Kafka } from './kafka.ts'
export * from './more-errors.ts'
export { Partitioners } from './partitioners.ts'
export type * from './types/admin.ts'
export type * from './types/assigners.ts'
export type * from './types/client.ts'
export type * from './types/consumer.ts'
export type * from './types/events.ts'
export type * from './types/records.ts'
