/**
 * A chunk on the JavaScript side: its bytes, its index, and the three words shared with the engine.
 *
 * The words are memory that the engine reads and writes (see `ChunkControl` in `native/client`): writing them is how a
 * loop tells its progress, without a call. Where memory cannot be shared they are told by a call.
 */
import type { NativeChunk, NativeEdge } from './native.ts'
import { tooLarge } from './values.ts'

/** Words of the index per record; their meaning is that of `Chunk` in `native/client`. */
export const INDEX_WORDS = 10

const FINISHED = 0
const STEPPED = 1
const REVOKED = 2

/** How far a loop is with a chunk. */
export class Progress {
  /** Number of records. */
  readonly count: number
  /** Which ownership of the partition the records were read under. */
  epoch = 0
  /** The reader that took the chunk. */
  owner: object | undefined
  readonly #words: Uint32Array
  readonly #told: object | undefined
  readonly #native: NativeEdge
  /** Records finished out of order, beyond the first unfinished one. */
  #beyond: Set<number> | undefined

  constructor(native: NativeEdge, count: number, shared: Uint32Array | undefined, told: object | undefined) {
    this.#native = native
    this.count = count
    this.#words = shared ?? new Uint32Array(3)
    this.#told = told
  }

  /** Whether nothing more of the chunk may be yielded: after a seek, a pause or a revocation. */
  get revoked(): boolean {
    return this.#words[REVOKED] !== 0
  }

  /** How many records the loop has been given. */
  get stepped(): number {
    return this.#words[STEPPED]!
  }

  /** How many records, from the first, are finished. */
  get finished(): number {
    return this.#words[FINISHED]!
  }

  /** The loop is given the record before `position`; false when it must not be, then nothing has changed. */
  step(position: number): boolean {
    if (this.#told !== undefined) this.#tell()
    if (this.#words[REVOKED] !== 0) return false
    this.#words[STEPPED] = position
    if (this.#told !== undefined) this.#tell()
    return true
  }

  /** All records before `position` are finished. */
  finishTo(position: number): void {
    if (position <= this.#words[FINISHED]!) return
    this.#words[FINISHED] = position
    if (this.#beyond !== undefined) this.#catchUp()
    if (this.#told !== undefined) this.#tell()
  }

  /** The record at `position` is finished, and counts once all before it are. */
  finish(position: number): void {
    const next = this.#words[FINISHED]!
    if (position < next) return
    if (position === next) return this.finishTo(next + 1)
    this.#beyond ??= new Set()
    this.#beyond.add(position)
  }

  #catchUp(): void {
    const beyond = this.#beyond!
    let next = this.#words[FINISHED]!
    while (beyond.delete(next)) next++
    this.#words[FINISHED] = next
  }

  #tell(): void {
    if (this.#native.progress(this.#told!, this.#words[FINISHED]!, this.#words[STEPPED]!)) this.#words[REVOKED] = 1
  }
}

/** What views look at: the bytes and the index of a chunk, or of one record that was copied out of it. */
export interface Records {
  readonly topic: string
  readonly partition: number
  readonly baseOffset: number
  readonly leaderEpoch: number
  readonly bytes: Buffer
  /** What `bytes` is a part of, and where in it. */
  readonly memory: ArrayBufferLike
  readonly memoryStart: number
  readonly index: Int32Array
}

/** A chunk as loops have it. */
export class Chunk implements Records {
  readonly topic: string
  readonly partition: number
  readonly baseOffset: number
  readonly leaderEpoch: number
  readonly highWatermark: number
  readonly count: number
  readonly bytes: Buffer
  readonly memory: ArrayBufferLike
  readonly memoryStart: number
  readonly index: Int32Array
  readonly progress: Progress

  constructor(native: NativeEdge, chunk: NativeChunk) {
    this.topic = chunk.topic
    this.partition = chunk.partition
    this.baseOffset = chunk.baseOffset
    this.leaderEpoch = chunk.leaderEpoch
    this.highWatermark = chunk.highWatermark
    this.count = chunk.count
    this.bytes = chunk.bytes
    this.memory = chunk.bytes.buffer
    this.memoryStart = chunk.bytes.byteOffset
    this.index = words(chunk.index)
    const shared = chunk.shared && words(chunk.shared)
    const control = shared && new Uint32Array(shared.buffer, shared.byteOffset, shared.length)
    this.progress = new Progress(native, chunk.count, control, chunk.told ?? undefined)
    const last = chunk.baseOffset + this.index[(chunk.count - 1) * INDEX_WORDS]!
    if (last > Number.MAX_SAFE_INTEGER) throw tooLarge(`an offset of ${chunk.topic}-${chunk.partition}`)
  }
}

/** A buffer's memory as words; copied only where the runtime gives it at an odd place. */
function words(buffer: Buffer): Int32Array {
  if (buffer.byteOffset % 4 === 0) return new Int32Array(buffer.buffer, buffer.byteOffset, buffer.byteLength >> 2)
  const copy = new Uint8Array(buffer)
  return new Int32Array(copy.buffer, 0, copy.byteLength >> 2)
}
