/**
 * `consumer.forEach`: a handler per record, several at a time if wanted. A record is finished when its handler is done;
 * what is finished counts once all records before it in its partition are.
 */
import { type Message, view } from '../message.ts'
import { Call, Calls } from './calls.ts'
import * as channels from './channels.ts'
import type { Chunk } from './chunk.ts'
import { aborted } from './failure.ts'
import { Pace } from './pace.ts'
import type { Loop, Reader } from './reader.ts'

/** Chunks that wait for their partition's turn, at most. */
const WAITING_CHUNKS = 64
/** Records that wait for their key's turn, at most, for each handler that may run. */
const WAITING_RECORDS = 16

/** How many handlers run at a time, and what keeps its order. */
export type Concurrency = number | 'partition' | { byKey: number }

type Handler = (message: Message) => unknown

/** See the module. */
export class ForEach implements Loop {
  readonly #reader: Reader
  readonly #handler: Handler
  readonly #signal: AbortSignal | undefined
  readonly #pace = new Pace()
  readonly #calls = new Calls()
  /** What runs, by the chunk it is of. */
  readonly #running = new Map<Promise<void>, Chunk>()
  #traced = false
  #failure: { error: unknown } | undefined
  /** Records that were taken and whose handlers did not begin, by chunk the first: a later loop goes on there. */
  readonly #skipped = new Map<Chunk, number>()
  /** Chunks of paused partitions: what waits for its key's turn was given out before, and still runs. */
  readonly #kept = new Set<Chunk>()
  /** By partition the record that was begun furthest on: those before it are behind by their key only. */
  readonly #begun = new Map<string, { chunk: Chunk; position: number }>()
  /** Chunks that are read from another place: nothing more of them is to be handled. */
  readonly #dropped = new WeakSet<Chunk>()

  constructor(reader: Reader, handler: Handler, signal: AbortSignal | undefined) {
    this.#reader = reader
    this.#handler = handler
    this.#signal = signal
  }

