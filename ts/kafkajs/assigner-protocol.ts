/**
 * kafkajs' `AssignerProtocol`: what members of a group tell each other, as bytes (Kafka's `ConsumerProtocol`, version 0).
 */
import type * as types from './types/assigners.ts'

class Writer {
  readonly #parts: Buffer[] = []

  int16(value: number): this {
    const part = Buffer.alloc(2)
    part.writeInt16BE(value)
    return this.#add(part)
  }

  int32(value: number): this {
    const part = Buffer.alloc(4)
    part.writeInt32BE(value)
    return this.#add(part)
  }

  text(value: string): this {
    const bytes = Buffer.from(value, 'utf8')
    return this.int16(bytes.length).#add(bytes)
  }

  bytes(value: Buffer): this {
    return this.int32(value.length).#add(value)
  }

  list<T>(values: readonly T[], each: (value: T) => void): this {
    this.int32(values.length)
    for (const value of values) each(value)
    return this
  }

  get buffer(): Buffer {
    return Buffer.concat(this.#parts)
  }

  #add(part: Buffer): this {
    this.#parts.push(part)
    return this
  }
}

class Cursor {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int16(): number {
    this.#at += 2
    return this.#bytes.readInt16BE(this.#at - 2)
  }

  int32(): number {
    this.#at += 4
    return this.#bytes.readInt32BE(this.#at - 4)
  }

  text(): string {
    return this.#take(this.int16()).toString('utf8')
  }

  bytes(): Buffer {
    const length = this.int32()
    return length < 0 ? Buffer.alloc(0) : this.#take(length)
  }

  list<T>(each: () => T): T[] {
    return Array.from({ length: this.int32() }, each)
  }

  #take(length: number): Buffer {
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}

const MemberMetadata: types.ISerializer<types.MemberMetadata> = {
  encode({ version, topics, userData = Buffer.alloc(0) }) {
    const writer = new Writer().int16(version)
    return writer.list(topics, topic => writer.text(topic)).bytes(userData).buffer
  },
  decode(buffer) {
    const cursor = new Cursor(buffer)
    return { version: cursor.int16(), topics: cursor.list(() => cursor.text()), userData: cursor.bytes() }
  },
}

const MemberAssignment: types.ISerializer<types.MemberAssignment> = {
  encode({ version, assignment, userData = Buffer.alloc(0) }) {
    const writer = new Writer().int16(version)
    return writer
      .list(Object.entries(assignment), ([topic, partitions]) => {
        writer.text(topic).list(partitions, partition => writer.int32(partition))
      })
      .bytes(userData).buffer
  },
  decode(buffer) {
    if (buffer.length < 2) return null
    const cursor = new Cursor(buffer)
    const version = cursor.int16()
    const assignment: types.Assignment = Object.fromEntries(
      cursor.list(() => [cursor.text(), cursor.list(() => cursor.int32())] as const),
    )
    return { version, assignment, userData: cursor.bytes() }
  },
}

/** Turns what members of a group tell each other into bytes and back. */
export const AssignerProtocol = { MemberMetadata, MemberAssignment }
