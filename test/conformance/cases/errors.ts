/** What goes wrong is repaired where that is possible, and told by class where it is not. */
import { elements, including, saying, something, values } from '../expect.ts'
import type { Case, Failing, Step } from '../harness.ts'
import { reader, sure, texts } from './records.ts'

type FaultRule = Extract<Step, { fault: unknown }>['fault']

/** Sends values one by one, each with its own outcome; then the topic must hold exactly `read`. */
const faulty = (
  name: string,
  faults: readonly FaultRule[],
  fates: readonly (readonly [value: string, fate: number | object])[],
  read: readonly string[],
  { client, options = {} }: { client?: object; options?: object } = {},
): Case => ({
  name,
  ...(client && { client: client as Record<string, unknown> }),
  steps: [
    { do: 'producer', name: 'p', options },
    ...faults.map(fault => ({ fault })),
    ...fates.map(([value, fate]) => ({
      do: 'produce',
      of: 'p',
      records: texts(value),
      gives: { results: [typeof fate === 'number' ? { offset: fate } : { error: fate }] },
    })),
    ...reader(),
    { do: 'consume', of: 'c', count: read.length, ms: sure, gives: { records: values(...read) } },
    { do: 'consume', of: 'c', count: 1, ms: 200, gives: { records: [] } },
  ],
})

const close = (when: 'before' | 'after') => ({ kind: 'close', when }) as const
const error = (code: string, when: 'before' | 'after' = 'before') => ({ kind: 'error', code, when }) as const

const repaired: readonly Case[] = [
  faulty(
    'an answer that never comes does not make a duplicate',
    [{ api: 'Produce', action: close('after') }],
    [['a', 0], ['b', 1]], // biome-ignore format: a table
    ['a', 'b'],
  ),
  faulty(
    'a request that never arrives is sent again',
    [{ api: 'Produce', count: 3, action: close('before') }],
    [['a', 0], ['b', 1]], // biome-ignore format: a table
    ['a', 'b'],
  ),
  faulty(
    'a silent connection is given up after the request timeout, without a duplicate',
    [{ api: 'Produce', action: { kind: 'drop', when: 'after' } }],
    [['a', 0], ['b', 1]], // biome-ignore format: a table
    ['a', 'b'],
    { client: { 'request.timeout.ms': 500 } },
  ),
  faulty(
    'a leader that has moved is looked up again (NOT_LEADER_OR_FOLLOWER)',
    [{ api: 'Produce', count: 2, action: error('NOT_LEADER_OR_FOLLOWER') }],
    [['a', 0]],
    ['a'],
  ),
  faulty(
    'too few replicas is tried again (NOT_ENOUGH_REPLICAS)',
    [{ api: 'Produce', count: 2, action: error('NOT_ENOUGH_REPLICAS') }],
    [['a', 0], ['b', 1]], // biome-ignore format: a table
    ['a', 'b'],
  ),
  faulty(
    'written, then answered with a timeout: tried again, in the log once (REQUEST_TIMED_OUT)',
    [{ api: 'Produce', action: error('REQUEST_TIMED_OUT', 'after') }],
    [['a', 0], ['b', 1]], // biome-ignore format: a table
    ['a', 'b'],
  ),
  faulty(
    'an answer that comes late is waited for',
    [{ api: 'Produce', count: 2, action: { kind: 'delay', ms: 300, when: 'after' } }],
    [['a', 0], ['b', 1]], // biome-ignore format: a table
    ['a', 'b'],
  ),
  faulty(
    'a fetch that fails is made again (NOT_LEADER_OR_FOLLOWER, then a cut connection)',
    [
      { api: 'Fetch', count: 2, action: error('NOT_LEADER_OR_FOLLOWER') },
      { api: 'Fetch', nth: 3, action: close('before') },
    ],
    [['a', 0], ['b', 1]], // biome-ignore format: a table
    ['a', 'b'],
  ),
  faulty(
    'metadata that cannot be had for a while is waited for',
    [{ api: 'Metadata', count: 3, action: close('before') }],
    [['a', 0]],
    ['a'],
  ),
]

