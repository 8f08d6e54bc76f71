/** Records are carried unchanged, whatever they are made of, and land where they should. */
import { readFileSync } from 'node:fs'
import { between, readBack, values } from '../expect.ts'
import type { Ask, Case } from '../harness.ts'
import { partitions, records, rows, type TableRecord } from '../table.ts'

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** The rows of records.json as a request has them. */
export const sent = (chosen: readonly TableRecord[]) =>
  rows
    .filter(({ name }) => chosen.some(one => one.name === name))
    .map(({ name: _, ...row }) => ({ topic: '@', ...row }))

/** Where records land that are sent in this order into an empty topic. */
export const places = (chosen: readonly TableRecord[]) => {
  const next = new Map<number, number>()
  return chosen.map(({ partition }) => {
    const offset = next.get(partition) ?? 0
    next.set(partition, offset + 1)
    return { partition, offset }
  })
}

/** All partitions of the topic, from their beginning. */
export const fromStart = (count = 1) =>
  Array.from({ length: count }, (_, partition) => ({ topic: '@', partition, offset: 'earliest' }))

/** A consumer that reads the topic from its beginning. */
export const reader = (count = 1, options = {}): readonly Ask[] => [
  { do: 'consumer', name: 'c', options },
  { do: 'assign', of: 'c', partitions: fromStart(count) },
]

/** Texts as records of the topic. */
export const texts = (...list: string[]) => list.map(value => ({ topic: '@', partition: 0, value }))

/** Long enough for what comes for sure. */
export const sure = 300_000

const carried = (name: string, chosen: readonly TableRecord[], codec: string): Case => ({
  name,
  kafka: true,
  partitions,
  configs: { 'retention.ms': '-1' },
  steps: [
    { do: 'producer', name: 'p', options: { 'compression.type': codec } },
    { do: 'produce', of: 'p', records: sent(chosen), gives: { results: places(chosen) } },
    ...reader(partitions),
    { do: 'consume', of: 'c', count: chosen.length, ms: sure, gives: { records: readBack(chosen) } },
  ],
})

const about = (...words: string[]) => records.filter(({ name }) => words.some(word => name.includes(word)))

/** Keys and where Java's own client puts them. */
const keys = readFileSync(new URL('../../vectors/murmur2.txt', import.meta.url), 'utf8')
  .split('\n')
  .map(line => /^([0-9a-f]*) 6 (\d+)$/.exec(line))
  .filter(found => found !== null)
  .map(([, hex = '', partition]) => ({ key: Buffer.from(hex, 'hex').toString('base64'), partition: Number(partition) }))

/** Records with these keys, for whoever partitions them. */
export const keyed = keys.map(({ key }) => ({ topic: '@', key: { base64: key }, value: 'v' }))

export const cases: readonly Case[] = [
  ...codecs.map(codec => carried(`every kind of record comes back unchanged, with ${codec}`, records, codec)),
  carried('null and empty keys and values are not the same', about(' key', ' value'), 'none'),
  carried('headers keep their order, their doubles, and null values', about('header'), 'lz4'),
  carried('texts of many scripts come back unchanged', about('scripts', 'line ends', 'every byte'), 'none'),
  carried('values of 900 KB are carried, small ones behind them in order', about('900 KB', 'small one'), 'zstd'),
  carried('timestamps are those that were given', about('time'), 'none'),
  {
    name: 'without a timestamp a record has that of its sending',
    kafka: true,
    steps: [
      { do: 'producer', name: 'p' },
      { do: 'produce', of: 'p', records: texts('now') },
      ...reader(),
      { do: 'consume', of: 'c', count: 1, ms: sure, gives: { records: [{ timestamp: between(1.7e12, 1e13) }] } },
    ],
  },
  {
    name: 'keys land in the partitions where Java’s client puts them',
    kafka: true,
    partitions: 6,
    steps: [
      { do: 'producer', name: 'p' },
      {
        do: 'produce',
        of: 'p',
        records: keyed,
        gives: { results: keys.map(({ partition }) => ({ partition })) },
      },
    ],
  },
  {
    name: 'records without a key land somewhere, each once',
    kafka: true,
    partitions: 3,
    steps: [
      { do: 'producer', name: 'p' },
      {
        do: 'produce',
        of: 'p',
        records: Array(20).fill({ topic: '@', value: 'v' }),
        times: 50,
        gives: { count: 1000 },
      },
      ...reader(3),
      { do: 'consume', of: 'c', count: 1000, ms: sure, quiet: true, gives: { count: 1000 } },
      { do: 'consume', of: 'c', count: 1, ms: 300, gives: { records: [] } },
    ],
  },
  {
    name: 'records of a partition keep the order in which they were given',
    kafka: true,
    steps: [
      { do: 'producer', name: 'p', options: { 'linger.ms': 5 } },
      {
        do: 'produce',
        of: 'p',
        records: texts('a', 'b', 'c'),
        gives: { results: [0, 1, 2].map(offset => ({ offset })) },
      },
      { do: 'produce', of: 'p', records: texts('d'), gives: { results: [{ offset: 3 }] } },
      ...reader(),
      { do: 'consume', of: 'c', count: 4, ms: sure, gives: { records: values('a', 'b', 'c', 'd') } },
    ],
  },
  ...['all', '1'].map(
    (acks): Case => ({
      name: `with acks ${acks} a record’s place is told`,
      kafka: true,
      steps: [
        { do: 'producer', name: 'p', options: { acks } },
        { do: 'produce', of: 'p', records: texts('a', 'b'), gives: { results: [{ offset: 0 }, { offset: 1 }] } },
      ],
    }),
  ),
  {
    name: 'with acks 0 nothing is known of an offset',
    kafka: true,
    steps: [
      { do: 'producer', name: 'p', options: { acks: '0' } },
      { do: 'produce', of: 'p', records: texts('a', 'b'), gives: { results: [{ offset: -1 }, { offset: -1 }] } },
      { do: 'flush', of: 'p' },
      ...reader(),
      { do: 'consume', of: 'c', count: 2, ms: sure, gives: { records: values('a', 'b') } },
    ],
  },
]
