/** What a test asks of a Kafka client, ours or another: write these records, read these topics. One file per client. */
import { spawn } from 'node:child_process'
import type { TableRecord } from '../../conformance/table.ts'

/** The compressions of Kafka. */
export type Codec = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
export const codecs: readonly Codec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** Records for one topic, compressed with one codec. */
export interface Job {
  readonly topic: string
  readonly codec: Codec
  readonly records: readonly TableRecord[]
}

/** A record as a client reads it. `headers` is undefined when the client cannot tell them apart. */
export interface Received {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [string, Buffer | null])[] | undefined
}

/** A topic to read, and how many records it must have. */
export interface Expected {
  readonly topic: string
  readonly count: number
}

/** A Kafka client. */
export interface Peer {
  readonly name: string
  readonly codecs: readonly Codec[]
  /** True when timestamps can be given to records that it writes. */
  readonly setsTimestamps: boolean
  /** False when it ends the value of a header at its first zero byte. */
  readonly binaryHeaders: boolean
  /** Whether it can write this record at all (a program with arguments cannot take every byte). */
  canWrite(record: TableRecord): boolean
  /** Writes all jobs and returns when they are acknowledged. */
  write(bootstrap: string, jobs: readonly Job[]): Promise<void>
  /** Reads topics from their beginnings to their present ends. */
  read(bootstrap: string, topics: readonly Expected[]): Promise<Received[]>
}

/** Runs a program to its end; returns its stdout, throws with its stderr. It is killed when this process ends. */
export function command(program: string, args: readonly string[], input?: string | Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    const kill = () => child.kill('SIGKILL')
    process.once('exit', kill)
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', bytes => out.push(bytes))
    child.stderr.on('data', bytes => err.push(bytes))
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      process.removeListener('exit', kill)
      if (code === 0) return resolve(Buffer.concat(out))
      const said = Buffer.concat(err).toString().trimEnd().slice(-4_000)
      reject(new Error(`${program} ${args.join(' ').slice(0, 300)}: ${signal ?? `exit code ${code}`}\n${said}`))
    })
  })
}

/** The form in which records go to and from helper programs: one JSON object per line, bytes as base64. */
export function toLines(jobs: readonly Job[]): string {
  const lines: string[] = []
  for (const { topic, codec, records } of jobs) {
    for (const { partition, key, value, headers, timestamp } of records) {
      lines.push(
        JSON.stringify({
          topic,
          codec,
          partition,
          key: base64(key),
          value: base64(value),
          headers: headers.map(([name, bytes]) => [name, base64(bytes)]),
          timestamp: timestamp ?? null,
        }),
      )
    }
  }
  return `${lines.join('\n')}\n`
}

type Text = string | null
type Row = Omit<Received, 'key' | 'value' | 'headers'> & { key: Text; value: Text; headers: [string, Text][] }

/** The inverse of `toLines`, for what helper programs read. */
export function fromLines(text: Buffer): Received[] {
  const lines = text
    .toString()
    .split('\n')
    .filter(line => line !== '')
  return lines.map(line => {
    const row = JSON.parse(line) as Row
    return {
      ...row,
      key: unbase64(row.key),
      value: unbase64(row.value),
      headers: row.headers.map(([name, bytes]) => [name, unbase64(bytes)] as const),
    }
  })
}

const base64 = (bytes: Buffer | null) => (bytes === null ? null : bytes.toString('base64'))
const unbase64 = (text: string | null) => (text === null ? null : Buffer.from(text, 'base64'))
