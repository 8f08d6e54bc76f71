/**
 * What one Node environment (main thread or worker) has of the engine: one add-on object, one queue, the calls under way.
 *
 * It keeps the process alive exactly while something is pending: each promise, waiting loop or running broker of ours
 * holds it, and `native.hold` is crossed only when the first comes and the last goes.
 */
import type { KafkaError } from '../errors.ts'
import { codecs, type OperationName, type Operations } from '../generated/operations.ts'
import type { Arena } from './arena.ts'
import { checkSignal, reading, textOf, unreadable } from './arguments.ts'
import { request as operations } from './channels.ts'
import { aborted, failureOf, thrown } from './failure.ts'
import { load, type NativeChunk, type NativeEdge } from './native.ts'
import { onAbort } from './signals.ts'

/** Words of one entry of the queue; their meaning is in `native/bridge/src/queue.rs`. */
export const ENTRY_WORDS = 12
const ENTRIES = 512
/** Longest time that drains keep the event loop, in milliseconds. */
const DRAIN_MS = 4
/** How often it is looked whether the event loop turns, in milliseconds: often enough, and not at each of many wake-ups. */
const LOOK_MS = 1

/** Characters of an error's text that the engine is told. */
const LONGEST_ERROR = 4_000

const NO_CHUNKS: readonly NativeChunk[] = []

const DELIVERY = 1
const SPACE = 2
const CHUNKS = 3
const COMPLETION = 4
const QUESTION = 5
const EVENT = 6
const POISON = 7

/** Whoever the engine talks to: a producer, a consumer or a client. */
export interface Receiver {
  /** Handle of the client it belongs to. */
  readonly client: number
  /** Records were delivered: an entry at `at` in `words`, and the failure when they were not. */
  delivered?(words: Int32Array, at: number, failure: string | undefined): void
  /** There is room in memory again. */
  space?(): void
  /** There is a chunk, or an error, for a loop that found none. */
  chunks?(): void
  /** The engine asks; what comes of it is answered, a promise when it has settled. */
  question?(name: string, request: unknown, deadlineMs: number): unknown
  /** Something happened. */
  event?(text: string): void
  /** An engine task of the client panicked: nothing more will come. */
  poisoned(error: KafkaError): void
}

/** The text of a question. */
interface Question {
  id: string
  name: string
  deadlineMs: number
  request: unknown
}

interface Pending {
  handle: number
  settle(failed: boolean, text: string, chunks: readonly NativeChunk[]): void
  fail(error: unknown): void
}

/** See the module. */
export class Environment {
  readonly native: NativeEdge
  readonly #words = new Int32Array(ENTRY_WORDS * ENTRIES)
  readonly #receivers = new Map<number, Receiver>()
  readonly #calls = new Map<number, Pending>()
  #lastCall = 0
  #held = 0
  /** When the event loop was last seen to turn, or when it was begun to look whether it does. */
  #looked = 0
  #looking = false
  #late = false

