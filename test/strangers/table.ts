/**
 * The cases that other people's clients go through, against the embedded broker and against Apache Kafka. What a case must come to is
 * written here once, for all of them: a driver does the case with its client, and says what it saw in these words.
 *
 * In results `@` is the case's unique name, errors are Kafka's numbers, and states of groups are written `STABLE`.
 */

import { refusals } from './refusals.ts'

/** What is there before a driver begins. */
export interface Case {
  readonly id: string
  readonly proves: string
  /** The topic with the case's name. */
  readonly topic?: { readonly partitions: number; readonly configs?: Readonly<Record<string, string>> }
  /** What it holds: records with a value, by partition. */
  readonly seed?: readonly Seed[]
  /** What the group `@-group` has committed for the partitions of the topic. */
  readonly committed?: readonly number[]
  /** A consumer of ours is the only member of the group `@-live`. */
  readonly live?: boolean
  /** The one that does it; absent: all. */
  readonly only?: string
  /** What the driver must answer. It may add `details`, which must be the same from both brokers. */
  readonly expected: Readonly<Record<string, unknown>>
}

/** A record that is there already. */
export interface Seed {
  readonly partition: number
  readonly value: string
  readonly timestamp: number
}

/** The time of the first record of each case. */
export const T0 = 1_700_000_000_000
export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

/** Records of years ago: they must stay. */
const forever = { 'retention.ms': '-1' }
const times = (count: number) => Array.from({ length: count }, (_, at) => at)
const numbered = (count: number, partition = 0): Seed[] =>
  times(count).map(at => ({ partition, value: `r${at}`, timestamp: T0 + at * 1_000 }))

const written = [
  { offset: 0, key: 'k0', value: 'v0', headers: [['h', '1'], ['h', '2']], timestamp: T0 }, // biome-ignore format: a table
  { offset: 1, key: null, value: 'no key', headers: [], timestamp: T0 + 1_000 },
  { offset: 2, key: 'k2', value: null, headers: [], timestamp: T0 + 2_000 },
  { offset: 3, key: 'k3', value: '', headers: [['empty', '']], timestamp: T0 + 3_000 },
  { offset: 4, key: 'big', value: 'x*20000', headers: [], timestamp: T0 + 4_000 },
]

/** A batch of 20,000 bytes is let in only where it came compressed. */
const codec = (name: (typeof codecs)[number]): Case => ({
  id: `codec-${name}`,
  proves: `records of every shape are produced with ${name} and fetched again`,
  topic: { partitions: 1, configs: name === 'none' ? forever : { ...forever, 'max.message.bytes': '4000' } },
  expected: { records: written },
})

/** Two members come, one goes: what a group with four partitions of ten records goes through. */
const group = (id: string, proves: string): Case => ({
  id,
  proves,
  topic: { partitions: 4, configs: forever },
  seed: times(4).flatMap(partition => numbered(10, partition)),
  expected: {
    steps: [[4], [2, 2], [4]],
    read: 40,
    committed: [10, 10, 10, 10],
    stable: ['STABLE', 1],
    empty: ['EMPTY', 0],
  },
})

const errors = 'org.apache.kafka.common.errors'
const alice = 'TOPIC:LITERAL:@:User:@-alice:*:READ:ALLOW'
const bob = 'GROUP:PREFIXED:@:User:@-bob:10.0.0.1:DESCRIBE:DENY'

