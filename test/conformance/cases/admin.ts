/** Administration. Its values cross as the cold contract has them: one case per kind of value. */
import { between, enumeral, including, oneOf, saying, silentOn, something, values, without } from '../expect.ts'
import type { Ask, Case } from '../harness.ts'
import { sure, texts } from './records.ts'

const admin: Ask = { do: 'admin', name: 'a' }
const of = 'a'
const here = { topic: '@', partition: 0 }
const configs = (gives: object): Ask => ({
  do: 'describeConfigs',
  of,
  type: 'TOPIC',
  name: '@',
  until: true,
  gives: { configs: gives },
})
const alter = (name: string, operation: string, value?: string): Ask => ({
  do: 'alterConfigs',
  of,
  type: 'TOPIC',
  name: '@',
  changes: [{ name, operation, value: value ?? null }],
})

const topics: readonly Case[] = [
  {
    name: 'a topic is created, listed, described, grown and deleted',
    kafka: true,
    partitions: 0,
    steps: [
      admin,
      { do: 'createTopics', of, topics: [{ topic: '@', partitions: 2, replicationFactor: 1 }] },
      { do: 'listTopics', of, until: true, gives: { topics: including('@') } },
      { do: 'describeTopics', of, topics: ['@'], until: true, gives: { topics: [{ topic: '@', partitions: 2 }] } },
      { do: 'createPartitions', of, topic: '@', count: 5 },
      { do: 'describeTopics', of, topics: ['@'], until: true, gives: { topics: [{ topic: '@', partitions: 5 }] } },
      { do: 'createPartitions', of, topic: '@', count: 3, fails: { code: 'INVALID_PARTITIONS', retriable: false } },
      { do: 'deleteTopics', of, topics: ['@'] },
      { do: 'listTopics', of, until: true, gives: { topics: without('@') } },
      {
        do: 'describeTopics',
        of,
        topics: ['@'],
        fails: { code: 'UNKNOWN_TOPIC_OR_PARTITION', group: 'refreshretriable', retriable: true },
      },
    ],
  },
  {
    name: 'what is only validated is not created',
    kafka: true,
    partitions: 0,
    steps: [
      admin,
      { do: 'createTopics', of, topics: [{ topic: '@', partitions: 1, replicationFactor: 1 }], validateOnly: true },
      {
        do: 'createTopics',
        of,
        topics: [{ topic: '@', partitions: 1, replicationFactor: 99 }],
        validateOnly: true,
        fails: { code: 'INVALID_REPLICATION_FACTOR', group: 'invalidconfiguration' },
      },
      { do: 'listTopics', of, gives: { topics: without('@') } },
    ],
  },
  {
    name: 'settings are described with their sources, set, deleted, appended to',
    kafka: true,
    configs: { 'retention.ms': '-1' },
    steps: [
      admin,
      configs({
        'retention.ms': { value: '-1', source: enumeral('DYNAMIC_TOPIC_CONFIG') },
        'cleanup.policy': { value: 'delete', source: enumeral('DEFAULT_CONFIG') },
      }),
      alter('retention.ms', 'DELETE'),
      alter('max.message.bytes', 'SET', '2000'),
      alter('cleanup.policy', 'APPEND', 'compact'),
      configs({
        'retention.ms': { value: '604800000', source: enumeral('DEFAULT_CONFIG') },
        'max.message.bytes': { value: '2000' },
        'cleanup.policy': { value: 'delete,compact' },
      }),
      { ...alter('retention.ms', 'SET', 'long'), fails: { code: 'INVALID_CONFIG', group: 'invalidconfiguration' } },
    ],
  },
  {
    name: 'records are deleted up to an offset, and not beyond the end',
    kafka: true,
    steps: [
      { do: 'producer', name: 'p' },
      { do: 'produce', of: 'p', records: texts('a', 'b', 'c') },
      admin,
      { do: 'deleteRecords', of, ...here, offset: 2, gives: { low: 2 } },
      { do: 'deleteRecords', of, ...here, offset: 9, fails: { code: 'OFFSET_OUT_OF_RANGE' } },
    ],
  },
  {
    name: 'the cluster tells its id, its controller and its brokers',
    steps: [admin, { do: 'describeCluster', of, gives: { clusterId: something, controller: 1, brokers: [1] } }],
  },
]

