/** Groups: who reads what, and from where. */
import { elements, enumeral, inAnyOrder, including, values } from '../expect.ts'
import type { Ask, Case, Step } from '../harness.ts'
import { sure, texts } from './records.ts'

const member = (name: string, options = {}): Ask => ({
  do: 'consumer',
  name,
  options: { 'group.id': '@-g', 'auto.offset.reset': 'earliest', ...options },
})
const subscribe = (of: string): Ask => ({ do: 'subscribe', of, topics: ['@'] })
const filled = (...list: string[]): readonly Ask[] => [
  { do: 'producer', name: 'p' },
  { do: 'produce', of: 'p', records: texts(...list) },
]
const consume = (of: string, ...list: string[]): Ask => ({
  do: 'consume',
  of,
  count: list.length,
  ms: sure,
  gives: { records: values(...list) },
})
const partition = (of: number) => ({ topic: '@', partition: of })
const committed = (of: string, offset: number | null): Ask => ({
  do: 'committed',
  of,
  partitions: [partition(0)],
  gives: { offsets: [{ ...partition(0), offset }] },
})
const has = (of: string, count: number): Ask => ({ do: 'assignment', of, gives: { partitions: elements(count) } })
/** The listener of a member was told; who polls gets it with a poll. */
const told = (of: string, event: string, count: number): Ask => ({
  do: 'events',
  of,
  gives: { events: including({ event, partitions: elements(count) }) },
})
const protocols: readonly (readonly [title: string, options: object])[] = [
  ['the classic protocol', { 'group.protocol': 'classic' }],
  ['cooperative-sticky', { 'partition.assignment.strategy': ['cooperative-sticky'] }],
  ['the protocol of KIP-848', { 'group.protocol': 'consumer' }],
]

const shared = ([title, options]: (typeof protocols)[number]): Case => ({
  name: `members share the partitions, and take over those of one that goes (${title})`,
  kafka: true,
  partitions: 4,
  steps: [
    member('c1', options),
    subscribe('c1'),
    { drive: ['c1'], until: [has('c1', 4)] },
    { drive: ['c1'], until: [told('c1', 'assigned', 4)] },
    member('c2', options),
    subscribe('c2'),
    { drive: ['c1', 'c2'], until: [has('c1', 2), has('c2', 2)] },
    { drive: ['c1', 'c2'], until: [told('c2', 'assigned', 2)] },
    { do: 'close', of: 'c2' },
    { drive: ['c1'], until: [has('c1', 4)] },
  ],
})

const taken: readonly Step[] = [
  member('c1', { 'enable.auto.commit': false }),
  subscribe('c1'),
  consume('c1', 'a', 'b', 'c'),
]

