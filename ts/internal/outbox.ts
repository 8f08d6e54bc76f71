/**
 * The outbox of a producer: records are written into an arena, the arena crosses when the tick ends or when it is full.
 *
 * When the engine's memory is full, what was not taken stays in order and everything later queues behind it, until the
 * engine says that there is space. It knows nothing of promises; `Waiter` does.
 */
import type { KafkaError, Persistence } from '../errors.ts'
import { ARENA_BYTES, Arena, sizeBound, type Writable } from './arena.ts'
import { Deliveries, type Waiter } from './deliveries.ts'
import type { Environment } from './environment.ts'
import { failureOf, invalid, thrown } from './failure.ts'

const REFUSED = -1
const SKIPPED = -2
/** Arenas kept for later use. */
const SPARE = 4

/** A run of records that has not crossed yet, and who waits for them. */
class Run {
  readonly arena: Arena
  readonly waiters: (Waiter | null)[] = []
  readonly positions: number[] = []
  /** Records that have crossed. */
  done = 0
  /** Where the first record begins that has not. */
  from = 0

  constructor(arena: Arena) {
    this.arena = arena
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
  readonly #spare: Arena[] = []
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
  write(topic: number, message: Writable, path: string, waiter: Waiter | null, position: number): void {
    this.#refuseWithin()
    this.#writing = true
    try {
      const run = this.#open ?? this.#begin(ARENA_BYTES)
      if (run.arena.write(topic, message, path)) this.#note(run, waiter, position)
      else this.#writeElsewhere(topic, message, path, waiter, position)
    } finally {
      this.#writing = false
    }
  }

  /** A getter of a message that uses its producer would write into the middle of the record. */
  #refuseWithin(): void {
    if (this.#writing) throw invalid('message', 'a getter of it uses the producer that is reading it')
  }

  #note(run: Run, waiter: Waiter | null, position: number): void {
    run.waiters.push(waiter)
    run.positions.push(position)
    if (waiter !== null) this.#uncrossed++
    if (!this.#scheduled) {
      this.#scheduled = true
      queueMicrotask(this.#tick)
    }
  }

  /** The open arena is full: it crosses now, and the record goes to a new one, of its own size when it is large. */
  #writeElsewhere(topic: number, message: Writable, path: string, waiter: Waiter | null, position: number): void {
    const bytes = sizeBound(message, path)
    if (this.#open !== undefined && this.#open.arena.count > 0) this.cross()
    const run = this.#begin(Math.max(bytes, ARENA_BYTES))
    if (!run.arena.write(topic, message, path)) throw new Error('a record does not fit into an arena of its size')
    this.#note(run, waiter, position)
  }

  #begin(bytes: number): Run {
    const spare = bytes === ARENA_BYTES ? this.#spare.pop() : undefined
    const run = new Run(spare ?? new Arena(bytes))
    this.#runs.push(run)
    this.#open = run
    return run
  }

  readonly #tick = (): void => {
    this.#scheduled = false
    this.cross()
  }

  /** Takes back the records of a waiter that have not crossed; returns how many. */
  withdraw(waiter: Waiter): number {
    let count = 0
    for (const { arena, waiters, done, from } of this.#runs) {
      for (let i = done, start = from; i < arena.count; i++, start = arena.after(start)) {
        if (waiters[i] !== waiter) continue
        arena.withdraw(start)
        waiters[i] = null
        count++
      }
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
      this.#recycle(run.arena)
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
      for (let i = run.done; i < run.waiters.length; i++)
        run.waiters[i]?.failed(run.positions[i]!, error('not-persisted'))
    }
    this.#uncrossed = 0
    this.deliveries.failAll(() => error('possibly-persisted'))
    for (const wake of this.#spaceWaiters.splice(0)) wake()
  }

  #recycle(arena: Arena): void {
    if (arena.buffer.length !== ARENA_BYTES || this.#spare.length >= SPARE) return
    arena.reset()
    this.#spare.push(arena)
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
      const failure = thrown(error) as KafkaError
      for (let i = run.done; i < arena.count; i++) {
        const waiter = run.waiters[i]!
        if (waiter === null) {
          this.#onRefused(failure)
          continue
        }
        this.#uncrossed--
        waiter.failed(run.positions[i]!, failure)
      }
      return true
    }
    const errors = answers[1]! > 0 ? native.errors() : []
    for (let i = 0; i < taken; i++) {
      this.#answered(run, run.done + i, answers[2 + 2 * i]!, answers[3 + 2 * i]!, errors)
    }
    run.done += taken
    run.from = answers[0]!
    return taken === offered
  }

  #answered(run: Run, at: number, group: number, index: number, errors: string[]): void {
    const waiter = run.waiters[at]!
    const position = run.positions[at]!
    if (waiter !== null) this.#uncrossed--
    if (group === REFUSED) {
      const error = failureOf(errors[index]!, 'not-persisted')
      if (waiter === null) this.#onRefused(error)
      else waiter.failed(position, error)
    } else if (waiter === null || group === SKIPPED) {
      // Nobody waits: given to `tryEnqueue`, or taken back.
    } else if (this.#unacknowledged) waiter.delivered(position, -1, -1, -1)
    else this.deliveries.add(group, index, waiter, position)
  }
}