export const cases: readonly Case[] = [
  ...codecs.map(codec),
  {
    id: 'too-large',
    proves: 'a batch above max.message.bytes is refused, and the next one is taken',
    topic: { partitions: 1, configs: { 'max.message.bytes': '4000' } },
    expected: { error: 10, offset: 0, end: 1 },
  },
  {
    id: 'append-time',
    proves: 'message.timestamp.type=LogAppendTime gives records the time of the broker',
    topic: { partitions: 1, configs: { 'message.timestamp.type': 'LogAppendTime' } },
    expected: { type: 'LogAppendTime', brokersClock: true },
  },
  {
    id: 'auto-create',
    proves: 'producing to a topic that is not there makes it, with num.partitions partitions',
    expected: { offset: 0, partitions: 3 },
  },
  {
    id: 'fetch',
    proves: 'reading from an offset to the end; the ends; an offset out of range is reset',
    topic: { partitions: 2, configs: forever },
    seed: numbered(10, 1),
    expected: {
      values: ['r4', 'r5', 'r6', 'r7', 'r8', 'r9'],
      offsets: [4, 5, 6, 7, 8, 9],
      earliest: [0, 0],
      latest: [0, 10],
      reset: 0,
    },
  },
  {
    id: 'seek-by-time',
    proves: 'offsets by time (before the first, between two, at one, after the last), and reading from there',
    topic: { partitions: 1, configs: forever },
    seed: numbered(10),
    expected: { offsets: [0, 5, 5, null], values: ['r5', 'r6', 'r7', 'r8', 'r9'] },
  },
  {
    id: 'list-offsets',
    proves:
      'the earliest offset, the latest, by time, and that of the largest timestamp, where times go back and forth',
    topic: { partitions: 1, configs: forever },
    seed: [
      { partition: 0, value: 'a', timestamp: T0 },
      { partition: 0, value: 'b', timestamp: T0 + 9_000 },
      { partition: 0, value: 'c', timestamp: T0 + 5_000 },
    ],
    expected: { earliest: 0, latest: 3, byTime: 1, largest: 1 },
  },
  group('group-classic', 'a classic group rebalances when members come and go; nothing is lost; commits are kept'),
  group('group-848', 'the same with the group protocol of KIP-848'),
  {
    id: 'static-member',
    proves: 'a static member comes back to its partitions without a rebalance; another of its name fences it',
    topic: { partitions: 2, configs: forever },
    expected: { steps: [1, 1], same: true, undisturbed: true, instances: ['one', 'two'], fenced: 82 },
  },
  {
    id: 'transactions',
    proves: 'commit, abort, offsets of a group, read_committed, the last stable offset, and fencing',
    topic: { partitions: 1, configs: forever },
    expected: {
      committed: ['a0', 'a1', 'c0'],
      offsets: [0, 1, 6],
      uncommitted: ['a0', 'a1', 'b0', 'b1', 'c0'],
      ends: [8, 9],
      groupOffset: 2,
      fenced: true,
      final: [10, 10],
    },
  },
  {
    id: 'admin-topics',
    proves: 'topics are created, described, grown and deleted; what is wrong is refused with its own error',
    expected: {
      brokers: [1],
      described: { partitions: 2, leaders: [1, 1], replicas: [[1], [1]], isr: [[1], [1]] },
      again: 36,
      badName: 17,
      badReplication: 38,
      listed: true,
      grown: 3,
      shrunk: 37,
      deleted: true,
      unknown: 3,
    },
  },
  {
    id: 'delete-records',
    proves: 'records are deleted up to an offset and up to the end; not beyond it',
    topic: { partitions: 1, configs: forever },
    seed: numbered(10),
    expected: { low: 4, earliest: 4, beyond: 1, all: 10 },
  },
  {
    id: 'admin-configs',
    proves: 'topic configs are described with their sources, set, deleted, appended to; the broker’s is described',
    topic: { partitions: 1, configs: forever },
    expected: {
      before: { 'retention.ms': ['-1', 'DYNAMIC_TOPIC_CONFIG'], 'cleanup.policy': ['delete', 'DEFAULT_CONFIG'] },
      after: {
        'retention.ms': ['604800000', 'DEFAULT_CONFIG'],
        'retention.bytes': ['1000', 'DYNAMIC_TOPIC_CONFIG'],
        'cleanup.policy': ['delete,compact', 'DYNAMIC_TOPIC_CONFIG'],
      },
      badValue: 40,
      unknownName: 40,
      unknownTopic: 3,
      broker: '3',
    },
  },
  {
    id: 'admin-configs-legacy',
    proves: 'AlterConfigs replaces all configs of a topic',
    topic: { partitions: 1, configs: forever },
    expected: {
      after: { 'retention.ms': ['604800000', 'DEFAULT_CONFIG'], 'retention.bytes': ['1000', 'DYNAMIC_TOPIC_CONFIG'] },
      badValue: 40,
    },
  },
  {
    id: 'admin-groups',
    proves: 'groups are listed, described and deleted; not while they have members',
    topic: { partitions: 2, configs: forever },
    committed: [3, 4],
    live: true,
    expected: {
      listed: true,
      described: ['EMPTY', 0],
      live: ['STABLE', 1],
      notEmpty: 68,
      deleted: true,
      unknown: 69,
    },
  },
  {
    id: 'admin-offsets',
    proves: 'offsets of a group are read, altered and deleted',
    topic: { partitions: 2, configs: forever },
    seed: [...numbered(10), ...numbered(10, 1)],
    committed: [3, 4],
    expected: { before: [3, 4], altered: [1, 4], deleted: [1, null] },
  },
  {
    id: 'admin-acls',
    proves: 'access rules are created, found by filters, and deleted',
    expected: {
      alice: [alice],
      bob: [bob],
      matchTopic: [alice],
      matchGroup: [bob],
      literalGroup: [],
      deleted: [alice],
      left: [bob],
    },
  },
  {
    id: 'refusals',
    proves: 'what is wrong in administration is refused with Kafka’s numbers and in its words',
    topic: { partitions: 2, configs: forever },
    committed: [0],
    live: true,
    only: 'java',
    expected: { codes: refusals },
  },
  {
    id: 'other-tools',
    proves:
      'Kafka’s other tools: features, quorum, election, log folders, reassignment, transactions, quotas, users, client metrics, groups',
    topic: { partitions: 1, configs: forever },
    seed: numbered(10),
    committed: [3],
    live: true,
    only: 'tools',
    expected: {
      features: ['group.version 1', 'metadata.version 4.3-IV0', 'transaction.version 2'],
      downgrade: 'transaction.version can be downgraded to 0.',
      quorum: [1, 0],
      voters: ['1 Leader'],
      cluster: true,
      unregister: `${errors}.BrokerIdNotRegisteredException: Broker ID 77 is not currently registered`,
      election: ['Valid replica already elected for partitions @-0'],
      logDirs: [{ broker: 1, partitions: [{ partition: '@-0', hasBytes: true, offsetLag: 0, isFuture: false }] }],
      reassigning: ['No partition reassignments found.'],
      reassigned: 'Successfully started partition reassignment for @-0',
      elsewhere: 'Error: Unknown broker id 2',
      producers: [['0', '-1']],
      hanging: [],
      transactions: ['TransactionalId', 'Coordinator', 'ProducerId', 'TransactionState'],
      users: [
        "Quota configs for user-principal '@' are producer_byte_rate=1000.0",
        "SCRAM credential configs for user-principal '@' are SCRAM-SHA-256=iterations=4096",
      ],
      clients: ["Quota configs for client-id '@' are consumer_byte_rate=2000.0"],
      after: [''],
      subscription: [
        'Client metrics configs for @ are:',
        'interval.ms=5000',
        'match=',
        'metrics=org.apache.kafka.producer.',
      ],
      group: 'DYNAMIC_GROUP_CONFIG',
      groups: [
        ['@-group', 'Classic'],
        ['@-live', 'Classic', 'consumer'],
      ],
      members: [['1', '-', '@:0', '-', '-']],
      state: [['@-live', true, 'range', 'Stable', '1']],
    },
  },
]

/** Configs that a whole listing of a topic's (`details` of some drivers: `name:value:...`) shows otherwise on purpose, and why. */
export const different: Readonly<Record<string, string>> = {
  'segment.bytes': 'segments are smaller here, as docs/embedded-broker.md says',
  'min.insync.replicas':
    'where a cluster has eligible.leader.replicas.version, its controller sets a default of its own',
}

/** Why a case is not run with a client, or that part of its answer cannot be seen with it. */
export interface Limits {
  readonly cannot: Readonly<Record<string, string>>
  readonly blind?: Readonly<Record<string, Readonly<Record<string, string>>>>
}
