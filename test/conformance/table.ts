/** Reads the table of records (`records.json`) that every client and every language must carry unchanged. */
import { readFileSync } from 'node:fs'

/** A byte string as the table writes it. */
export type ByteSpec =
  | null
  | string
  | { base64: string }
  | { repeat: string; times: number }
  | { noise: number; bytes: number }

/** One record of the table. */
export interface TableRecord {
  readonly name: string
  readonly partition: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [string, Buffer | null])[]
  /** Milliseconds; undefined leaves it to the sender's clock. */
  readonly timestamp: number | undefined
}

/** One record as the table writes it. */
export interface Row {
  name: string
  partition: number
  key: ByteSpec
  value: ByteSpec
  headers?: [string, ByteSpec][]
  timestamp?: number
}

const table = JSON.parse(readFileSync(new URL('./records.json', import.meta.url), 'utf8')) as {
  partitions: number
  records: Row[]
}

/** How many partitions a topic needs for the table. */
export const partitions = table.partitions

/** The records as they are written. */
export const rows: readonly Row[] = table.records

/** The records, in the order in which they are sent. */
export const records: readonly TableRecord[] = table.records.map(row => ({
  name: row.name,
  partition: row.partition,
  key: bytes(row.key),
  value: bytes(row.value),
  headers: (row.headers ?? []).map(([name, value]) => [name, bytes(value)] as const),
  timestamp: row.timestamp,
}))

/** What it stands for. */
export function bytes(spec: ByteSpec): Buffer | null {
  if (spec === null) return null
  if (typeof spec === 'string') return Buffer.from(spec)
  if ('base64' in spec) return Buffer.from(spec.base64, 'base64')
  if ('repeat' in spec) return Buffer.from(spec.repeat.repeat(spec.times))
  return noise(spec.noise, spec.bytes)
}

/** Bytes that do not compress, the same for the same seed in every language: xorshift32, lowest byte of each step. */
export function noise(seed: number, count: number): Buffer {
  const out = Buffer.alloc(count)
  let x = seed >>> 0
  for (let i = 0; i < count; i++) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    out[i] = x & 255
  }
  return out
}
