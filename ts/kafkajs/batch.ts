/**
 * Records and batches as kafkajs gives them to handlers: offsets and timestamps are strings, headers an object.
 */
import type { Chunk } from '../internal/chunk.ts'
import { type Message, view } from '../message.ts'
import type { Batch, KafkaMessage } from './types/consumer.ts'
import type { IBatchProcessEvent } from './types/events.ts'
import type { IHeaders } from './types/records.ts'

/** A record. Its bytes are views into the memory of a batch, as in kafkajs. */
export function kafkaMessage(message: Message): KafkaMessage {
  const { offset, timestamp, key, value } = message
  const made = { magicByte: 2, attributes: 0, timestamp: String(timestamp), offset: String(offset), key, value }
  return Object.assign(made, { headers: headersOf(message), isControlRecord: false })
}

function headersOf(message: Message): IHeaders {
  const headers: Record<string, unknown> = {}
  for (const [name, value] of message.headers) {
    const before = headers[name]
    headers[name] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value]
  }
  return headers as IHeaders
}

/** What is left of a chunk from `start` on. */
export class Part {
  readonly chunk: Chunk
  readonly start: number

  constructor(chunk: Chunk, start: number) {
    this.chunk = chunk
    this.start = start
  }

  /** The offset of a record. */
  offset(position: number): number {
    return view(this.chunk, position).offset
  }

  get firstOffset(): number {
    return this.offset(this.start)
  }

  get lastOffset(): number {
    return this.offset(this.chunk.count - 1)
  }

  /** The position behind the last record with at most this offset; `start` when there is none. */
  behind(offset: number): number {
    let low = this.start
    let high = this.chunk.count
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.offset(middle) <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  message(position: number): KafkaMessage {
    return kafkaMessage(view(this.chunk, position))
  }

  /** As `eachBatch` gets it. */
  batch(): Batch {
    const { topic, partition, count } = this.chunk
    const messages = Array.from({ length: count - this.start }, (_, i) => this.message(this.start + i))
    const { highWatermark, firstOffset, lastOffset, offsetLag, offsetLagLow } = this.event()
    return {
      topic,
      partition,
      highWatermark,
      messages,
      isEmpty: () => false,
      firstOffset: () => firstOffset,
      lastOffset: () => lastOffset,
      offsetLag: () => offsetLag,
      offsetLagLow: () => offsetLagLow,
    }
  }

  /** As events tell of it. */
  event(): IBatchProcessEvent {
    const { topic, partition, count, highWatermark } = this.chunk
    const { firstOffset, lastOffset } = this
    return {
      topic,
      partition,
      highWatermark: String(highWatermark),
      offsetLag: String(highWatermark - 1 - lastOffset),
      offsetLagLow: String(highWatermark - 1 - firstOffset),
      batchSize: count - this.start,
      firstOffset: String(firstOffset),
      lastOffset: String(lastOffset),
    }
  }
}
