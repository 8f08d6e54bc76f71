/**
 * Who waits for which records: for each group the waiters' ranges of indices, settled by runs as the engine tells them.
 *
 * A group is an open batch of the engine, or a topic's waiting room. It is forgotten when nobody waits in it. Nothing here
 * allocates per record of a batch, nor per record of `send` once groups have been used.
 */
import type { KafkaError, Persistence } from '../errors.ts'

/** Waits for one or more records. Of each of its records it is told once. */
export interface Waiter {
  /**
   * Its records at `first`, `first + 1`, … of `group`, `count` of them, are in the log, the first at `offset`.
   * `offset` −1: not known. `appendTime` −1: none. `partition` −1: the one that was asked for.
   */
  delivered(group: number, first: number, count: number, partition: number, offset: number, appendTime: number): void
  /** They were not acknowledged; `failure` makes the error of each. */
  failed(group: number, first: number, count: number, failure: () => KafkaError): void
}

/** The fate of a run of records. */
export interface Run {
  group: number
  first: number
  count: number
  partition: number
  /** −1: not known. */
  offset: number
  /** −1: none. */
  appendTime: number
}

/** Ranges of a group, in the order of their indices. Used again: entries behind `size` are of no meaning. */
class Group {
  readonly waiters: (Waiter | null)[] = []
  readonly firsts: number[] = []
  readonly counts: number[] = []
  size = 0
  /** All before this place are settled. */
  head = 0
  open = 0
}

/** Groups kept for later use. */
const SPARE = 64

/** See the module. */
export class Deliveries {
  readonly #groups = new Map<number, Group>()
  readonly #spare: Group[] = []
  #last = -1
  #lastGroup: Group | undefined

  /** Records without an answer yet. */
  pending = 0

  /** `waiter` waits for `count` records from the one at index `first` of `group` on. Indices of a group only grow. */
  add(group: number, first: number, count: number, waiter: Waiter): void {
    let entry = this.#lastGroup
    if (entry === undefined || this.#last !== group) {
      entry = this.#groups.get(group)
      if (entry === undefined) {
        entry = this.#spare.pop() ?? new Group()
        this.#groups.set(group, entry)
      }
      this.#last = group
      this.#lastGroup = entry
    }
    const at = entry.size++
    if (at < entry.waiters.length) {
      entry.waiters[at] = waiter
      entry.firsts[at] = first
      entry.counts[at] = count
    } else {
      entry.waiters.push(waiter)
      entry.firsts.push(first)
      entry.counts.push(count)
    }
    entry.open += count
    this.pending += count
  }

  /** Settles a run; returns for how many of its records somebody waited. `failure` makes the error of each. */
  settle(run: Run, failure: (() => KafkaError) | undefined): number {
    const entry = this.#groups.get(run.group)
    if (entry === undefined) return 0
    const { waiters, firsts, counts } = entry
    const end = run.first + run.count
    let settled = 0
    for (let at = this.#from(entry, run.first); at < entry.size && firsts[at]! < end; at++) {
      const waiter = waiters[at]!
      if (waiter === null) continue
      const first = Math.max(firsts[at]!, run.first)
      const count = Math.min(firsts[at]! + counts[at]!, end) - first
      if (count <= 0) continue
      if (count === counts[at]) waiters[at] = null
      else this.#cut(entry, at, first, count)
      settled += count
      if (failure !== undefined) waiter.failed(run.group, first, count, failure)
      else {
        const offset = run.offset < 0 ? -1 : run.offset + (first - run.first)
        waiter.delivered(run.group, first, count, run.partition, offset, run.appendTime)
      }
    }
    entry.open -= settled
    this.pending -= settled
    if (entry.open <= 0) this.#forget(run.group, entry)
    return settled
  }

  /** Takes a part out of a range: records that were refused one by one, or a batch that was split. */
  #cut(entry: Group, at: number, first: number, count: number): void {
    const { waiters, firsts, counts } = entry
    const before = first - firsts[at]!
    const after = counts[at]! - before - count
    if (before > 0 && after > 0) {
      waiters.splice(at + 1, 0, waiters[at]!)
      firsts.splice(at + 1, 0, first + count)
      counts.splice(at + 1, 0, after)
      entry.size++
    } else if (before === 0) firsts[at] = first + count
    counts[at] = before > 0 ? before : after
  }

  /** Fails everything that waits. */
  failAll(failure: () => KafkaError): void {
    for (const [group, entry] of [...this.#groups]) {
      this.pending -= entry.open
      const { waiters, firsts, counts } = entry
      for (let at = entry.head; at < entry.size; at++) {
        const waiter = waiters[at]!
        waiters[at] = null
        waiter?.failed(group, firsts[at]!, counts[at]!, failure)
      }
      this.#forget(group, entry)
    }
  }

  #forget(group: number, entry: Group): void {
    this.#groups.delete(group)
    if (this.#last === group) {
      this.#last = -1
      this.#lastGroup = undefined
    }
    entry.size = 0
    entry.head = 0
    entry.open = 0
    if (this.#spare.length < SPARE) this.#spare.push(entry)
  }

  /** The first range that does not end before `first`: nearly always the head. */
  #from(entry: Group, first: number): number {
    const { waiters, firsts, counts } = entry
    while (entry.head < entry.size && waiters[entry.head] === null) entry.head++
    let low = entry.head
    if (low >= entry.size || firsts[low]! + counts[low]! > first) return low
    let high = entry.size
    while (low < high) {
      const middle = (low + high) >> 1
      if (firsts[middle]! + counts[middle]! <= first) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The words of `Persistence` in the queue's order. */
export const persistences: readonly Persistence[] = ['not-persisted', 'possibly-persisted', 'persisted']
