/**
 * kafkajs' types of assigners, and of the cluster that they are given.
 */
import type { Logger } from './client.ts'
import type { PartitionMetadata, TopicOffsets } from './records.ts'

/** Makes an assigner. */
export type PartitionAssigner = (config: { cluster: Cluster; groupId: string; logger: Logger }) => Assigner

/** What is known of a group's coordinator. */
export interface CoordinatorMetadata {
  /** 0. */
  errorCode: number
  /** Its address. */
  coordinator: { nodeId: number; host: string; port: number }
}

type Without<T, U> = { [P in Exclude<keyof T, keyof U>]?: never }
type XOR<T, U> = T | U extends object ? (Without<T, U> & U) | (Without<U, T> & T) : T | U

/** The cluster, for assigners. `findBroker` and its kin are refused: connections are the engine's. */
export type Cluster = {
  getNodeIds(): number[]
  metadata(): Promise<BrokerMetadata>
  removeBroker(options: { host: string; port: number }): void
  addMultipleTargetTopics(topics: string[]): Promise<void>
  isConnected(): boolean
  connect(): Promise<void>
  disconnect(): Promise<void>
  refreshMetadata(): Promise<void>
  refreshMetadataIfNecessary(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  findBroker(node: { nodeId: string }): Promise<Broker>
  findControllerBroker(): Promise<Broker>
  findTopicPartitionMetadata(topic: string): PartitionMetadata[]
  findLeaderForPartitions(topic: string, partitions: number[]): { [leader: string]: number[] }
  findGroupCoordinator(group: { groupId: string }): Promise<Broker>
  findGroupCoordinatorMetadata(group: { groupId: string }): Promise<CoordinatorMetadata>
  defaultOffset(config: { fromBeginning: boolean }): number
  fetchTopicsOffset(
    topics: Array<
      { topic: string; partitions: Array<{ partition: number }> } & XOR<
        { fromBeginning: boolean },
        { fromTimestamp: number }
      >
    >,
  ): Promise<TopicOffsets[]>
}

/** A connection to a broker: never given here. */
export type Broker = { isConnected(): boolean; connect(): Promise<void>; disconnect(): Promise<void> }

/** The brokers and the topics. */
export interface BrokerMetadata {
  /** The brokers. */
  brokers: Array<{ nodeId: number; host: string; port: number; rack?: string }>
  /** The topics. */
  topicMetadata: Array<{ topicErrorCode: number; topic: string; partitionMetadata: PartitionMetadata[] }>
}

/** Partitions by topic. */
export type Assignment = { [topic: string]: number[] }
/** A member of the group. */
export type GroupMember = { memberId: string; memberMetadata: Buffer }
/** What a member gets. */
export type GroupMemberAssignment = { memberId: string; memberAssignment: Buffer }
/** What a member tells of itself. */
export type GroupState = { name: string; metadata: Buffer }

/** Shares out partitions. */
export type Assigner = {
  name: string
  version: number
  assign(group: { members: GroupMember[]; topics: string[] }): Promise<GroupMemberAssignment[]>
  protocol(subscription: { topics: string[] }): GroupState
}

/** Turns values into bytes and back. */
export interface ISerializer<T> {
  /** To bytes. */
  encode(value: T): Buffer
  /** From bytes. */
  decode(buffer: Buffer): T | null
}

/** What a member tells of itself. */
export type MemberMetadata = { version: number; topics: string[]; userData: Buffer }
/** What a member gets. */
export type MemberAssignment = { version: number; assignment: Assignment; userData: Buffer }
