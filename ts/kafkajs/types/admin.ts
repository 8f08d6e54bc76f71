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
  retry?: RetryOptions | undefined
}

/** A topic to create. */
export interface ITopicConfig {
  topic: string
  numPartitions?: number | undefined
  replicationFactor?: number | undefined
  replicaAssignment?: ReplicaAssignment[] | undefined
  configEntries?: IResourceConfigEntry[] | undefined
}

/** How many partitions a topic is to have. */
export interface ITopicPartitionConfig {
  topic: string
  count: number
  assignments?: Array<Array<number>> | undefined
}

/** A topic. */
export interface ITopicMetadata {
  name: string
  partitions: PartitionMetadata[]
}

/** The nodes that hold a partition. */
export interface ReplicaAssignment {
  partition: number
  replicas: Array<number>
}

/** Where partitions of a topic are to go. */
export interface PartitionReassignment {
  topic: string
  partitionAssignment: Array<ReplicaAssignment>
}

/** Whose configuration is asked for. */
export interface ResourceConfigQuery {
  type: ConfigResourceTypes
  name: string
  configNames?: string[] | undefined
}

/** One value of a configuration. */
export interface ConfigEntries {
  configName: string
  configValue: string
  isDefault: boolean
  configSource: ConfigSource
  isSensitive: boolean
  readOnly: boolean
  configSynonyms: ConfigSynonyms[]
}

/** Another place that a value may come from. */
export interface ConfigSynonyms {
  configName: string
  configValue: string
  configSource: ConfigSource
}

/** Configurations. */
export interface DescribeConfigResponse {
  resources: {
    configEntries: ConfigEntries[]
    errorCode: number
    errorMessage: string
    resourceName: string
    resourceType: ConfigResourceTypes
  }[]
  throttleTime: number
}

/** One value of a configuration to set. */
export interface IResourceConfigEntry {
  name: string
  value: string
}

/** What is to be set. */
export interface IResourceConfig {
  type: ConfigResourceTypes
  name: string
  configEntries: IResourceConfigEntry[]
}

/** An offset of a partition. */
export type SeekEntry = PartitionOffset

/** A committed offset. */
export type FetchOffsetsPartition = PartitionOffset & { metadata: string | null }

/** Who may do what from where. */
export interface Acl {
  principal: string
  host: string
  operation: AclOperationTypes
  permissionType: AclPermissionTypes
}

/** What an ACL is about. */
export interface AclResource {
  resourceType: AclResourceTypes
  resourceName: string
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
  throttleTime: number
  errorCode: number
  errorMessage?: string
  resources: DescribeAclResource[]
}

/** Which ACLs. */
export interface AclFilter {
  resourceType: AclResourceTypes
  resourceName?: string | undefined
  resourcePatternType: ResourcePatternTypes
  principal?: string | undefined
  host?: string | undefined
  operation: AclOperationTypes
  permissionType: AclPermissionTypes
}

/** An ACL that was deleted. */
export interface MatchingAcl {
  errorCode: number
  errorMessage?: string
  resourceType: AclResourceTypes
  resourceName: string
  resourcePatternType: ResourcePatternTypes
  principal: string
  host: string
  operation: AclOperationTypes
  permissionType: AclPermissionTypes
}

/** What a filter deleted. */
export interface DeleteAclFilterResponses {
  errorCode: number
  errorMessage?: string
  matchingAcls: MatchingAcl[]
}

/** What was deleted. */
export interface DeleteAclResponse {
  throttleTime: number
  filterResponses: DeleteAclFilterResponses[]
}

/** Partitions on their way. */
export interface ListPartitionReassignmentsResponse {
  topics: OngoingTopicReassignment[]
}

/** Partitions of a topic on their way. */
export interface OngoingTopicReassignment {
  topic: string
  partitions: OngoingPartitionReassignment[]
}

/** A partition on its way. */
export interface OngoingPartitionReassignment {
  partitionIndex: number
  replicas: number[]
  addingReplicas?: number[]
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