const refused: readonly Case[] = [
  faulty(
    'a refusal is told, and the next record goes through (TOPIC_AUTHORIZATION_FAILED)',
    [{ api: 'Produce', action: error('TOPIC_AUTHORIZATION_FAILED') }],
    [['a', { code: 'TOPIC_AUTHORIZATION_FAILED', persistence: 'not-persisted', retriable: false }], ['b', 0]], // biome-ignore format: a table
    ['b'],
  ),
  {
    name: 'a record larger than allowed fails alone',
    steps: [
      { do: 'producer', name: 'p', options: { 'max.request.size': 1000 } },
      {
        do: 'produce',
        of: 'p',
        records: [...texts('a'), { topic: '@', partition: 0, value: { repeat: 'x', times: 2000 } }, ...texts('b')],
        gives: {
          results: [
            { offset: 0 },
            {
              error: {
                code: 'MESSAGE_TOO_LARGE',
                persistence: 'not-persisted',
                retriable: false,
                message: saying(/1000/),
              },
            },
            { offset: 1 },
          ],
        },
      },
    ],
  },
  {
    name: 'nothing is tried again longer than the delivery timeout',
    client: { 'request.timeout.ms': 200 },
    steps: [
      { do: 'producer', name: 'p', options: { 'delivery.timeout.ms': 1000, 'linger.ms': 0 } },
      { fault: { api: 'Produce', count: 0, action: error('NOT_ENOUGH_REPLICAS') } },
      { do: 'produce', of: 'p', records: texts('a'), gives: { results: [{ error: { code: 'DELIVERY_TIMEOUT' } }] } },
    ],
  },
  {
    name: 'a record whose fate nobody knows says so (possibly-persisted)',
    client: { 'request.timeout.ms': 200 },
    steps: [
      { do: 'producer', name: 'p', options: { 'delivery.timeout.ms': 700, 'linger.ms': 0 } },
      { fault: { api: 'Produce', count: 0, action: { kind: 'drop', when: 'after' } } },
      {
        do: 'produce',
        of: 'p',
        records: texts('a'),
        gives: {
          results: [{ error: { code: 'DELIVERY_TIMEOUT', persistence: 'possibly-persisted', retriable: true } }],
        },
      },
    ],
  },
]

/** What brokers can answer with that is not tried again, and the class that docs/errors.md gives it. */
const told: readonly (readonly [code: string, group: string])[] = [
  ['UNKNOWN_SERVER_ERROR', ''],
  ['RECORD_LIST_TOO_LARGE', 'invalidconfiguration'],
  ['INVALID_TIMESTAMP', ''],
  ['INVALID_TOPIC_EXCEPTION', 'invalidconfiguration'],
  ['POLICY_VIOLATION', ''],
  ['CLUSTER_AUTHORIZATION_FAILED', 'invalidconfiguration'],
  ['UNSUPPORTED_FOR_MESSAGE_FORMAT', 'invalidconfiguration'],
  ['INVALID_RECORD', 'invalidconfiguration'],
]

const classes: readonly Case[] = [
  {
    name: 'each error of a broker has its class, by the record that it is of',
    steps: [
      { do: 'producer', name: 'p', options: { acks: '1' } },
      ...told.flatMap(([code, group]): Step[] => [
        { fault: { api: 'Produce', action: error(code) } },
        { do: 'produce', of: 'p', records: texts('a'), gives: { results: [{ error: { code, group } }] } },
      ]),
    ],
  },
  {
    name: 'each group of KIP-1050 has its class: one error of each',
    steps: [
      { do: 'producer', name: 'far', client: { 'bootstrap.servers': '127.0.0.1:1' }, options: { 'max.block.ms': 300 } },
      {
        do: 'produce',
        of: 'far',
        records: texts('a'),
        gives: { results: [{ error: { code: 'MAX_BLOCK_TIMEOUT', group: 'retriable', retriable: true } }] },
      },
      { do: 'admin', name: 'a' },
      {
        do: 'describeTopics',
        of: 'a',
        topics: ['@-none'],
        fails: { code: 'UNKNOWN_TOPIC_OR_PARTITION', group: 'refreshretriable', retriable: true },
      },
      { do: 'producer', name: 'p', options: { 'transactional.id': '@-id' } },
      { do: 'begin', of: 'p' },
      { fault: { api: 'Produce', action: error('TRANSACTION_ABORTABLE') } },
      {
        do: 'produce',
        of: 'p',
        records: texts('a'),
        gives: { results: [{ error: { code: 'TRANSACTION_ABORTABLE', group: 'abortable', abortable: true } }] },
      },
      { do: 'consumer', name: 'c', options: { 'auto.offset.reset': 'none', 'group.id': '@-g' } },
      { do: 'subscribe', of: 'c', topics: ['@'] },
      { do: 'consume', of: 'c', count: 1, ms: sure, fails: { code: 'NO_OFFSET', group: 'applicationrecoverable' } },
      {
        do: 'createTopics',
        of: 'a',
        topics: [{ topic: '@-new', partitions: 1, configs: { 'retention.ms': 'long' } }],
        fails: { code: 'INVALID_CONFIG', group: 'invalidconfiguration', retriable: false },
      },
      {
        do: 'createTopics',
        of: 'a',
        topics: [{ topic: '@', partitions: 1 }],
        fails: { code: 'TOPIC_ALREADY_EXISTS', group: '', retriable: false },
      },
    ],
  },
  {
    name: 'an error that only a newer broker knows is told by its number',
    steps: [
      { do: 'producer', name: 'p', options: { acks: '1' } },
      { fault: { api: 'Produce', action: { kind: 'error', code: 4711, when: 'before' } } },
      {
        do: 'produce',
        of: 'p',
        records: texts('a'),
        gives: { results: [{ error: { code: 'UNKNOWN(4711)', group: '' } }] },
      },
    ],
  },
  {
    name: 'without auto.offset.reset an offset that is not there is an error, and a seek repairs it',
    kafka: true,
    steps: [
      { do: 'producer', name: 'p' },
      { do: 'produce', of: 'p', records: texts('a', 'b') },
      { do: 'consumer', name: 'c', options: { 'auto.offset.reset': 'none' } },
      { do: 'assign', of: 'c', partitions: [{ topic: '@', partition: 0, offset: 17 }] },
      { do: 'consume', of: 'c', count: 1, ms: sure, fails: { code: something, retriable: false, fatal: false } },
      { do: 'seek', of: 'c', topic: '@', partition: 0, offset: 1 },
      { do: 'consume', of: 'c', count: 1, ms: sure, gives: { records: values('b') } },
    ],
  },
  {
    name: 'a group that is not allowed is told to who reads (GROUP_AUTHORIZATION_FAILED)',
    steps: [
      { fault: { api: 'FindCoordinator', count: 0, action: error('GROUP_AUTHORIZATION_FAILED') } },
      { do: 'consumer', name: 'c', options: { 'group.id': '@-g' } },
      { do: 'subscribe', of: 'c', topics: ['@'] },
      {
        do: 'consume',
        of: 'c',
        count: 1,
        ms: sure,
        fails: { code: 'GROUP_AUTHORIZATION_FAILED', group: 'invalidconfiguration', retriable: false },
      },
    ],
  },
  {
    name: 'a commit without a group is refused',
    steps: [
      ...reader(),
      {
        do: 'commit',
        of: 'c',
        offsets: [{ topic: '@', partition: 0, offset: 1 }],
        fails: { code: something, retriable: false },
      },
    ],
  },
]

