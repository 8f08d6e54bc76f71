/**
 * The loop behind `run`: chunks of a partition one after the other, several partitions at a time. It takes chunks from the
 * engine and says when nothing of a partition is in hand; what is done with them is the runner's.
 */
import type { Chunk } from '../internal/chunk.ts'
import type { Loop, Reader } from '../internal/reader.ts'

/** Chunks that wait for their turn, at most. */
const WAITING_CHUNKS = 64

/** A chunk that a handler has. */
export interface InHand {
  readonly chunk: Chunk
  /** Its partition is to be given up. */
  givenUp: boolean
  /** Its partition is read from another place. */
  moved: boolean
  /** Nothing of it is in hand any more. */
  readonly empty: Promise<void>
  /** Says so. */
  release(): void
}

/** See the module. */
export class Lanes implements Loop {
  stopped = false
  readonly #reader: Reader
  readonly #limit: number
  readonly #handle: (inHand: InHand, start: number) => Promise<void>
  readonly #inHand = new Set<InHand>()
  readonly #tasks = new Set<Promise<void>>()
  readonly #gate: (() => void)[] = []
  #busy = 0

  /** `limit`: how many partitions are handled at a time. */
  constructor(reader: Reader, limit: number, handle: (inHand: InHand, start: number) => Promise<void>) {
    this.#reader = reader
    this.#limit = limit
    this.#handle = handle
  }

  /** Runs until `stop` or an error of the engine. `waiting` is told before and after each wait for records. */
  async run(waiting: { begins(): void; ends(): void }): Promise<void> {
    const reader = this.#reader
    const lanes = new Map<string, Promise<void>>()
    reader.begin(this)
    try {
      for (;;) {
        waiting.begins()
        const chunk = await reader.next(this, undefined)
        if (chunk === null) return
        waiting.ends()
        const start = reader.position
        reader.chunk = null
        const key = `${chunk.partition}/${chunk.topic}`
        const task = (lanes.get(key) ?? Promise.resolve()).then(() => this.#inTurn(chunk, start))
        lanes.set(key, task)
        this.#tasks.add(task)
        task.finally(() => {
          this.#tasks.delete(task)
          if (lanes.get(key) === task) lanes.delete(key)
        })
        while (this.#tasks.size >= WAITING_CHUNKS) await Promise.race(this.#tasks)
      }
    } finally {
      reader.end(this)
    }
  }

  /** No more handlers begin. */
  stop(): void {
    this.stopped = true
    this.#reader.wake()
  }

  /** Resolves when all handlers but one have ended. */
  async ended(but?: InHand): Promise<void> {
    for (;;) {
      const left = [...this.#inHand].filter(one => one !== but)
      if (left.length === 0) return
      await Promise.race(left.map(({ empty }) => empty))
    }
  }

  /** A partition is read from another place. */
  moved(topic: string, partition: number): void {
    for (const one of this.#inHand) {
      if (one.chunk.topic === topic && one.chunk.partition === partition) one.moved = true
    }
  }

  /** Partitions were lost. */
  lost(concerns: (chunk: Chunk) => boolean): void {
    for (const one of this.#inHand) if (concerns(one.chunk)) one.givenUp = true
  }

  include(): void {
    // Handlers say themselves what is done.
  }

  emptied(concerns: (chunk: Chunk) => boolean): Promise<void> | undefined {
    const concerned = [...this.#inHand].filter(({ chunk }) => concerns(chunk))
    for (const one of concerned) one.givenUp = true
    return concerned.length === 0 ? undefined : Promise.all(concerned.map(({ empty }) => empty)).then(() => {})
  }

  async #inTurn(chunk: Chunk, start: number): Promise<void> {
    await this.#enter()
    try {
      if (this.stopped || chunk.progress.revoked) return
      const one = inHand(chunk)
      this.#inHand.add(one)
      try {
        await this.#handle(one, start)
      } finally {
        this.#inHand.delete(one)
        one.release()
      }
    } finally {
      this.#leave()
    }
  }

  async #enter(): Promise<void> {
    if (this.#busy < this.#limit) this.#busy++
    else await new Promise<void>(go => this.#gate.push(go))
  }

  #leave(): void {
    const next = this.#gate.shift()
    if (next === undefined) this.#busy--
    else next()
  }
}

function inHand(chunk: Chunk): InHand {
  let release = () => {}
  const empty = new Promise<void>(done => {
    release = done
  })
  return { chunk, givenUp: false, moved: false, empty, release }
}
