/**
 * Assignors of the program's own: who gets which partition, decided by the member that leads its group.
 */
import type { TopicPartition } from './generated/operations.ts'
import type { ConsumerOptions as TableOptions } from './generated/options.ts'

/** A member of the group, as its leader sees it. */
export interface GroupMember {
  /** Given by the coordinator; another one each time the program starts, except with a `groupInstanceId`. */
  memberId: string
  /** `groupInstanceId` of a static member. */
  groupInstanceId: string | null
  /** What it subscribes to. */
  topics: string[]
  /** What it owns while the group rebalances; nothing, if its assignor is not cooperative. */
  ownedPartitions: TopicPartition[]
  /** The generation of `ownedPartitions`; null: not known. */
  generation: number | null
  /** Its `clientRack`. */
  rack: string | null
  /** Its `userData`. */
  userData: Buffer | null
}

/** What an assignor works from. */
export interface GroupToAssign {
  /** The topics that any member subscribes to and that exist, sorted, with their numbers of partitions. */
  topics: { topic: string; partitions: number }[]
  /** The members, sorted. */
  members: GroupMember[]
}

/** What a member gets. */
export interface MemberAssignment {
  /** Which member. */
  memberId: string
  /** Its partitions: they exist, it subscribes to their topics, and nobody else gets them. */
  partitions: TopicPartition[]
}

/**
 * An assignor of the program's own, for `partitionAssignmentStrategy`. All members of the group need one of this name.
 *
 * @example
 * const strategy = { name: 'first-takes-all', assign: ({ topics, members }) => [{ memberId: members[0].memberId, partitions: all(topics) }] }
 * kafka.consumer({ groupId: 'billing', partitionAssignmentStrategy: [strategy] })
 */
export interface PartitionAssignor {
  /** The name that the members agree on; not one of Kafka's own. */
  name: string
  /**
   * Members keep their partitions through a rebalance (KIP-429). What `assign` moves is withheld until its owner has given
   * it up.
   * @defaultValue false
   */
  cooperative?: boolean | undefined
  /** What this member tells the `assign` of the leader. */
  userData?: Uint8Array | undefined
  /**
   * Shares out all partitions; who is left out gets none. Called on the member that leads. When it fails, or has not
   * answered after two thirds of `sessionTimeoutMs`, this consumer leaves the group and its loop ends with `CALLBACK_FAILED`.
   */
  assign(group: GroupToAssign): readonly MemberAssignment[] | Promise<readonly MemberAssignment[]>
}

/** The names of Kafka's own assignors. */
export type BuiltInAssignor = 'range' | 'roundrobin' | 'sticky' | 'cooperative-sticky'

/** Options of a consumer. */
export interface ConsumerOptions extends Omit<TableOptions, 'partitionAssignmentStrategy'> {
  /**
   * Assignors this member supports, best first; the group uses the first that all its members know. Only when all of them
   * are cooperative, as `'cooperative-sticky'` is, are partitions read on during a rebalance.
   *
   * `partition.assignment.strategy`, a list of names and of assignors of the program's own. Source: KIP-429.
   * @defaultValue range,cooperative-sticky
   */
  partitionAssignmentStrategy?: readonly (BuiltInAssignor | PartitionAssignor)[] | undefined
}