/** Options that cannot be: each is told with the option, its value and what is allowed. */
const wrong: readonly (readonly [what: 'producer' | 'consumer', options: object, message: RegExp])[] = [
  ['producer', { 'linger.ms': -5 }, /linger\.ms: -5 is below 0/],
  ['producer', { 'compression.type': 'brotli' }, /compression\.type: 'brotli' is not one of none, gzip/],
  ['producer', { 'linger.msec': 5 }, /linger\.msec.*linger\.ms/s],
  ['producer', { acks: '1', 'enable.idempotence': true }, /acks|enable\.idempotence/],
  ['consumer', { 'isolation.level': 'serializable' }, /isolation\.level: 'serializable'/],
  ['consumer', { 'auto.offset.reset': 'never' }, /auto\.offset\.reset/],
  ['consumer', { 'session.timeout.ms': 'soon' }, /session\.timeout\.ms: .soon. is not a whole number/],
]

const options: readonly Case[] = [
  ...wrong.map(
    ([what, given, message]): Case => ({
      name: `an option that cannot be is refused with what is allowed: ${Object.keys(given).at(-1)} of a ${what}`,
      partitions: 0,
      steps: [
        {
          do: what,
          name: 'x',
          options: given,
          fails: { code: something, group: 'invalidconfiguration', retriable: false, message: saying(message) },
        },
      ],
    }),
  ),
  {
    name: 'an option that cannot be is refused with what is allowed: bootstrap.servers of an admin',
    partitions: 0,
    steps: [
      {
        do: 'admin',
        name: 'x',
        client: { 'bootstrap.servers': 'local host:nine' },
        fails: { code: something, group: 'invalidconfiguration', message: saying(/bootstrap\.servers/) },
      },
    ],
  },
]

const several: Failing = {
  code: 'TOPIC_ALREADY_EXISTS',
  retriable: false,
  items: [
    { name: '@', error: { code: 'TOPIC_ALREADY_EXISTS' } },
    { name: '@ bad', error: { code: 'INVALID_TOPIC_EXCEPTION' } },
  ],
}

const items: readonly Case[] = [
  {
    name: 'of several things in one admin call each that fails has its own error; the others are done',
    kafka: true,
    steps: [
      { do: 'admin', name: 'a' },
      {
        do: 'createTopics',
        of: 'a',
        topics: ['@', '@-new', '@ bad'].map(topic => ({ topic, partitions: 1, replicationFactor: 1 })),
        fails: several,
      },
      { do: 'listTopics', of: 'a', until: true, gives: { topics: including('@-new') } },
      { do: 'describeTopics', of: 'a', topics: ['@-new'], gives: { topics: [{ topic: '@-new', partitions: 1 }] } },
      {
        do: 'deleteTopics',
        of: 'a',
        topics: ['@-new', '@-none'],
        fails: { code: 'UNKNOWN_TOPIC_OR_PARTITION', items: elements(1) },
      },
    ],
  },
]

export const cases: readonly Case[] = [...repaired, ...refused, ...classes, ...options, ...items]
