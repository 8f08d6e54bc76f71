/** Transactions: all of it is seen, or nothing. */
import { oneOf, something, values } from '../expect.ts'
import type { Ask, Case } from '../harness.ts'
import { reader, sure, texts } from './records.ts'

const producer = (name = 'p'): Ask => ({ do: 'producer', name, options: { 'transactional.id': '@-id' } })
const begin: Ask = { do: 'begin', of: 'p' }
const commit: Ask = { do: 'commitTransaction', of: 'p' }
const abort: Ask = { do: 'abortTransaction', of: 'p' }
const produce = (...list: string[]): Ask => ({ do: 'produce', of: 'p', records: texts(...list) })
const committed = { 'isolation.level': 'read_committed' }
const consume = (...list: string[]): Ask => ({
  do: 'consume',
  of: 'c',
  count: list.length,
  ms: sure,
  gives: { records: values(...list) },
})
const nothingMore: Ask = { do: 'consume', of: 'c', count: 1, ms: 500, gives: { records: [] } }
const offsets = [{ topic: '@', partition: 0, offset: 2 }]

export const cases: readonly Case[] = [
  {
    name: 'a transaction that is committed is seen whole',
    kafka: true,
    steps: [producer(), begin, produce('a', 'b'), commit, ...reader(1, committed), consume('a', 'b'), nothingMore],
  },
  {
    name: 'nothing of a transaction is seen before its end',
    kafka: true,
    steps: [producer(), begin, produce('a'), ...reader(1, committed), nothingMore, commit, consume('a')],
  },
  {
    name: 'what was aborted is not seen by those who read what is committed',
    kafka: true,
    steps: [
      producer(),
      ...[begin, produce('a', 'b'), abort],
      ...[begin, produce('c'), commit],
      ...reader(1, committed),
      consume('c'),
      nothingMore,
    ],
  },
  {
    name: 'what was aborted is seen by those who read everything',
    kafka: true,
    steps: [producer(), begin, produce('a'), abort, begin, produce('b'), commit, ...reader(), consume('a', 'b')],
  },
  {
    name: 'transactions follow each other, and each takes an offset for its end',
    kafka: true,
    steps: [
      producer(),
      begin,
      { ...produce('a'), gives: { results: [{ offset: 0 }] } },
      commit,
      begin,
      { ...produce('b', 'c'), gives: { results: [{ offset: 2 }, { offset: 3 }] } },
      commit,
    ],
  },
  ...(['commitTransaction', 'abortTransaction'] as const).map(
    (end): Case => ({
      name: `offsets of a group go with the transaction (${end === 'commitTransaction' ? 'committed' : 'aborted'})`,
      kafka: true,
      steps: [
        { do: 'producer', name: 'before' },
        { do: 'produce', of: 'before', records: texts('a', 'b') },
        { do: 'consumer', name: 'c', options: { 'group.id': '@-g', 'enable.auto.commit': false } },
        { do: 'assign', of: 'c', partitions: [{ topic: '@', partition: 0, offset: 'earliest' }] },
        consume('a', 'b'),
        producer(),
        begin,
        produce('out'),
        { do: 'sendOffsets', of: 'p', consumer: 'c', offsets },
        { do: end, of: 'p' },
        { do: 'consumer', name: 'next', options: { 'group.id': '@-g' } },
        {
          do: 'committed',
          of: 'next',
          partitions: [{ topic: '@', partition: 0 }],
          until: true,
          gives: { offsets: [{ topic: '@', partition: 0, offset: end === 'commitTransaction' ? 2 : null }] },
        },
      ],
    }),
  ),
  {
    name: 'a later producer with the same id fences the earlier one, whose transaction is aborted',
    kafka: true,
    steps: [
      producer(),
      begin,
      produce('a'),
      producer('later'),
      { do: 'begin', of: 'later' },
      { do: 'produce', of: 'later', records: texts('b') },
      { ...commit, fails: { code: oneOf('INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'), fatal: true, retriable: false } },
      { ...begin, fails: { code: something, fatal: true } },
      { do: 'commitTransaction', of: 'later' },
      ...reader(1, committed),
      consume('b'),
    ],
  },
  {
    name: 'a record that fails aborts its transaction, and the producer goes on with the next',
    steps: [
      producer(),
      begin,
      produce('a'),
      { fault: { api: 'Produce', action: { kind: 'error', code: 'INVALID_TIMESTAMP', when: 'before' } } },
      { ...produce('b'), gives: { results: [{ error: { code: 'INVALID_TIMESTAMP' } }] } },
      { ...commit, fails: { code: something, abortable: true, fatal: false } },
      // The failed commit has aborted it; some languages want to be told all the same.
      { ...abort, fails: { code: 'INVALID_TXN_STATE', fatal: false }, either: true },
      begin,
      produce('c'),
      commit,
      ...reader(1, committed),
      consume('c'),
      nothingMore,
    ],
  },
  {
    name: 'a producer has one transaction at a time',
    kafka: true,
    steps: [producer(), begin, { ...begin, fails: { code: 'INVALID_TXN_STATE', fatal: false } }, produce('a'), commit],
  },
  {
    name: 'a transactional producer sends within transactions only',
    kafka: true,
    steps: [
      producer(),
      begin,
      commit,
      {
        ...produce('a'),
        gives: { results: [{ error: { code: 'INVALID_TXN_STATE', persistence: 'not-persisted' } }] },
      },
    ],
  },
  {
    name: 'a producer without transactional.id has no transactions',
    steps: [
      { do: 'producer', name: 'p' },
      { ...begin, fails: { code: something, retriable: false } },
    ],
  },
  {
    name: 'closing a producer aborts its transaction',
    kafka: true,
    steps: [
      producer(),
      begin,
      produce('a'),
      { do: 'close', of: 'p' },
      { do: 'producer', name: 'plain' },
      { do: 'produce', of: 'plain', records: texts('b') },
      ...reader(1, committed),
      consume('b'),
    ],
  },
  {
    name: 'a coordinator that is away for a moment is waited for',
    steps: [
      {
        fault: { api: 'InitProducerId', count: 2, action: { kind: 'error', code: 'NOT_COORDINATOR', when: 'before' } },
      },
      { fault: { api: 'EndTxn', action: { kind: 'close', when: 'after' } } },
      ...[producer(), begin, produce('a'), commit],
      ...reader(1, committed),
      consume('a'),
    ],
  },
]
