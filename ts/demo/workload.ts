/**
 * What is sent and how it is proven: made-up orders (this file) or the lines of a real file (`lines.ts`).
 * Knows nothing of Kafka; driven by `run.ts`.
 */
import { customers, inspect, orderKey, orderValue } from './records.ts'

/** A record as the demonstration sends it. */
export interface Outgoing {
  key: string | null
  value: string | Uint8Array
  headers?: Record<string, string>
}

/** A record as it came back. */
export interface Incoming {
  value: Uint8Array | null
  headers: Iterable<readonly [string, unknown]>
}

/** Something to send, and the judge of what comes back. */
export interface Workload {
  /** How many records there are. */
  readonly records: number
  /** How many partitions the topic has. */
  readonly partitions: number
  /** What is proven, in words. */
  readonly proof: string
  /** The records in groups of at most `size`. */
  batches(size: number): AsyncIterable<Outgoing[]> | Iterable<Outgoing[]>
  /** Judges one record in the order of its partition; throws `Mismatch` when it is not what was sent. */
  check(record: Incoming): void
  /** Judges the whole; throws `Mismatch`. */
  finish(): void
}

/** What came back is not what was sent. */
export class Mismatch extends Error {
  override name = 'Mismatch'
}

/** `records` orders with keys: every one must come back once, intact, and in order within its key. */
export class Orders implements Workload {
  readonly partitions = 6
  readonly proof = 'count, order per key, every checksum'
  readonly records: number
  readonly #seen: Uint8Array
  readonly #last = new Int32Array(customers).fill(-1)
  #count = 0

  constructor(records: number) {
    this.records = records
    this.#seen = new Uint8Array(records)
  }

  *batches(size: number): Iterable<Outgoing[]> {
    for (let n = 0; n < this.records; n += size) {
      const batch: Outgoing[] = []
      for (let i = n; i < Math.min(n + size, this.records); i++) batch.push({ key: orderKey(i), value: orderValue(i) })
      yield batch
    }
  }

  check({ value }: Incoming): void {
    const found = value === null ? 'it has no value' : inspect(value)
    if (typeof found === 'string') throw new Mismatch(`a record came back damaged: ${found}`)
    const { order, customer } = found
    if (!(order < this.records)) throw new Mismatch(`record ${order} came back, which was never sent`)
    if (this.#seen[order] !== 0) throw new Mismatch(`record ${order} came back twice`)
    const last = this.#last[customer] as number
    if (order < last) throw new Mismatch(`record ${order} of customer ${customer} came after ${last}: out of order`)
    this.#seen[order] = 1
    this.#last[customer] = order
    this.#count++
  }

  finish(): void {
    if (this.#count !== this.records) throw new Mismatch(`${this.records - this.#count} records did not come back`)
  }
}