const committed: readonly Ask[] = [
  { do: 'consumer', name: 'c', options: { 'group.id': '@-g', 'enable.auto.commit': false } },
  { do: 'assign', of: 'c', partitions: [{ ...here, offset: 'earliest' }] },
  { do: 'commit', of: 'c', offsets: [{ ...here, offset: 3 }] },
  { do: 'close', of: 'c' },
]
const offsets = (offset: unknown): Ask => ({ do: 'groupOffsets', of, group: '@-g', gives: { offsets: offset } })

const groups: readonly Case[] = [
  {
    name: 'a group is listed, described, and deleted with its offsets',
    kafka: true,
    steps: [
      admin,
      ...committed,
      { do: 'listGroups', of, until: true, gives: { groups: including('@-g') } },
      { do: 'describeGroup', of, group: '@-g', gives: { state: enumeral('Empty'), members: 0 } },
      offsets([{ ...here, offset: '3' }]),
      { do: 'deleteGroups', of, groups: ['@-g'] },
      { do: 'deleteGroups', of, groups: ['@-g'], fails: { code: 'GROUP_ID_NOT_FOUND', retriable: false } },
    ],
  },
  {
    name: '64-bit integers are exact, or refused: never rounded',
    steps: [
      admin,
      ...committed,
      ...['0', '2147483648', '9007199254740991'].flatMap((offset): Ask[] => [
        { do: 'alterGroupOffsets', of, group: '@-g', offsets: [{ ...here, offset }] },
        offsets([{ ...here, offset }]),
      ]),
      {
        do: 'alterGroupOffsets',
        of,
        group: '@-g',
        offsets: [{ ...here, offset: '9007199254740993' }],
        fails: { code: 'INVALID_ARGUMENT' },
        either: true,
      },
      offsets([{ offset: oneOf('9007199254740991', '9007199254740993') }]),
    ],
  },
  {
    name: 'texts are carried unchanged, and an absent one is an empty one',
    steps: [
      admin,
      ...committed,
      { do: 'alterGroupOffsets', of, group: '@-g', offsets: [{ ...here, offset: '1', metadata: '鴉 "\\\n\u0007' }] },
      offsets([{ ...here, offset: '1', metadata: '鴉 "\\\n\u0007' }]),
      { do: 'alterGroupOffsets', of, group: '@-g', offsets: [{ ...here, offset: '2' }] },
      offsets([{ ...here, offset: '2', metadata: oneOf('', null) }]),
    ],
  },
]

const acl = {
  resourceType: 'TOPIC',
  resourceName: '@',
  patternType: 'PREFIXED',
  principal: 'User:@-alice',
  host: '10.0.0.1',
  operation: 'READ',
  permission: 'DENY',
}
const operations = ['ALL', 'WRITE', 'CREATE', 'DELETE', 'ALTER', 'DESCRIBE', 'DESCRIBE_CONFIGS', 'ALTER_CONFIGS']
const ruled = { broker: { authorization: { superUsers: ['User:ANONYMOUS'] } } }
const quota = (value: unknown): Ask => ({
  do: 'alterQuota',
  of,
  entity: { user: '@' },
  name: 'request_percentage',
  value,
})
const quotas = (value: number): Ask => ({
  do: 'describeQuota',
  of,
  entity: { user: '@' },
  until: true,
  gives: { values: { request_percentage: value } },
})
const scram = (more: object): Ask => ({
  do: 'alterScram',
  of,
  user: '@',
  mechanism: 'SCRAM-SHA-256',
  iterations: 4096,
  password: 'hunter2-of-the-table',
  salt: null,
  ...more,
})
const secret = { code: something, message: silentOn('hunter2'), items: silentOn('hunter2') }
const login = {
  'security.protocol': 'SASL_PLAINTEXT',
  'sasl.mechanism': 'SCRAM-SHA-256',
  'sasl.username': 'alice',
  'sasl.password': 'hunter2-of-the-table',
}
const guarded = { broker: { sasl: { users: [{ name: 'alice', password: 'hunter2-of-the-table' }] } } }

