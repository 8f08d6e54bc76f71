/** Much at once, slowly, or not any more. */
import { Matcher, values } from '../expect.ts'
import type { Case } from '../harness.ts'
import { reader, sure, texts } from './records.ts'

const MB = 2 ** 20
const big = (count: number, length: number) =>
  Array.from({ length: count }, (_, at) => ({
    topic: '@',
    partition: 0,
    key: `k${at}`,
    value: { repeat: 'x', times: length },
  }))

/** Records one after the other, with the keys k0, k1, … k(n−1), k0, … */
const inTurn = (count: number, keys: number) =>
  new Matcher(`${count} records in order`, found => {
    if (!Array.isArray(found) || found.length !== count)
      return `has ${(found as unknown[])?.length} records, not ${count}`
    for (const [at, { offset, key }] of found.entries()) {
      const expected = Buffer.from(`k${at % keys}`).toString('base64')
      if (offset !== at || key?.base64 !== expected) return `record ${at} has offset ${offset} and key ${key?.base64}`
    }
    return undefined
  })

export const cases: readonly Case[] = [
  {
    name: 'a producer whose memory is full holds its program back, and loses nothing',
    kafka: true,
    steps: [
      { do: 'producer', name: 'p', options: { 'buffer.memory': MB, 'batch.size': 100_000 } },
      { do: 'produce', of: 'p', records: big(20, 50_000), times: 10, gives: { count: 200, errors: [] } },
      ...reader(),
      { do: 'consume', of: 'c', count: 200, ms: sure, gives: { records: inTurn(200, 20) } },
    ],
  },
  {
    name: 'a producer whose memory is full waits for a broker that stands still',
    steps: [
      { do: 'producer', name: 'p', options: { 'buffer.memory': 500_000, 'batch.size': 100_000 } },
      { fault: { api: 'Produce', count: 0, action: { kind: 'hold', when: 'before' } }, as: 'held' },
      { do: 'produce', of: 'p', records: big(5, 50_000), times: 10, start: 'sent' },
      { acted: 'held', times: 1 },
      { sleep: 500 },
      { release: 'held' },
      { outcome: 'sent', gives: { count: 50, errors: [] } },
      ...reader(),
      { do: 'consume', of: 'c', count: 50, ms: sure, gives: { records: inTurn(50, 5) } },
    ],
  },
  {
    name: 'a full producer gives up after max.block.ms or delivery.timeout.ms, and says so',
    steps: [
      {
        do: 'producer',
        name: 'p',
        options: {
          'buffer.memory': 200_000,
          'batch.size': 100_000,
          'max.block.ms': 500,
          'linger.ms': 0,
          'delivery.timeout.ms': 1000,
        },
        client: { 'request.timeout.ms': 500 },
      },
      { fault: { api: 'Produce', count: 0, action: { kind: 'drop', when: 'before' } } },
      { do: 'produce', of: 'p', records: big(1, 50_000), times: 10, gives: { count: 0 } },
    ],
  },
  {
    name: 'a consumer that is slow holds no more than fetch.buffer.bytes, and misses nothing',
    steps: [
      { do: 'producer', name: 'p' },
      { do: 'produce', of: 'p', records: big(10, 100_000), times: 80, gives: { count: 800, errors: [] } },
      { do: 'close', of: 'p' },
      ...reader(1, { 'fetch.buffer.bytes': MB, 'max.partition.fetch.bytes': MB }),
      { do: 'consume', of: 'c', count: 1, ms: sure, quiet: true, gives: { count: 1 } },
      { note: 'usage' },
      {
        repeat: [{ sleep: 50 }, { do: 'consume', of: 'c', count: 5, ms: sure, quiet: true, gives: { count: 5 } }],
        times: 20,
      },
      { same: 'usage', grown: 40 * MB },
      { do: 'consume', of: 'c', count: 699, ms: sure, quiet: true, gives: { count: 699 } },
      { do: 'consume', of: 'c', count: 1, ms: 300, quiet: true, gives: { count: 0 } },
    ],
  },
  {
    name: 'a read that is cancelled ends at once, and the next one gets what came meanwhile',
    kafka: true,
    steps: [
      ...reader(),
      { do: 'consume', of: 'c', count: 1, ms: sure, start: 'reading' },
      { sleep: 300 },
      { cancel: 'reading' },
      { outcome: 'reading', fails: { code: 'ABORTED' } },
      { do: 'producer', name: 'p' },
      { do: 'produce', of: 'p', records: texts('a') },
      { do: 'consume', of: 'c', count: 1, ms: sure, gives: { records: values('a') } },
    ],
  },
  {
    name: 'a read that is cancelled while records are there loses none of them',
    steps: [
      { do: 'producer', name: 'p' },
      { do: 'produce', of: 'p', records: texts('a', 'b', 'c') },
      ...reader(),
      { do: 'consume', of: 'c', count: 1, ms: sure, gives: { records: values('a') } },
      { do: 'pause', of: 'c', partitions: [{ topic: '@', partition: 0 }] },
      { do: 'consume', of: 'c', count: 1, ms: sure, start: 'reading' },
      { sleep: 300 },
      { cancel: 'reading' },
      { outcome: 'reading', fails: { code: 'ABORTED' } },
      { do: 'resume', of: 'c', partitions: [{ topic: '@', partition: 0 }] },
      { do: 'consume', of: 'c', count: 2, ms: sure, gives: { records: values('b', 'c') } },
    ],
  },
  {
    name: 'twenty calls of a producer at once: each gets its own answer',
    partitions: 20,
    steps: [
      { do: 'producer', name: 'p' },
      {
        together: Array.from({ length: 20 }, (_, partition) => ({
          do: 'produce',
          of: 'p',
          records: Array(50).fill({ topic: '@', partition, value: 'v' }),
          gives: { results: Array.from({ length: 50 }, (_, offset) => ({ partition, offset })) },
        })),
      },
    ],
  },
  {
    name: 'a producer, a consumer and an admin at the same time',
    steps: [
      { do: 'producer', name: 'p' },
      { do: 'admin', name: 'a' },
      ...reader(),
      {
        together: [
          { do: 'produce', of: 'p', records: texts(...'abcdefghij'), times: 100, gives: { count: 1000 } },
          { do: 'consume', of: 'c', count: 1000, ms: sure, quiet: true, gives: { count: 1000 } },
          { repeat: [{ do: 'listTopics', of: 'a', gives: { topics: ['@'] } }], times: 20 },
        ],
      },
    ],
  },
]