  constructor(copies: boolean) {
    const { Edge } = load()
    this.native = new Edge(() => this.#wake(), copies)
  }

  /** Opens a client, producer or consumer with options that are plain data. A configuration error is thrown here. */
  open(kind: 'client' | 'producer' | 'consumer', parent: number, options: object): number {
    try {
      return this.native.open(kind, parent, JSON.stringify(options))
    } catch (error) {
      throw thrown(error)
    }
  }

  /** What the engine says about `handle` goes to `receiver` from now on. */
  listen(handle: number, receiver: Receiver): void {
    this.#receivers.set(handle, receiver)
  }

  /** Ends `listen`. */
  unlisten(handle: number): void {
    this.#receivers.delete(handle)
  }

  /** Keeps the process alive until `release`. */
  hold(): void {
    if (this.#held++ === 0) this.native.hold(true)
  }

  /** Ends one `hold`. */
  release(): void {
    if (--this.#held === 0) this.native.hold(false)
  }

  /** Runs an operation that never waits. */
  invoke<Name extends OperationName>(
    handle: number,
    name: Name,
    request: Operations[Name]['request'],
  ): Operations[Name]['response'] {
    const codec = codecs[name]
    try {
      return codec.decode(this.native.invoke(handle, name, codec.encode(request)))
    } catch (error) {
      throw thrown(error)
    }
  }

  /** Starts an operation. When `signal` is aborted the promise rejects and the engine stops the operation. */
  call<Name extends OperationName>(
    handle: number,
    name: Name,
    request: Operations[Name]['request'],
    signal?: AbortSignal,
  ): Promise<Operations[Name]['response']> {
    return this.#call(handle, name, request, signal, undefined, response => response)
  }

  /** As `call`, with records: those of the arena go with the request, and may be written anew when this has returned. */
  callWith<Name extends OperationName>(
    handle: number,
    name: Name,
    request: Operations[Name]['request'],
    arena: Arena,
    signal?: AbortSignal,
  ): Promise<Operations[Name]['response']> {
    return this.#call(handle, name, request, signal, arena, response => response)
  }

  /** As `call`, and the chunks that go with the response. */
  callForChunks<Name extends OperationName>(
    handle: number,
    name: Name,
    request: Operations[Name]['request'],
    signal?: AbortSignal,
  ): Promise<{ response: Operations[Name]['response']; chunks: readonly NativeChunk[] }> {
    return this.#call(handle, name, request, signal, undefined, (response, chunks) => ({ response, chunks }))
  }

  #call<Name extends OperationName, T>(
    handle: number,
    name: Name,
    request: Operations[Name]['request'],
    signal: AbortSignal | undefined,
    arena: Arena | undefined,
    made: (response: Operations[Name]['response'], chunks: readonly NativeChunk[]) => T,
  ): Promise<T> {
    const begin = () => this.#begin(handle, name, request, signal, arena, made)
    return operations.hasSubscribers ? operations.tracePromise(begin, { operation: name }) : begin()
  }

  #begin<Name extends OperationName, T>(
    handle: number,
    name: Name,
    request: Operations[Name]['request'],
    signal: AbortSignal | undefined,
    arena: Arena | undefined,
    made: (response: Operations[Name]['response'], chunks: readonly NativeChunk[]) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const codec = codecs[name]
      const text = codec.encode(request)
      checkSignal(signal)
      if (signal !== undefined && reading('signal', () => signal.aborted))
        throw aborted(signal, `${name} was aborted before it began`)
      this.#lastCall = (this.#lastCall + 1) >>> 0
      const id = this.#lastCall
      let forget: (() => void) | undefined
      const end = () => {
        this.#calls.delete(id)
        this.release()
        forget?.()
      }
      const fail = (error: unknown) => {
        end()
        reject(error)
      }
      const settle = (failed: boolean, answer: string, chunks: readonly NativeChunk[]) => {
        end()
        try {
          if (failed) reject(failureOf(answer))
          else resolve(made(codec.decode(answer), chunks))
        } catch (error) {
          reject(error)
        }
      }
      this.#calls.set(id, { handle, settle, fail })
      this.hold()
      if (signal !== undefined) {
        try {
          forget = onAbort(signal, () => {
            this.native.cancel(id)
            fail(aborted(signal, `${name} was aborted; what it has done stays done`))
          })
        } catch (error) {
          fail(unreadable('signal', error))
          return
        }
      }
      try {
        if (arena === undefined) this.native.call(id, handle, name, text)
        else this.native.callWith(id, handle, name, text, arena.buffer, arena.used)
      } catch (error) {
        fail(thrown(error))
      }
    })
  }

  /**
   * Node calls a thread-safe function that is called again meanwhile up to a thousand times before the event loop goes on. A program
   * that sends at each answer would keep timers and sockets waiting for most of a second; so after some time the drain is left to the
   * next turn. Until then the queue wakes nobody: it does so once between two drains.
   */
  #wake(): void {
    const now = performance.now()
    if (this.#looking) {
      if (now - this.#looked > DRAIN_MS) {
        this.#late = true
        return
      }
    } else if (now - this.#looked > LOOK_MS) {
      this.#looked = now
      this.#looking = true
      setImmediate(() => this.#turned())
    }
    this.#drain()
  }

  #turned(): void {
    this.#looked = performance.now()
    this.#looking = false
    if (!this.#late) return
    this.#late = false
    this.#drain()
  }

  #drain(): void {
    const begun = performance.now()
    let count: number
    do {
      count = this.native.drain(this.#words)
      this.#dispatch(count)
      if (count === ENTRIES && performance.now() - begun > DRAIN_MS) {
        setImmediate(() => this.#drain())
        return
      }
    } while (count === ENTRIES)
  }

  #dispatch(count: number): void {
    const words = this.#words
    let texts: string[] | undefined
    for (let at = 0, end = count * ENTRY_WORDS; at < end; at += ENTRY_WORDS) {
      let text: string | undefined
      if (words[at + 7]! >= 0) {
        texts ??= this.native.texts()
        text = texts[words[at + 7]!]
      }
      try {
        this.#one(words, at, text)
      } catch (error) {
        // A listener of the program's threw. It is told as Node tells it, and the entries behind it still count.
        setImmediate(() => {
          throw error
        })
      }
    }
  }

  #one(words: Int32Array, at: number, text: string | undefined): void {
    const handle = words[at + 1]! >>> 0
    switch (words[at]) {
      case DELIVERY:
        return this.#receivers.get(handle)?.delivered?.(words, at, text)
      case SPACE:
        return this.#receivers.get(handle)?.space?.()
      case CHUNKS:
        return this.#receivers.get(handle)?.chunks?.()
      case COMPLETION: {
        const id = words[at + 2]! >>> 0
        // Taken also when nobody waits any more: the engine keeps them until then.
        const chunks = words[at + 4] === 0 ? NO_CHUNKS : this.native.chunks(id)
        return this.#calls.get(id)?.settle(words[at + 3] !== 0, text ?? 'null', chunks)
      }
      case QUESTION:
        void this.#ask(handle, text!)
        return
      case EVENT:
        return this.#receivers.get(handle)?.event?.(text!)
      case POISON:
        return this.#poison(handle, text!)
    }
  }

  /** A question of the engine's: whoever it is for is called now, what comes of that is answered, what is thrown too. */
  async #ask(handle: number, text: string): Promise<void> {
    const { id, name, deadlineMs, request } = JSON.parse(text) as Question
    const outcome: { answer?: string; error?: string } = {}
    try {
      const receiver = this.#receivers.get(handle)
      if (receiver?.question === undefined) throw new Error('nobody is there to answer')
      outcome.answer = JSON.stringify((await receiver.question(name, request, deadlineMs)) ?? null)
    } catch (error) {
      // As it comes it could be too long, or have no form in UTF-8, and the engine would wait for an answer until its deadline.
      outcome.error = Buffer.from(textOf(error).slice(0, LONGEST_ERROR)).toString()
    }
    try {
      this.invoke(0, 'environment.answer', { id: Number(id), ...outcome })
    } catch {
      // The environment ends: nobody waits for the answer.
    }
  }

  #poison(client: number, text: string): void {
    const own = [...this.#receivers].filter(([, receiver]) => receiver.client === client)
    const handles = new Set(own.map(([handle]) => handle))
    for (const { handle, fail } of [...this.#calls.values()]) if (handles.has(handle)) fail(failureOf(text))
    for (const [, receiver] of own) receiver.poisoned(failureOf(text))
  }
}

let environment: Environment | undefined

/** The one of this thread, made at its first use. */
export function theEnvironment(): Environment {
  environment ??= new Environment(process.env.DOHLE_COPY_BUFFERS === '1')
  return environment
}
