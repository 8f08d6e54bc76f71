/**
 * Who waits for which record: a group's promises by index, settled by runs as the engine tells them.
 *
 * A group is an open batch of the engine, or a topic's waiting room. It is forgotten when nobody waits in it.
 */
import type { KafkaError, Persistence } from '../errors.ts'

/** Waits for one or more records; `position` tells it which one. */
export interface Waiter {
  /** The record is in the log. `offset` −1: not known. */
  delivered(position: number, partition: number, offset: number, appendTime: number): void
  /** It was not acknowledged. */
  failed(position: number, error: KafkaError): void
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

class Group {
  readonly waiters: (Waiter | null)[] = []
  readonly positions: number[] = []
  readonly indices: number[] = []
  /** All before this place are settled. */
  head = 0
  open = 0
}

/** See the module. */
export class Deliveries {
  readonly #groups = new Map<number, Group>()
  #last = -1
  #lastGroup: Group | undefined

  /** Records without an answer yet. */
  pending = 0

  /** `waiter` waits for the record at `index` of `group`. Indices of a group only grow. */
  add(group: number, index: number, waiter: Waiter, position: number): void {
    let entry = this.#lastGroup
    if (entry === undefined || this.#last !== group) {
      entry = this.#groups.get(group)
      if (entry === undefined) {
        entry = new Group()
        this.#groups.set(group, entry)
      }
      this.#last = group
      this.#lastGroup = entry
    }
    entry.waiters.push(waiter)
    entry.positions.push(position)
    entry.indices.push(index)
    entry.open++
    this.pending++
  }

  /** Settles a run; returns for how many of its records somebody waited. `failure` makes the error of each. */
  settle(run: Run, failure: (() => KafkaError) | undefined): number {
    const entry = this.#groups.get(run.group)
    if (entry === undefined) return 0
    const { waiters, positions, indices } = entry
    const end = run.first + run.count
    let settled = 0
    for (let at = this.#from(entry, run.first); at < indices.length && indices[at]! < end; at++) {
      const waiter = waiters[at]!
      if (waiter === null) continue
      waiters[at] = null
      settled++
      if (failure !== undefined) waiter.failed(positions[at]!, failure())
      else {
        const offset = run.offset < 0 ? -1 : run.offset + (indices[at]! - run.first)
        waiter.delivered(positions[at]!, run.partition, offset, run.appendTime)
      }
    }
    entry.open -= settled
    this.pending -= settled
    if (entry.open === 0) this.#forget(run.group)
    return settled
  }

  /** Fails everything that waits. */
  failAll(failure: () => KafkaError): void {
    for (const [group, entry] of [...this.#groups]) {
      this.#forget(group)
      this.pending -= entry.open
      entry.waiters.forEach((waiter, at) => {
        waiter?.failed(entry.positions[at]!, failure())
      })
    }
  }

  #forget(group: number): void {
    this.#groups.delete(group)
    if (this.#last === group) {
      this.#last = -1
      this.#lastGroup = undefined
    }
  }

  /** The first place whose index is not below `first`: nearly always the head. */
  #from(entry: Group, first: number): number {
    while (entry.head < entry.waiters.length && entry.waiters[entry.head] === null) entry.head++
    let low = entry.head
    if (low >= entry.indices.length || entry.indices[low]! >= first) return low
    let high = entry.indices.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (entry.indices[middle]! < first) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The words of `Persistence` in the queue's order. */
export const persistences: readonly Persistence[] = ['not-persisted', 'possibly-persisted', 'persisted']
