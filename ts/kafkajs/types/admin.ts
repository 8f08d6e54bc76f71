/**
 * kafkajs' types of the admin client.
 */
import type {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  ConfigResourceTypes,
  ConfigSource,
  ResourcePatternTypes,
} from '../constants.ts'
import type { KafkaJSProtocolError } from '../errors.ts'
import type { Logger, RetryOptions } from './client.ts'
import type { GroupDescriptions, TopicPartitions } from './consumer.ts'
import type {
  AdminEvents,
  ConnectEvent,
  DisconnectEvent,
  InstrumentationEvent,
  RemoveInstrumentationEventListener,
  RequestEvent,
  RequestQueueSizeEvent,
  RequestTimeoutEvent,
  ValueOf,
} from './events.ts'
import type { PartitionMetadata, PartitionOffset } from './records.ts'

/** Options of `admin`. */
export interface AdminConfig {
  /** How failures are tried again. */
  retry?: RetryOptions | undefined
}

/** A topic to create. */
export interface ITopicConfig {
  /** The topic. */
  topic: string
  /** How many partitions. Absent or −1: as the broker has it. */
  numPartitions?: number | undefined
  /** How many copies of each. Absent or −1: as the broker has it. */
  replicationFactor?: number | undefined
  /** The nodes of each partition, instead. */
  replicaAssignment?: ReplicaAssignment[] | undefined
  /** The settings. */
  configEntries?: IResourceConfigEntry[] | undefined
}

/** How many partitions a topic is to have. */
export interface ITopicPartitionConfig {
  /** The topic. */
  topic: string
  /** How many it has then. */
  count: number
  /** The nodes of each new partition. */
  assignments?: Array<Array<number>> | undefined
}

/** A topic. */
export interface ITopicMetadata {
  /** Its name. */
  name: string
  /** The partitions. */
  partitions: PartitionMetadata[]
}

/** The nodes that hold a partition. */
export interface ReplicaAssignment {
  /** The partition. */
  partition: number
  /** The nodes, the preferred leader first. */
  replicas: Array<number>
}

/** Where partitions of a topic are to go. */
export interface PartitionReassignment {
  /** The topic. */
  topic: string
  /** Where they are to go. */
  partitionAssignment: Array<ReplicaAssignment>
}

/** Whose configuration is asked for. */
export interface ResourceConfigQuery {
  /** What it is. */
  type: ConfigResourceTypes
  /** Its name. */
  name: string
  /** Only these settings. */
  configNames?: string[] | undefined
}

/** One value of a configuration. */
export interface ConfigEntries {
  /** The setting's name. */
  configName: string
  /** Its value; null for secrets. */
  configValue: string
  /** Whether it is the default. */
  isDefault: boolean
  /** Where it comes from. */
  configSource: ConfigSource
  /** Whether it is a secret. */
  isSensitive: boolean
  /** Whether it cannot be altered. */
  readOnly: boolean
  /** Where else it has a value, if that was asked for. */
  configSynonyms: ConfigSynonyms[]
}

/** Another place that a value may come from. */
export interface ConfigSynonyms {
  /** The setting's name. */
  configName: string
  /** Its value; null for secrets. */
  configValue: string
  /** Where it comes from. */
  configSource: ConfigSource
}

/** Configurations. */
export interface DescribeConfigResponse {
  /** What was found. */
  resources: {
    configEntries: ConfigEntries[]
    errorCode: number
    errorMessage: string
    resourceName: string
    resourceType: ConfigResourceTypes
  }[]
  /** Declared by kafkajs, not given. */
  throttleTime: number
}

/** One value of a configuration to set. */
export interface IResourceConfigEntry {
  /** Its name. */
  name: string
  /** Its value. */
  value: string
}

/** What is to be set. */
export interface IResourceConfig {
  /** What it is. */
  type: ConfigResourceTypes
  /** Its name. */
  name: string
  /** The settings. */
  configEntries: IResourceConfigEntry[]
}

/** An offset of a partition. */
export type SeekEntry = PartitionOffset

/** A committed offset. */
export type FetchOffsetsPartition = PartitionOffset & { metadata: string | null }

/** Who may do what from where. */
export interface Acl {
  /** For whom, such as `User:alice`. */
  principal: string
  /** From where; `*` is any. */
  host: string
  /** To do what. */
  operation: AclOperationTypes
  /** Whether they may. */
  permissionType: AclPermissionTypes
}

/** What an ACL is about. */
export interface AclResource {
  /** What it protects. */
  resourceType: AclResourceTypes
  /** The name of that. */
  resourceName: string
  /** How the name is meant. */
  resourcePatternType: ResourcePatternTypes
}

/** An ACL. */
export type AclEntry = Acl & AclResource

/** The ACLs of a resource. */
export type DescribeAclResource = AclResource & {
  acls: Acl[]
}

/** ACLs. */
export interface DescribeAclResponse {
  /** Declared by kafkajs, not given. */
  throttleTime: number
  /** 0. */
  errorCode: number
  /** None. */
  errorMessage?: string
  /** What was found. */
  resources: DescribeAclResource[]
}

/** Which ACLs. */
export interface AclFilter {
  /** What it protects. */
  resourceType: AclResourceTypes
  /** The name of that. */
  resourceName?: string | undefined
  /** How the name is meant. */
  resourcePatternType: ResourcePatternTypes
  /** For whom, such as `User:alice`. */
  principal?: string | undefined
  /** From where; `*` is any. */
  host?: string | undefined
  /** To do what. */
  operation: AclOperationTypes
  /** Whether they may. */
  permissionType: AclPermissionTypes
}

