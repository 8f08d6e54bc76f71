/**
 * The outbox of a producer: records are written into an arena, the arena crosses when the tick ends or when it is full.
 *
 * When the engine's memory is full, what was not taken stays in order and everything later queues behind it, until the
 * engine says that there is space. It knows nothing of promises; `Waiter` does.
 */
import type { KafkaError, Persistence } from '../errors.ts'
import { ARENA_BYTES, Arena, lasting, sizeBound, type Writable } from './arena.ts'
import { Deliveries } from './deliveries.ts'
import type { Environment } from './environment.ts'
import { failureOf, invalid, thrown } from './failure.ts'
import { Groups, REFUSED } from './groups.ts'
import type { BatchWaiter, Sender } from './waiters.ts'

/** Runs kept for later use. */
const SPARE = 4

/** A run of records that has not crossed yet, and who waits for them: a span of records for each call. Used again. */
class Run {
  readonly arena: Arena
  /** Who waits for the records of a span; null: nobody. */
  readonly waiters: (Sender | null)[] = []
  /** The number of a span's first record. */
  readonly starts: number[] = []
  /** Spans. What is behind them in the arrays is of no meaning. */
  size = 0
  /** The span of the first record that has not crossed. */
  span = 0
  /** Records that have crossed. */
  done = 0
  /** Where the first record begins that has not. */
  from = 0

  constructor(arena: Arena) {
    this.arena = arena
  }

  /** The last `count` records that were written belong to `waiter`. */
  note(waiter: Sender | null, count: number): void {
    const { waiters, size } = this
    if (size > 0 && waiters[size - 1] === waiter) return
    if (size < waiters.length) {
      waiters[size] = waiter
      this.starts[size] = this.arena.count - count
    } else {
      waiters.push(waiter)
      this.starts.push(this.arena.count - count)
    }
    this.size = size + 1
  }

  /** The number of the record behind a span. */
  end(span: number): number {
    return span + 1 < this.size ? this.starts[span + 1]! : this.arena.count
  }

  /** Forgets all. */
  reset(): void {
    this.arena.reset()
    this.waiters.fill(null, 0, this.size)
    this.size = 0
    this.span = 0
    this.done = 0
    this.from = 0
  }
}

/** See the module. */
export class Outbox {
  readonly deliveries = new Deliveries()
  readonly #environment: Environment
  readonly #handle: number
  /** `acks` 0: records are done when the engine has them. */
  readonly #unacknowledged: boolean
  readonly #onRefused: (error: KafkaError) => void
  readonly #runs: Run[] = []
  readonly #spare: Run[] = []
  readonly #groups = new Groups()
  readonly #spaceWaiters: (() => void)[] = []
  #open: Run | undefined
  #answers = new Int32Array(2 + 2 * 4096)
  #scheduled = false
  #blocked = false
  /** A record is being written: its message's getters run. */
  #writing = false
  /** Records that somebody waits for and that have not crossed. */
  #uncrossed = 0

  constructor(
    environment: Environment,
    handle: number,
    unacknowledged: boolean,
    onRefused: (error: KafkaError) => void,
  ) {
    this.#environment = environment
    this.#handle = handle
    this.#unacknowledged = unacknowledged
    this.#onRefused = onRefused
  }

  /** Records that somebody waits for. */
  get pending(): number {
    return this.#uncrossed + this.deliveries.pending
  }

  /** Whether the engine's memory is full, so that records wait here. */
  get blocked(): boolean {
    return this.#blocked
  }

  /** Writes a record for the next crossing. Throws when a part of it is of a wrong type; then nothing was written. */
  write(topic: number, message: Writable, place: number, waiter: Sender | null): void {
    this.#refuseWithin()
    this.#writing = true
    try {
      const run = this.#open ?? this.#begin(ARENA_BYTES)
      if (run.arena.write(topic, message, place)) this.#note(run, waiter, 1)
      else this.#writeElsewhere(topic, message, place, waiter)
    } finally {
      this.#writing = false
    }
  }

  /**
   * Writes `count` records of a batch as `write` does each: `waiter.written` of them when it throws. What a batch costs once is not
   * paid for each record.
   */
  writeBatch(topic: number, messages: readonly Writable[], count: number, waiter: BatchWaiter): void {
    this.#refuseWithin()
    this.#writing = true
    let place = 0
    try {
      while (place < count) {
        const run = this.#open ?? this.#begin(ARENA_BYTES)
        const { arena } = run
        const before = arena.count
        try {
          while (place < count && arena.write(topic, lasting(messages[place]!), place)) place++
        } finally {
          if (arena.count > before) this.#note(run, waiter, arena.count - before)
        }
        if (place === count) return
        this.#writeElsewhere(topic, lasting(messages[place]!), place, waiter)
        place++
      }
    } finally {
      this.#writing = false
      waiter.written = place
    }
  }

  /** A getter of a message that uses its producer would write into the middle of the record. */
  #refuseWithin(): void {
    if (this.#writing) throw invalid('message', 'a getter of it uses the producer that is reading it')
  }

  /** The last `count` records of `run` are `waiter`'s, and are to cross. */
  #note(run: Run, waiter: Sender | null, count: number): void {
    run.note(waiter, count)
    if (waiter !== null) this.#uncrossed += count
    if (!this.#scheduled) {
      this.#scheduled = true
      queueMicrotask(this.#tick)
    }
  }

  /** The open arena is full: it crosses now, and the record goes to a new one, of its own size when it is large. */
  #writeElsewhere(topic: number, message: Writable, place: number, waiter: Sender | null): void {
    const bytes = sizeBound(message, place)
    if (this.#open !== undefined && this.#open.arena.count > 0) this.cross()
    const run = this.#begin(Math.max(bytes, ARENA_BYTES))
    if (!run.arena.write(topic, message, place)) throw new Error('a record does not fit into an arena of its size')
    this.#note(run, waiter, 1)
  }

