/** Says in words how what was read differs from what was written; used by all tests that compare records. */
import assert from 'node:assert/strict'
import type { TableRecord } from '../conformance/table.ts'
import type { Received } from './peers/peer.ts'

/** Timestamps given by a clock must lie in this window; undefined where the writer's clock is not known. */
export interface Window {
  readonly from: number
  readonly to: number
}

/** What the two clients of a comparison can and cannot do. */
export interface Abilities {
  /** Whether the writer could set timestamps. */
  readonly timestamps: boolean
  /** Whether the reader can tell the bytes of any header. */
  readonly binaryHeaders: boolean
}

/** Fails unless `read` are exactly the records written to one topic: bytes, headers, order, timestamps. */
export function sameRecords(
  written: readonly TableRecord[],
  read: readonly Received[],
  window: Window,
  { timestamps, binaryHeaders }: Abilities,
): void {
  const partitions = new Set([...written, ...read].map(record => record.partition))
  for (const partition of partitions) {
    const expected = written.filter(record => record.partition === partition)
    const found = read.filter(record => record.partition === partition).sort((a, b) => a.offset - b.offset)
    assert.equal(found.length, expected.length, `partition ${partition}: number of records`)
    for (const [at, want] of expected.entries()) {
      const got = found[at] as Received
      const where = `partition ${partition}, "${want.name}"`
      sameBytes(want.key, got.key, `${where}: key`)
      sameBytes(want.value, got.value, `${where}: value`)
      if (binaryHeaders || !want.headers.some(([, bytes]) => bytes?.includes(0))) sameHeaders(want, got, where)
      sameTime(timestamps ? want.timestamp : undefined, got.timestamp, window, where)
    }
  }
}

function sameHeaders(want: TableRecord, got: Received, where: string): void {
  if (got.headers === undefined) return
  const names = (headers: Received['headers'] = []) => headers.map(([name]) => name)
  assert.deepEqual(names(got.headers), names(want.headers), `${where}: header names`)
  for (const [at, [name, bytes]] of want.headers.entries()) {
    sameBytes(bytes, got.headers[at]?.[1] ?? null, `${where}: header ${name}`)
  }
}

function sameBytes(want: Uint8Array | null, got: Uint8Array | null, where: string): void {
  if (want === null || got === null) {
    assert.equal(got, want, where)
    return
  }
  assert.equal(got.length, want.length, `${where}: length`)
  const at = want.findIndex((byte, i) => byte !== got[i])
  assert.equal(at, -1, `${where}: differs at byte ${at}`)
}

function sameTime(want: number | undefined, got: number, { from, to }: Window, where: string): void {
  if (want !== undefined) assert.equal(got, want, `${where}: timestamp`)
  else assert.ok(got >= from && got <= to, `${where}: timestamp ${got} is not between ${from} and ${to}`)
}