/** An ACL that was deleted. */
export interface MatchingAcl {
  /** 0. */
  errorCode: number
  /** None. */
  errorMessage?: string
  /** What it protects. */
  resourceType: AclResourceTypes
  /** The name of that. */
  resourceName: string
  /** How the name is meant. */
  resourcePatternType: ResourcePatternTypes
  /** For whom, such as `User:alice`. */
  principal: string
  /** From where; `*` is any. */
  host: string
  /** To do what. */
  operation: AclOperationTypes
  /** Whether they may. */
  permissionType: AclPermissionTypes
}

/** What a filter deleted. */
export interface DeleteAclFilterResponses {
  /** 0. */
  errorCode: number
  /** None. */
  errorMessage?: string
  /** What it deleted. */
  matchingAcls: MatchingAcl[]
}

/** What was deleted. */
export interface DeleteAclResponse {
  /** Declared by kafkajs, not given. */
  throttleTime: number
  /** What each filter deleted. */
  filterResponses: DeleteAclFilterResponses[]
}

/** Partitions on their way. */
export interface ListPartitionReassignmentsResponse {
  /** By topic. */
  topics: OngoingTopicReassignment[]
}

/** Partitions of a topic on their way. */
export interface OngoingTopicReassignment {
  /** The topic. */
  topic: string
  /** The partitions. */
  partitions: OngoingPartitionReassignment[]
}

/** A partition on its way. */
export interface OngoingPartitionReassignment {
  /** The partition. */
  partitionIndex: number
  /** The nodes, the preferred leader first. */
  replicas: number[]
  /** Nodes that are to get a copy. */
  addingReplicas?: number[]
  /** Nodes whose copy goes. */
  removingReplicas?: number[]
}

/** A group. */
export type GroupOverview = {
  groupId: string
  protocolType: string
}

/** What became of a group. */
export type DeleteGroupsResult = {
  groupId: string
  errorCode?: number
  error?: KafkaJSProtocolError
}

/** The admin client. */
export type Admin = {
  connect(): Promise<void>
  disconnect(): Promise<void>
  listTopics(): Promise<string[]>
  createTopics(options: {
    validateOnly?: boolean
    waitForLeaders?: boolean
    timeout?: number
    topics: ITopicConfig[]
  }): Promise<boolean>
  deleteTopics(options: { topics: string[]; timeout?: number }): Promise<void>
  createPartitions(options: {
    validateOnly?: boolean
    timeout?: number
    topicPartitions: ITopicPartitionConfig[]
  }): Promise<boolean>
  fetchTopicMetadata(options?: { topics: string[] }): Promise<{ topics: Array<ITopicMetadata> }>
  fetchOffsets(options: {
    groupId: string
    topics?: string[]
    resolveOffsets?: boolean
  }): Promise<Array<{ topic: string; partitions: FetchOffsetsPartition[] }>>
  fetchTopicOffsets(topic: string): Promise<Array<SeekEntry & { high: string; low: string }>>
  fetchTopicOffsetsByTimestamp(topic: string, timestamp?: number): Promise<Array<SeekEntry>>
  describeCluster(): Promise<{
    brokers: Array<{ nodeId: number; host: string; port: number }>
    controller: number | null
    clusterId: string
  }>
  setOffsets(options: { groupId: string; topic: string; partitions: SeekEntry[] }): Promise<void>
  resetOffsets(options: { groupId: string; topic: string; earliest: boolean }): Promise<void>
  describeConfigs(configs: {
    resources: ResourceConfigQuery[]
    includeSynonyms: boolean
  }): Promise<DescribeConfigResponse>
  // biome-ignore lint/suspicious/noExplicitAny: as in kafkajs' types
  alterConfigs(configs: { validateOnly: boolean; resources: IResourceConfig[] }): Promise<any>
  listGroups(): Promise<{ groups: GroupOverview[] }>
  deleteGroups(groupIds: string[]): Promise<DeleteGroupsResult[]>
  describeGroups(groupIds: string[]): Promise<GroupDescriptions>
  describeAcls(options: AclFilter): Promise<DescribeAclResponse>
  deleteAcls(options: { filters: AclFilter[] }): Promise<DeleteAclResponse>
  createAcls(options: { acl: AclEntry[] }): Promise<boolean>
  deleteTopicRecords(options: { topic: string; partitions: SeekEntry[] }): Promise<void>
  alterPartitionReassignments(request: { topics: PartitionReassignment[]; timeout?: number }): Promise<void>
  listPartitionReassignments(request: {
    topics?: TopicPartitions[]
    timeout?: number
  }): Promise<ListPartitionReassignmentsResponse>
  logger(): Logger
  on(
    eventName: AdminEvents['CONNECT'],
    listener: (event: ConnectEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: AdminEvents['DISCONNECT'],
    listener: (event: DisconnectEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: AdminEvents['REQUEST'],
    listener: (event: RequestEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: AdminEvents['REQUEST_QUEUE_SIZE'],
    listener: (event: RequestQueueSizeEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: AdminEvents['REQUEST_TIMEOUT'],
    listener: (event: RequestTimeoutEvent) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  on(
    eventName: ValueOf<AdminEvents>,
    // biome-ignore lint/suspicious/noExplicitAny: as in kafkajs' types
    listener: (event: InstrumentationEvent<any>) => void,
  ): RemoveInstrumentationEventListener<typeof eventName>
  readonly events: AdminEvents
}
