/** Names, numbers and bytes of `dohle/kafkajs` are those of kafkajs 2.2.4 itself. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import type * as Theirs from 'kafkajs'
import * as ours from '../../ts/kafkajs/index.ts'
import { protocolError } from '../../ts/kafkajs/protocol-errors.ts'
import { random } from '../support.ts'

const require = createRequire(import.meta.url)
// Imported, it has only the names that Node can tell from its text.
const theirs = require('kafkajs') as typeof Theirs
const names = ours as Record<string, unknown>

test('everything that kafkajs exports is there', () => {
  const absent = Object.keys(theirs).filter(name => !(name in ours))
  assert.deepEqual(absent, [])
  // `import kafkajs from 'kafkajs'` is how ES modules often have it.
  assert.deepEqual(
    Object.keys(theirs.default ?? {}).filter(name => !(name in ours.default)),
    [],
  )
})

test('every type that kafkajs declares is there', () => {
  const declared = readFileSync(join(require.resolve('kafkajs'), '..', 'types', 'index.d.ts'), 'utf8')
  const folder = join(import.meta.dirname, '..', '..', 'ts', 'kafkajs')
  const files = ['client', 'events', 'records', 'consumer', 'assigners', 'admin'].map(name => `types/${name}`)
  const text = [...files, 'errors', 'more-errors', 'constants']
    .map(file => readFileSync(join(folder, `${file}.ts`), 'utf8'))
    .join('\n')
  const missing = [...declared.matchAll(/^export (?:interface|type) (\w+)/gm)]
    .map(([, name]) => name!)
    .filter(name => !new RegExp(`^export (interface|type|const) ${name}\\b`, 'm').test(text))
  // What requests of a single broker answer: `Broker` is not given here.
  assert.deepEqual(missing, ['ApiVersions', 'ConsumerGroup'])
})

test('constants have the same members', () => {
  const constants = Object.entries(theirs).filter(([, value]) => Object.values(value).every(n => typeof n === 'number'))
  const plain = constants.filter(([, value]) => typeof value === 'object')
  assert.ok(plain.length >= 7, `${plain.length} constants`)
  for (const [name, value] of plain) assert.deepEqual({ ...(names[name] as object) }, { ...value }, name)
})

test('a broker’s error has the same type and number', () => {
  const path = join(require.resolve('kafkajs'), '..', 'src', 'protocol', 'error.js')
  const { errorCodes } = require(path) as { errorCodes: { type: string; code: number }[] }
  assert.ok(errorCodes.length > 80)
  const engine: Record<string, string> = {
    UNKNOWN: 'UNKNOWN_SERVER_ERROR',
    NOT_LEADER_FOR_PARTITION: 'NOT_LEADER_OR_FOLLOWER',
    GROUP_LOAD_IN_PROGRESS: 'COORDINATOR_LOAD_IN_PROGRESS',
    GROUP_COORDINATOR_NOT_AVAILABLE: 'COORDINATOR_NOT_AVAILABLE',
    NOT_COORDINATOR_FOR_GROUP: 'NOT_COORDINATOR',
  }
  const spec = readFileSync(join(import.meta.dirname, '..', '..', 'native', 'spec', 'errors.toml'), 'utf8')
  for (const { type, code } of errorCodes) {
    const name = engine[type] ?? type
    assert.deepEqual(protocolError(name), { type, code })
    assert.match(spec, new RegExp(`code = ${code}\\nname = "${name}"`))
  }
  assert.equal(protocolError('UNKNOWN_TOPIC_ID').code, -99, 'kafkajs does not know newer ones')
})

type AnyError = new (...args: unknown[]) => Error

test('error classes have the same names, members and ancestors', () => {
  const source = { message: 'message', retriable: true, type: 'TYPE', code: 7, stack: 'stack' }
  const partitions = [{ partition: 0, offset: '1', error: { retriable: false } }]
  const metadata = {
    ...{ topic: 'topic', partition: 3, memberId: 'member', retryCount: 2, retryTime: 5, broker: 'b:1', code: 'ECODE' },
    ...{ host: 'h', port: 1, correlationId: 9, createdAt: 1, sentAt: 2, pendingDuration: 3, unknownPartitions: [] },
    ...{ apiKey: 1, apiName: 'Fetch', retriable: false, partitions },
  }
  const members = (error: Error) => {
    const own = Object.fromEntries(Object.entries(error).filter(([, value]) => value !== undefined))
    const { name, message } = error
    return { ...own, name, message, stack: undefined }
  }
  const ancestors = (error: Error) => {
    const found: string[] = []
    for (let at = Object.getPrototypeOf(error); at !== null; at = Object.getPrototypeOf(at))
      found.push(at.constructor.name)
    return found
  }
  const classes = Object.entries(theirs).filter(([name]) => name.startsWith('KafkaJS'))
  assert.ok(classes.length >= 29, `${classes.length} classes`)
  for (const [name, Theirs] of classes) {
    const args = name === 'KafkaJSDeleteTopicRecordsError' ? [metadata] : [source, metadata]
    const given =
      name === 'KafkaJSCreateTopicError' || name === 'KafkaJSAlterPartitionReassignmentsError'
        ? [source, 'topic', 4]
        : name === 'KafkaJSAggregateError' || name === 'KafkaJSDeleteGroupsError'
          ? ['message', [new Error('one')]]
          : name.startsWith('KafkaJSInvalid') || name === 'KafkaJSFetcherRebalanceError'
            ? ['message']
            : args
    const expected = new (Theirs as unknown as AnyError)(...given)
    const actual = new (names[name] as AnyError)(...given)
    if (name === 'KafkaJSInvariantViolation') delete (expected as { helpUrl?: string }).helpUrl
    // kafkajs has a name of the wrong class there.
    if (name.startsWith('KafkaJSInvalid')) assert.equal(expected.name, 'KafkaJSNonRetriableError')
    assert.deepEqual(members(actual), members(expected), name)
    assert.deepEqual(ancestors(actual), ancestors(expected), name)
    assert.match(actual.stack ?? '', /./)
  }
})

test('partitioners give the same partitions, kafkajs’ own murmur2 of before 2.0 too', () => {
  const number = random(7)
  const keys = [
    ...['', 'a', 'ab', 'abc', 'abcd', 'ä', '🐦', 'key-1', '100:48069', 'a-little-bit-longer-than-the-others-are'],
    ...Array.from({ length: 3_000 }, () => Buffer.from(Array.from({ length: number(40) }, () => number(256)))),
    ...Array.from({ length: 3_000 }, (_, i) => `user-${i}`),
  ]
  for (const name of ['LegacyPartitioner', 'DefaultPartitioner', 'JavaCompatiblePartitioner'] as const) {
    const [actual, expected] = [ours.Partitioners[name](), theirs.Partitioners[name]()]
    let differences = 0
    for (const partitions of [1, 2, 3, 6, 12, 17, 100]) {
      const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
        ...{ partitionId, leader: 0, replicas: [0], isr: [0], partitionErrorCode: 0 },
      }))
      for (const key of keys) {
        const args = { topic: 't', partitionMetadata, message: { key, value: 'v' } }
        if (actual(args) !== expected(args)) differences++
      }
      const named = { topic: 't', partitionMetadata, message: { key: 'a', value: 'v', partition: 5 } }
      assert.equal(actual(named), 5)
    }
    assert.equal(differences, 0, name)
  }
})

test('without a key partitions that have a leader are taken in turn', () => {
  const partitionMetadata = [0, 1, 2, 3].map(partitionId => ({
    ...{ partitionId, leader: partitionId === 2 ? -1 : 0, replicas: [], isr: [], partitionErrorCode: 0 },
  }))
  const choose = ours.Partitioners.LegacyPartitioner()
  const chosen = Array.from({ length: 30 }, () => choose({ topic: 't', partitionMetadata, message: { value: 'v' } }))
  for (const partition of [0, 1, 3]) assert.equal(chosen.filter(one => one === partition).length, 10)
  assert.notEqual(chosen[0], chosen[1])
})

test('what members of a group tell each other has the same bytes', () => {
  const metadata = { version: 1, topics: ['a', 'ä', 'orders'], userData: Buffer.from('own') }
  const assignment = { version: 0, assignment: { a: [0, 2], orders: [] }, userData: Buffer.alloc(0) }
  const { MemberMetadata, MemberAssignment } = ours.AssignerProtocol
  const expected = theirs.AssignerProtocol
  assert.deepEqual(MemberMetadata.encode(metadata), expected.MemberMetadata.encode(metadata))
  assert.deepEqual(MemberAssignment.encode(assignment), expected.MemberAssignment.encode(assignment))
  assert.deepEqual(MemberMetadata.decode(expected.MemberMetadata.encode(metadata)), metadata)
  assert.deepEqual(MemberAssignment.decode(expected.MemberAssignment.encode(assignment)), assignment)
  assert.equal(MemberAssignment.decode(Buffer.alloc(0)), null)
})

test('a codec of kafkajs’ world can be set', () => {
  const codec = () => ({ compress: () => Buffer.alloc(0), decompress: () => Buffer.alloc(0) })
  ours.CompressionCodecs[ours.CompressionTypes.Snappy] = codec
  assert.equal(ours.CompressionCodecs[2], codec)
})

test('the logger writes what kafkajs’ writes', () => {
  const lines: Record<string, unknown[]> = { ours: [], theirs: [] }
  for (const [name, library] of Object.entries({ ours, theirs: theirs as unknown as typeof ours })) {
    const logCreator: ours.logCreator = level => entry => {
      const { timestamp, ...log } = entry.log
      lines[name]!.push({ ...entry, log, level, at: typeof timestamp })
    }
    const kafka = new library.Kafka({ brokers: ['localhost:1'], logLevel: library.logLevel.WARN, logCreator })
    const logger = kafka.logger()
    for (const of of [logger, logger.namespace('Mine'), logger.namespace('More', library.logLevel.DEBUG)]) {
      for (const level of ['debug', 'info', 'warn', 'error'] as const) of[level]('text', { extra: 1 })
    }
    logger.setLogLevel(library.logLevel.ERROR)
    logger.warn('not written')
    logger.namespace('Later').error('written')
  }
  assert.ok(lines.theirs!.length === 9)
  assert.deepEqual(lines.ours, lines.theirs)
})