export const cases: readonly Case[] = [
  {
    name: 'a group goes on where it has committed, to the record',
    kafka: true,
    steps: [
      ...filled('a', 'b', 'c', 'd', 'e'),
      ...taken,
      { do: 'commit', of: 'c1' },
      committed('c1', 3),
      { do: 'close', of: 'c1' },
      member('c2'),
      subscribe('c2'),
      consume('c2', 'd', 'e'),
    ],
  },
  {
    name: 'what is finished is committed by itself on close, to the record',
    kafka: true,
    steps: [
      ...filled('a', 'b', 'c', 'd', 'e'),
      member('c1'),
      subscribe('c1'),
      consume('c1', 'a', 'b', 'c'),
      { do: 'close', of: 'c1' },
      member('c2'),
      committed('c2', 3),
    ],
  },
  {
    name: 'a listener commits when partitions are revoked, also while its consumer closes',
    kafka: true,
    steps: [
      ...filled('a', 'b', 'c'),
      member('c1', { 'enable.auto.commit': false }),
      { ...subscribe('c1'), offsets: [{ ...partition(0), offset: 2 }] },
      consume('c1', 'a', 'b', 'c'),
      { do: 'close', of: 'c1' },
      member('c2'),
      committed('c2', 2),
    ],
  },
  {
    name: 'what is finished is committed by itself in time',
    kafka: true,
    steps: [
      ...filled('a', 'b'),
      member('c1', { 'auto.commit.interval.ms': 200 }),
      subscribe('c1'),
      consume('c1', 'a'),
      { drive: [], until: [committed('c1', 1)] },
    ],
  },
  {
    name: 'without a commit a group begins anew',
    kafka: true,
    steps: [
      ...filled('a', 'b', 'c'),
      ...taken,
      { do: 'close', of: 'c1' },
      member('c2'),
      subscribe('c2'),
      consume('c2', 'a', 'b', 'c'),
    ],
  },
  {
    name: 'offsets are committed as they are given, with a text, and told; none is null',
    kafka: true,
    partitions: 2,
    steps: [
      member('c1', { 'enable.auto.commit': false }),
      { do: 'assign', of: 'c1', partitions: [{ ...partition(0), offset: 'earliest' }] },
      { do: 'commit', of: 'c1', offsets: [{ ...partition(0), offset: 5, metadata: 'Dohle, 寒鴉' }] },
      {
        do: 'committed',
        of: 'c1',
        partitions: [partition(0), partition(1)],
        gives: {
          offsets: inAnyOrder(
            { ...partition(0), offset: 5, metadata: 'Dohle, 寒鴉' },
            { ...partition(1), offset: null },
          ),
        },
      },
    ],
  },
  ...protocols.map(shared),
  {
    name: 'groups do not touch each other',
    kafka: true,
    steps: [
      ...filled('a', 'b'),
      ...['c1', 'c2'].map(name => member(name, { 'group.id': `@-${name}` })),
      subscribe('c1'),
      subscribe('c2'),
      { together: [consume('c1', 'a', 'b'), consume('c2', 'a', 'b')] },
    ],
  },
  {
    name: 'topics are subscribed by a pattern',
    kafka: true,
    partitions: 0,
    steps: [
      { do: 'admin', name: 'a' },
      {
        do: 'createTopics',
        of: 'a',
        topics: ['@-1', '@-2', 'other-@'].map(topic => ({ topic, partitions: 1, replicationFactor: 1 })),
      },
      { do: 'producer', name: 'p' },
      { do: 'produce', of: 'p', records: ['@-1', 'other-@', '@-2'].map(topic => ({ topic, value: 'v' })) },
      member('c1'),
      { do: 'subscribe', of: 'c1', pattern: '^@-[12]$' },
      {
        do: 'consume',
        of: 'c1',
        count: 2,
        ms: sure,
        gives: { records: inAnyOrder({ topic: '@-1' }, { topic: '@-2' }) },
      },
      { do: 'consume', of: 'c1', count: 1, ms: 300, gives: { records: [] } },
    ],
  },
  {
    name: 'who unsubscribes leaves its group, and can subscribe again',
    kafka: true,
    steps: [
      ...filled('a', 'b'),
      member('c1'),
      subscribe('c1'),
      consume('c1', 'a'),
      { do: 'unsubscribe', of: 'c1' },
      { do: 'assignment', of: 'c1', gives: { partitions: [] } },
      { do: 'admin', name: 'a' },
      { do: 'describeGroup', of: 'a', group: '@-g', until: true, gives: { state: enumeral('Empty'), members: 0 } },
      subscribe('c1'),
      consume('c1', 'b'),
    ],
  },
  {
    name: 'a static member that comes twice: the earlier one is fenced',
    kafka: true,
    steps: [
      member('c1', { 'group.instance.id': 'one' }),
      subscribe('c1'),
      { drive: ['c1'], until: [has('c1', 1)] },
      member('c2', { 'group.instance.id': 'one' }),
      subscribe('c2'),
      { drive: ['c2'], until: [has('c2', 1)] },
      { do: 'consume', of: 'c1', count: 1, ms: sure, fails: { code: 'FENCED_INSTANCE_ID', fatal: true } },
    ],
  },
  {
    name: 'a reader that takes too long for a step leaves its group, and comes back where it was',
    steps: [
      ...filled('a', 'b'),
      member('c1', { 'max.poll.interval.ms': 1000, 'session.timeout.ms': 1000, 'heartbeat.interval.ms': 200 }),
      subscribe('c1'),
      consume('c1', 'a'),
      { do: 'admin', name: 'a' },
      { do: 'describeGroup', of: 'a', group: '@-g', until: true, gives: { members: 0 } },
      consume('c1', 'b'),
      { drive: ['c1'], until: [has('c1', 1)] },
    ],
  },
  {
    name: 'a coordinator that has moved is looked up again',
    steps: [
      ...filled('a'),
      { fault: { api: 'JoinGroup', count: 2, action: { kind: 'error', code: 'NOT_COORDINATOR', when: 'before' } } },
      { fault: { api: 'OffsetFetch', action: { kind: 'close', when: 'before' } } },
      {
        fault: { api: 'OffsetCommit', action: { kind: 'error', code: 'COORDINATOR_LOAD_IN_PROGRESS', when: 'before' } },
      },
      member('c1'),
      subscribe('c1'),
      consume('c1', 'a'),
      { do: 'commit', of: 'c1' },
      committed('c1', 1),
    ],
  },
]
