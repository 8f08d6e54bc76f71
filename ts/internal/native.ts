/**
 * The add-on: what it exports, and loading it. Nothing else in `ts/` knows where it lies.
 */
import { createRequire } from 'node:module'
import { KafkaError } from '../errors.ts'

/** A chunk as the add-on gives it. */
export interface NativeChunk {
  topic: string
  partition: number
  baseOffset: number
  leaderEpoch: number
  epoch: number
  count: number
  highWatermark: number
  bytes: Buffer
  index: Buffer
  shared?: Buffer
  told?: object
}

/** See `native/node/src/lib.rs`. */
export interface NativeEdge {
  open(kind: 'client' | 'producer' | 'consumer', parent: number, options: string): number
  invoke(handle: number, operation: string, request: string): string
  call(id: number, handle: number, operation: string, request: string): void
  callWith(id: number, handle: number, operation: string, request: string, arena: Uint8Array, end: number): void
  chunks(id: number): NativeChunk[]
  cancel(id: number): void
  drain(words: Int32Array): number
  texts(): string[]
  errors(): string[]
  topic(producer: number, name: string): number
  append(producer: number, arena: Uint8Array, start: number, end: number, answers: Int32Array): number
  nextChunk(consumer: number): NativeChunk | null
  progress(told: object, finished: number, stepped: number): boolean
  hold(yes: boolean): void
}

interface Native {
  version(): string
  Edge: new (wake: () => void, copies: boolean) => NativeEdge
}

/** Loads the add-on. A file that cannot be loaded is one readable error, also when it is of another version. */
export function load(): Native {
  const require = createRequire(import.meta.url)
  const place = `${process.platform}-${process.arch}`
  let native: Native
  try {
    native = require('../../native.cjs') as Native
  } catch (cause) {
    const message = `the native part of dohle cannot be loaded on ${place}: ${(cause as Error).message}`
    throw new KafkaError(message, { code: 'UNSUPPORTED', fatal: true, cause })
  }
  const { version } = require('../../package.json') as { version: string }
  if (native.version() !== version) {
    const message = `the native part of dohle is of version ${native.version()}, the package of ${version}: install it anew`
    throw new KafkaError(message, { code: 'UNSUPPORTED', fatal: true })
  }
  return native
}
