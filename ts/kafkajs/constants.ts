/**
 * kafkajs' constants. They are enums there; here each is an object of numbers and the type of these numbers, of the same name.
 */

/** Values of a constant object. */
type ValueOf<T> = T[keyof T]

/** How much is logged. */
export const logLevel = { NOTHING: 0, ERROR: 1, WARN: 2, INFO: 4, DEBUG: 5 } as const
/** How much is logged. */
export type logLevel = ValueOf<typeof logLevel>

/** How records are compressed. All of them are built in. */
export const CompressionTypes = { None: 0, GZIP: 1, Snappy: 2, LZ4: 3, ZSTD: 4 } as const
/** How records are compressed. All of them are built in. */
export type CompressionTypes = ValueOf<typeof CompressionTypes>

/** Whose configuration. */
export const ConfigResourceTypes = { UNKNOWN: 0, TOPIC: 2, BROKER: 4, BROKER_LOGGER: 8 } as const
/** Whose configuration. */
export type ConfigResourceTypes = ValueOf<typeof ConfigResourceTypes>

/** Where a configuration's value comes from. */
export const ConfigSource = {
  UNKNOWN: 0,
  TOPIC_CONFIG: 1,
  DYNAMIC_BROKER_CONFIG: 2,
  DYNAMIC_DEFAULT_BROKER_CONFIG: 3,
  STATIC_BROKER_CONFIG: 4,
  DEFAULT_CONFIG: 5,
  DYNAMIC_BROKER_LOGGER_CONFIG: 6,
} as const
/** Where a configuration's value comes from. */
export type ConfigSource = ValueOf<typeof ConfigSource>

/** What an ACL is about. */
export const AclResourceTypes = {
  UNKNOWN: 0,
  ANY: 1,
  TOPIC: 2,
  GROUP: 3,
  CLUSTER: 4,
  TRANSACTIONAL_ID: 5,
  DELEGATION_TOKEN: 6,
} as const
/** What an ACL is about. */
export type AclResourceTypes = ValueOf<typeof AclResourceTypes>

/** What an ACL allows or denies. */
export const AclOperationTypes = {
  UNKNOWN: 0,
  ANY: 1,
  ALL: 2,
  READ: 3,
  WRITE: 4,
  CREATE: 5,
  DELETE: 6,
  ALTER: 7,
  DESCRIBE: 8,
  CLUSTER_ACTION: 9,
  DESCRIBE_CONFIGS: 10,
  ALTER_CONFIGS: 11,
  IDEMPOTENT_WRITE: 12,
} as const
/** What an ACL allows or denies. */
export type AclOperationTypes = ValueOf<typeof AclOperationTypes>

/** Whether an ACL allows or denies. */
export const AclPermissionTypes = { UNKNOWN: 0, ANY: 1, DENY: 2, ALLOW: 3 } as const
/** Whether an ACL allows or denies. */
export type AclPermissionTypes = ValueOf<typeof AclPermissionTypes>

/** How the name of an ACL's resource is matched. */
export const ResourcePatternTypes = { UNKNOWN: 0, ANY: 1, MATCH: 2, LITERAL: 3, PREFIXED: 4 } as const
/** How the name of an ACL's resource is matched. */
export type ResourcePatternTypes = ValueOf<typeof ResourcePatternTypes>

const builtIn = () => undefined

/**
 * Codecs. Programs put packages here, such as `CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec`: that is accepted and
 * changes nothing, all codecs are built in.
 */
// biome-ignore lint/suspicious/noExplicitAny: as in kafkajs' types, so that its codec packages can be assigned
export const CompressionCodecs: Record<1 | 2 | 3 | 4, () => any> = { 1: builtIn, 2: builtIn, 3: builtIn, 4: builtIn }
