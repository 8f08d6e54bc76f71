/** Where a consumer stands, goes and waits. */
import { between, values } from '../expect.ts'
import type { Ask, Case } from '../harness.ts'
import { fromStart, reader, sure, texts } from './records.ts'

const T0 = 1_700_000_000_000
const timed = ['a', 'b', 'c'].map((value, at) => ({ topic: '@', partition: 0, value, timestamp: T0 + at * 1000 }))
const here = { topic: '@', partition: 0 }
const consume = (...list: string[]): Ask => ({
  do: 'consume',
  of: 'c',
  count: list.length,
  ms: sure,
  gives: { records: values(...list) },
})
const nothing: Ask = { do: 'consume', of: 'c', count: 1, ms: 300, gives: { records: [] } }
const position = (offset: number): Ask => ({ do: 'position', of: 'c', ...here, until: true, gives: { offset } })
const filled: readonly Ask[] = [
  { do: 'producer', name: 'p' },
  { do: 'produce', of: 'p', records: timed },
]
const keeps = { 'retention.ms': '-1' }

export const cases: readonly Case[] = [
  {
    name: 'the position is behind what was read, and a seek moves it',
    kafka: true,
    configs: keeps,
    steps: [
      ...filled,
      ...reader(),
      consume('a', 'b'),
      position(2),
      { do: 'seek', of: 'c', ...here, offset: 0 },
      consume('a'),
      position(1),
      { do: 'seek', of: 'c', ...here, offset: 2 },
      consume('c'),
      nothing,
      { do: 'seek', of: 'c', ...here, offset: 'earliest' },
      consume('a', 'b', 'c'),
      { do: 'seek', of: 'c', ...here, offset: 'latest' },
      nothing,
    ],
  },
  {
    name: 'who begins at the end reads only what comes',
    kafka: true,
    configs: keeps,
    steps: [
      ...filled,
      { do: 'consumer', name: 'c' },
      { do: 'assign', of: 'c', partitions: [{ ...here, offset: 'latest' }] },
      nothing,
      { do: 'produce', of: 'p', records: texts('d') },
      consume('d'),
    ],
  },
  {
    name: 'who begins at an offset reads from there',
    kafka: true,
    configs: keeps,
    steps: [
      ...filled,
      { do: 'consumer', name: 'c' },
      { do: 'assign', of: 'c', partitions: [{ ...here, offset: 1 }] },
      consume('b', 'c'),
    ],
  },
  {
    name: 'nothing of a paused partition is delivered, and nothing of it is lost',
    kafka: true,
    partitions: 2,
    steps: [
      { do: 'producer', name: 'p' },
      { do: 'produce', of: 'p', records: texts('a', 'b') },
      ...reader(2),
      consume('a'),
      { do: 'pause', of: 'c', partitions: [here] },
      nothing,
      { do: 'produce', of: 'p', records: [{ topic: '@', partition: 1, value: 'other' }] },
      consume('other'),
      { do: 'resume', of: 'c', partitions: [here] },
      consume('b'),
    ],
  },
  {
    name: 'another assignment takes the place of the one before',
    kafka: true,
    partitions: 2,
    steps: [
      { do: 'producer', name: 'p' },
      { do: 'produce', of: 'p', records: [...texts('a', 'b'), { topic: '@', partition: 1, value: 'other' }] },
      { do: 'consumer', name: 'c' },
      { do: 'assign', of: 'c', partitions: fromStart(1) },
      consume('a'),
      { do: 'assign', of: 'c', partitions: [{ topic: '@', partition: 1, offset: 'earliest' }] },
      consume('other'),
      nothing,
      { do: 'assignment', of: 'c', gives: { partitions: [{ topic: '@', partition: 1 }] } },
    ],
  },
  {
    name: 'offsets are found by time',
    kafka: true,
    configs: keeps,
    steps: [
      ...filled,
      ...reader(),
      ...(
        [
          [0, 0],
          [T0 + 1, 1],
          [T0 + 1000, 1],
          [T0 + 2001, null],
        ] as const
      ).map(
        // biome-ignore format: a table
        ([timestamp, offset]): Ask => ({ do: 'offsetAt', of: 'c', ...here, timestamp, gives: { offset } }),
      ),
    ],
  },
  {
    name: 'the ends of a partition are told, and deleted records are not there',
    kafka: true,
    configs: keeps,
    steps: [
      ...filled,
      ...reader(),
      { do: 'ends', of: 'c', ...here, gives: { low: 0, high: 3 } },
      { do: 'admin', name: 'a' },
      { do: 'deleteRecords', of: 'a', ...here, offset: 2, gives: { low: 2 } },
      { do: 'ends', of: 'c', ...here, gives: { low: 2, high: 3 } },
      { do: 'seek', of: 'c', ...here, offset: 'earliest' },
      consume('c'),
    ],
  },
  {
    name: 'a record that is larger than a fetch comes all the same',
    kafka: true,
    steps: [
      { do: 'producer', name: 'p' },
      { do: 'produce', of: 'p', records: [{ ...here, value: { repeat: 'x', times: 900_000 } }, ...texts('small')] },
      ...reader(1, { 'max.partition.fetch.bytes': 1000, 'fetch.max.bytes': 1000 }),
      {
        do: 'consume',
        of: 'c',
        count: 2,
        ms: sure,
        gives: { records: [{ value: { length: 900_000 } }, { value: { base64: 'c21hbGw=' } }] },
      },
    ],
  },
  {
    name: 'who waits gets a record when it comes',
    kafka: true,
    steps: [
      ...reader(),
      { ...consume('a'), gives: undefined, start: 'waiting' },
      { do: 'producer', name: 'p' },
      { do: 'produce', of: 'p', records: texts('a') },
      { outcome: 'waiting', gives: { records: values('a') } },
    ],
  },
  {
    name: 'the broker’s time is told where the topic has it so (LogAppendTime)',
    kafka: true,
    configs: { 'message.timestamp.type': 'LogAppendTime' },
    steps: [
      { do: 'producer', name: 'p' },
      { do: 'produce', of: 'p', records: [{ ...here, value: 'a', timestamp: 1000 }] },
      ...reader(),
      { do: 'consume', of: 'c', count: 1, ms: sure, gives: { records: [{ timestamp: between(1.7e12, 1e13) }] } },
    ],
  },
]