  /** Runs until the consumer closes, a handler fails or the signal is aborted. */
  async run(concurrency: Concurrency): Promise<void> {
    const reader = this.#reader
    reader.begin(this)
    try {
      if (concurrency === 'partition') await this.#byPartition()
      else if (typeof concurrency === 'object') await this.#byKey(concurrency.byKey)
      else await this.#unordered(concurrency)
    } catch (error) {
      this.#failure ??= { error }
    } finally {
      await Promise.all(this.#running.keys())
      this.#leaveSkipped()
      reader.end(this)
    }
    if (this.#failure !== undefined) throw this.#failure.error
  }

  get stopped(): boolean {
    return this.#failure !== undefined || this.#reader.ended || this.#signal?.aborted === true
  }

  /** At most `limit` handlers at a time, begun in order. */
  async #unordered(limit: number): Promise<void> {
    const reader = this.#reader
    for (let chunk = await this.#next(); chunk !== null; chunk = await this.#next()) {
      while (reader.position < chunk.count && !this.stopped) {
        if (this.#running.size >= limit) {
          await Promise.race(this.#running.keys())
          continue
        }
        if (--this.#pace.steps < 0 && this.#pace.due()) await this.#pace.rest()
        const { position } = reader
        if (!chunk.progress.step(position + 1)) break
        reader.position = position + 1
        this.#track(this.#handle(chunk, position), chunk)
      }
      if (this.stopped) return this.#checkSignal()
    }
  }

  /** One handler at a time per partition. */
  async #byPartition(): Promise<void> {
    const reader = this.#reader
    const tails = new Map<string, Promise<void>>()
    for (let chunk = await this.#next(); chunk !== null; chunk = await this.#next()) {
      const own = chunk
      const start = reader.position
      reader.chunk = null
      const key = partitionOf(own)
      const before = tails.get(key) ?? Promise.resolve()
      const task = before.then(() => this.#wholeChunk(own, start))
      tails.set(key, task)
      this.#track(task, own)
      while (this.#running.size >= WAITING_CHUNKS) await Promise.race(this.#running.keys())
      if (this.stopped) return this.#checkSignal()
    }
  }

  async #wholeChunk(chunk: Chunk, start: number): Promise<void> {
    let position = start
    while (position < chunk.count && !this.stopped && chunk.progress.step(position + 1)) {
      await this.#handle(chunk, position++)
      if (--this.#pace.steps < 0 && this.#pace.due()) await this.#pace.rest()
    }
    this.#reader.leave({ chunk, position })
  }

  /** One handler at a time per key of a partition, at most `limit` in all; those without a key count as one. */
  async #byKey(limit: number): Promise<void> {
    const reader = this.#reader
    const tails = new Map<string, Promise<void>>()
    const gate = new Gate(limit)
    for (let chunk = await this.#next(); chunk !== null; chunk = await this.#next()) {
      while (reader.position < chunk.count && !this.stopped) {
        if (this.#running.size >= limit * WAITING_RECORDS) {
          await Promise.race(this.#running.keys())
          continue
        }
        if (--this.#pace.steps < 0 && this.#pace.due()) await this.#pace.rest()
        const { position } = reader
        if (!chunk.progress.step(position + 1)) break
        reader.position = position + 1
        const own = chunk
        const message = view(own, position)
        const key = `${partitionOf(own)}/${message.key?.toString('latin1')}`
        const task = (tails.get(key) ?? Promise.resolve()).then(() => this.#inTurn(gate, own, position))
        tails.set(key, task)
        task.finally(() => {
          if (tails.get(key) === task) tails.delete(key)
        })
        this.#track(task, own)
      }
      if (this.stopped) return this.#checkSignal()
    }
  }

  /** Runs a handler when there is room, unless its record was taken back or nothing more is wanted. */
  async #inTurn(gate: Gate, chunk: Chunk, position: number): Promise<void> {
    await gate.enter()
    try {
      if (chunk.progress.revoked && !this.#kept.has(chunk) && !this.#wasOvertaken(chunk, position)) return
      if (this.stopped) {
        this.#skipped.set(chunk, Math.min(position, this.#skipped.get(chunk) ?? position))
        return
      }
      this.#begins(chunk, position)
      await this.#handle(chunk, position)
    } finally {
      gate.leave()
    }
  }

  #begins(chunk: Chunk, position: number): void {
    const key = partitionOf(chunk)
    const furthest = this.#begun.get(key)
    if (furthest === undefined || isBefore(furthest, chunk, position)) this.#begun.set(key, { chunk, position })
  }

  /**
   * Whether a record of a partition that is given away must be handled first: one behind it was, which only counts when all
   * before it are finished; the partition's next owner would get that one again.
   */
  #wasOvertaken(chunk: Chunk, position: number): boolean {
    const furthest = this.#begun.get(partitionOf(chunk))
    return furthest !== undefined && !this.#dropped.has(chunk) && !isBefore(furthest, chunk, position)
  }

  #leaveSkipped(): void {
    if (this.#skipped.size === 0) return
    const reader = this.#reader
    const { chunk, position } = reader
    if (chunk !== null) this.#skipped.set(chunk, this.#skipped.get(chunk) ?? position)
    reader.chunk = null
    const inOrder = [...this.#skipped].sort(([a], [b]) => a.baseOffset - b.baseOffset)
    for (const [chunk, position] of inOrder) reader.leave({ chunk, position })
  }

  paused(concerns: (chunk: Chunk) => boolean, paused: boolean): void {
    for (const chunk of new Set(this.#running.values())) {
      if (!concerns(chunk)) continue
      if (paused) this.#kept.add(chunk)
      else {
        this.#kept.delete(chunk)
        this.#dropped.add(chunk)
        this.#begun.delete(partitionOf(chunk))
      }
    }
    const live = new Set(this.#running.values())
    for (const chunk of this.#kept) if (!live.has(chunk)) this.#kept.delete(chunk)
  }

  /** The next chunk. Whether somebody traces is looked at here, not at each record. */
  async #next(): Promise<Chunk | null> {
    const chunk = await this.#reader.next(this, this.#signal)
    this.#traced = channels.process.hasSubscribers
    return chunk
  }

  readonly #trace = (message: Message): Promise<unknown> =>
    channels.processing(this.#reader.origin, message, () => this.#handler(message))

  async #handle(chunk: Chunk, position: number): Promise<void> {
    const call = new Call(this.#calls)
    try {
      const message = view(chunk, position)
      const handler = this.#traced ? this.#trace : this.#handler
      await this.#calls.begin(handler, message, call)
      chunk.progress.finish(position)
    } catch (error) {
      this.#failure ??= { error }
      this.#reader.wake()
    } finally {
      this.#calls.end(call)
    }
  }

  #track(task: Promise<void>, chunk: Chunk): void {
    this.#running.set(task, chunk)
    task.finally(() => this.#running.delete(task))
  }

  #checkSignal(): void {
    if (this.#failure === undefined && this.#signal?.aborted) throw aborted(this.#signal, 'the iteration was aborted')
  }

  include(): void {
    // Handlers say themselves when they are done.
  }

  emptied(concerns: (chunk: Chunk) => boolean): Promise<void> | undefined {
    const concerned = [...this.#running].filter(([, chunk]) => concerns(chunk)).map(([task]) => task)
    return concerned.length === 0 ? undefined : Promise.all(concerned).then(() => {})
  }

  quiet(callers: Iterable<Call | undefined>): Promise<void> | undefined {
    return this.#calls.quiet(callers)
  }
}

function partitionOf({ topic, partition }: Chunk): string {
  return `${partition}/${topic}`
}

/** Whether `one` lies before the record at `position` of `chunk`, of the same partition. */
function isBefore(one: { chunk: Chunk; position: number }, chunk: Chunk, position: number): boolean {
  return one.chunk === chunk ? one.position < position : one.chunk.baseOffset < chunk.baseOffset
}

/** Lets so many in at a time, in order. */
class Gate {
  #room: number
  readonly #waiting: (() => void)[] = []

  constructor(room: number) {
    this.#room = room
  }

  enter(): Promise<void> | undefined {
    if (this.#room > 0) {
      this.#room--
      return undefined
    }
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next !== undefined) next()
    else this.#room++
  }
}