const kinds: readonly Case[] = [
  {
    name: 'an enum comes back as it was given: rules of access are created, found and deleted',
    ...ruled,
    steps: [
      admin,
      { do: 'createAcls', of, acls: [acl] },
      { do: 'describeAcls', of, filter: { principal: 'User:@-alice' }, gives: { acls: [acl] } },
      { do: 'describeAcls', of, filter: { principal: 'User:@-bob' }, gives: { acls: [] } },
      { do: 'deleteAcls', of, filter: { resourceType: 'TOPIC', resourceName: '@' }, gives: { acls: [acl] } },
      ...operations.flatMap((operation): Ask[] => [
        { do: 'createAcls', of, acls: [{ ...acl, operation }] },
        { do: 'deleteAcls', of, filter: { principal: acl.principal }, gives: { acls: [{ ...acl, operation }] } },
      ]),
    ],
  },
  {
    name: 'an enum is open: what has no name is given by its number, and the broker decides',
    ...ruled,
    steps: [
      admin,
      {
        do: 'createAcls',
        of,
        acls: [{ ...acl, operation: 'UNKNOWN(77)' }],
        fails: { code: 'INVALID_REQUEST', retriable: false },
      },
    ],
  },
  {
    name: 'doubles are exact; what JSON has no number for gets to the broker, which refuses it',
    steps: [
      admin,
      ...[12.5, 0.1, 33.333333333333336, 1e-7].flatMap((value): Ask[] => [quota(value), quotas(value)]),
      { ...quota('NaN'), fails: { code: something, retriable: false } },
      quota(null),
      { do: 'describeQuota', of, entity: { user: '@' }, until: true, gives: { values: { request_percentage: null } } },
    ],
  },
  {
    name: 'bytes are carried: the salt of a password; and null is none',
    steps: [
      admin,
      scram({ salt: Buffer.from([0, 255, 254, 128, 10, 13, 61, 1]).toString('base64') }),
      scram({ mechanism: 'SCRAM-SHA-512', iterations: 8192 }),
      {
        do: 'describeScram',
        of,
        user: '@',
        until: true,
        gives: {
          credentials: including(
            { mechanism: enumeral('SCRAM-SHA-256'), iterations: 4096 },
            { mechanism: enumeral('SCRAM-SHA-512'), iterations: 8192 },
          ),
        },
      },
      scram({ password: null, iterations: null }),
      { do: 'describeScram', of, user: '@', until: true, gives: { credentials: [{ iterations: 8192 }] } },
    ],
  },
  {
    name: 'a password in an admin call that fails is in no error',
    steps: [admin, { ...scram({ iterations: 5 }), fails: secret }],
  },
  {
    name: 'who logs in reads and writes',
    ...guarded,
    client: login,
    steps: [
      { do: 'producer', name: 'p' },
      { do: 'produce', of: 'p', records: texts('a') },
      { do: 'consumer', name: 'c' },
      { do: 'assign', of: 'c', partitions: [{ ...here, offset: 'earliest' }] },
      { do: 'consume', of: 'c', count: 1, ms: sure, gives: { records: values('a') } },
    ],
  },
  {
    name: 'a password that is refused, or has the wrong form, is in no error',
    partitions: 0,
    ...guarded,
    steps: [
      { do: 'admin', name: 'a', client: { ...login, 'sasl.password': 'hunter2-is-wrong' } },
      {
        do: 'listTopics',
        of,
        fails: { ...secret, code: 'SASL_AUTHENTICATION_FAILED', group: 'invalidconfiguration', retriable: false },
      },
      {
        do: 'producer',
        name: 'p',
        client: { ...login, 'sasl.mechanism': 'SCRAM-SHA-1' },
        fails: { ...secret, group: 'invalidconfiguration', message: saying(/^(?!.*hunter2).*sasl\.mechanism/s) },
      },
    ],
  },
  {
    name: 'lists, numbers and flags are options as they are, and as texts',
    steps: [
      ...[
        { 'fetch.min.bytes': 1, 'check.crcs': true, 'partition.assignment.strategy': ['range', 'roundrobin'] },
        { 'fetch.min.bytes': '1', 'check.crcs': 'true', 'partition.assignment.strategy': 'range,roundrobin' },
      ].flatMap((options, at): Ask[] => [
        { do: 'consumer', name: `c${at}`, options: { 'group.id': '@-g', 'auto.offset.reset': 'earliest', ...options } },
        { do: 'subscribe', of: `c${at}`, topics: ['@'] },
        { do: 'consume', of: `c${at}`, count: 1, ms: 100, gives: { records: [] } },
      ]),
      admin,
      { do: 'describeGroup', of, group: '@-g', until: true, gives: { members: between(2, 2) } },
    ],
  },
]

export const cases: readonly Case[] = [...topics, ...groups, ...kinds]