  #begin(bytes: number): Run {
    const spare = bytes === ARENA_BYTES ? this.#spare.pop() : undefined
    const run = spare ?? new Run(new Arena(bytes))
    this.#runs.push(run)
    this.#open = run
    return run
  }

  readonly #tick = (): void => {
    this.#scheduled = false
    this.cross()
  }

  /** Takes back the records of a waiter that have not crossed; returns how many. */
  withdraw(waiter: Sender): number {
    let count = 0
    for (const run of this.#runs) {
      const { arena, waiters } = run
      for (let i = run.done, start = run.from, span = run.span; i < arena.count; i++, start = arena.after(start)) {
        while (i >= run.end(span)) span++
        if (waiters[span] !== waiter) continue
        arena.withdraw(start)
        count++
      }
      for (let span = run.span; span < run.size; span++) if (waiters[span] === waiter) waiters[span] = null
    }
    this.#uncrossed -= count
    return count
  }

  /** Hands everything written to the engine, as far as its memory takes it. */
  cross(): void {
    if (this.#blocked) return
    this.#open = undefined
    while (this.#runs.length > 0) {
      const run = this.#runs[0]!
      if (!this.#hand(run)) {
        this.#blocked = true
        return
      }
      this.#runs.shift()
      this.#recycle(run)
    }
    if (this.#spaceWaiters.length > 0) for (const wake of this.#spaceWaiters.splice(0)) wake()
  }

  /** The engine has memory again. */
  space(): void {
    this.#blocked = false
    this.cross()
  }

  /** Resolves when everything written before has crossed. */
  crossed(): Promise<void> {
    this.#refuseWithin()
    this.cross()
    if (!this.#blocked) return Promise.resolve()
    return new Promise(resolve => this.#spaceWaiters.push(resolve))
  }

  /** Fails everything that waits: what has not crossed was not sent, of the rest nothing is known. */
  failAll(error: (persistence: Persistence) => KafkaError): void {
    const runs = this.#runs.splice(0)
    this.#open = undefined
    for (const run of runs) {
      this.#refuse(run, () => error('not-persisted'))
    }
    this.#uncrossed = 0
    this.deliveries.failAll(() => error('possibly-persisted'))
    for (const wake of this.#spaceWaiters.splice(0)) wake()
  }

  #recycle(run: Run): void {
    if (run.arena.buffer.length !== ARENA_BYTES || this.#spare.length >= SPARE) return
    run.reset()
    this.#spare.push(run)
  }

  /** One crossing; false when not all records were taken. */
  #hand(run: Run): boolean {
    const { arena } = run
    const offered = arena.count - run.done
    if (offered === 0) return true
    if (this.#answers.length < 2 + 2 * offered) this.#answers = new Int32Array(2 + 2 * offered)
    const answers = this.#answers
    const { native } = this.#environment
    let taken: number
    try {
      taken = native.append(this.#handle, arena.buffer, run.from, arena.used, answers.subarray(0, 2 + 2 * offered))
    } catch (error) {
      const failure = thrown(error, 'not-persisted')
      this.#refuse(run, waiter => {
        if (waiter === null) this.#onRefused(failure)
        return failure
      })
      return true
    }
    this.#answered(run, taken, answers[1]! > 0 ? native.errors() : [])
    run.from = answers[0]!
    return taken === offered
  }

  /** The first `taken` records that had not crossed have now; `errors`: why some were refused. */
  #answered(run: Run, taken: number, errors: readonly string[]): void {
    const from = run.done
    const to = from + taken
    const answers = this.#answers
    for (let start = from; start < to; ) {
      const waiter = run.waiters[run.span]!
      const end = Math.min(run.end(run.span), to)
      const at = 2 + 2 * (start - from)
      const count = end - start
      if (waiter !== null) {
        this.#uncrossed -= count
        waiter.crossed(answers, at, count)
        this.#groups.of(answers, at, count)
        this.#spread(waiter)
      }
      if (errors.length > 0) this.#refusals(waiter, at, count, errors)
      if (end === run.end(run.span)) run.span++
      start = end
    }
    run.done = to
  }

  /** Tells of the refused ones among the answers of one span. */
  #refusals(waiter: Sender | null, at: number, count: number, errors: readonly string[]): void {
    for (let i = 0; i < count; i++) {
      if (this.#answers[at + 2 * i] !== REFUSED) continue
      const error = failureOf(errors[this.#answers[at + 2 * i + 1]!]!, 'not-persisted')
      if (waiter === null) this.#onRefused(error)
      else waiter.refused(i, error)
    }
  }

  /** `waiter` waits for what was placed in groups. */
  #spread(waiter: Sender): void {
    const { size, numbers, firsts, counts } = this.#groups
    for (let k = 0; k < size; k++) {
      if (this.#unacknowledged) waiter.delivered(numbers[k]!, firsts[k]!, counts[k]!, -1, -1, -1)
      else this.deliveries.add(numbers[k]!, firsts[k]!, counts[k]!, waiter)
    }
  }

  /** What has not crossed never will. */
  #refuse(run: Run, failure: (waiter: Sender | null) => KafkaError): void {
    for (let i = run.done; i < run.arena.count; i++) {
      while (i >= run.end(run.span)) run.span++
      const waiter = run.waiters[run.span]!
      const error = failure(waiter)
      if (waiter === null) continue
      this.#uncrossed--
      waiter.crossed(refused, 0, 1)
      waiter.refused(0, error)
    }
    run.done = run.arena.count
  }
}

/** The answer to a record that was not offered. */
const refused = Int32Array.of(REFUSED, 0)
