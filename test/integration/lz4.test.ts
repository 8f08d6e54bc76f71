import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { Kafka } from 'dohle'
import { compressFrameSync, decompressFrameSync } from 'lz4-napi'
import { noise } from '../conformance/table.ts'
import { embedded, type Server, unique } from './servers.ts'

// lz4-napi is an LZ4 of other people: what it writes must be read by us, and the other way round.

let server: Server
let kafka: Kafka
before(async () => {
  server = await embedded()
  kafka = new Kafka({ brokers: server.bootstrap })
})
after(async () => {
  await kafka?.close()
  await server?.stop()
})

const values: readonly (readonly [string, Buffer])[] = [
  ['less than a block', Buffer.from('jackdaw '.repeat(20))],
  ['a block of 64 KiB to the byte', Buffer.alloc(65_536, 'a')],
  ['some blocks that compress', Buffer.from('Franz Kafka, Prag. '.repeat(20_000))],
  // A batch that does not get smaller is not compressed at all: the end of this one pays for its beginning.
  ['blocks that do not compress before some that do', Buffer.concat([noise(99, 300_000), Buffer.alloc(300_000, 'b')])],
]

for (const [name, value] of values) {
  test(`${name}: lz4-napi reads what dohle has compressed`, async () => {
    const topic = await topicWith(value)
    const batch = await rawBatch(topic)
    assert.equal(batch.readInt16BE(21) & 7, 3, 'the batch says lz4')
    const records = decompressFrameSync(batch.subarray(61))
    assert.ok(records.includes(value), 'the value is in it, whole')
  })

  test(`${name}: dohle reads what lz4-napi has compressed`, async () => {
    const batch = await rawBatch(await topicWith(value))
    const frame = compressFrameSync(decompressFrameSync(batch.subarray(61)))
    const topic = unique('lz4-foreign')
    await kafka.admin().createTopics([{ topic, partitions: 1 }])
    await rawProduce(topic, withRecords(batch, frame))
    const consumer = kafka.consumer({ enableAutoCommit: false })
    await consumer.assign([{ topic, partition: 0, offset: 0 }])
    for await (const message of consumer) {
      assert.ok(message.value?.equals(value))
      break
    }
    await consumer.close()
  })
}

async function topicWith(value: Buffer): Promise<string> {
  const topic = unique('lz4')
  await kafka.admin().createTopics([{ topic, partitions: 1 }])
  const producer = kafka.producer({ compression: 'lz4' })
  await producer.send({ topic, value, partition: 0 })
  await producer.close()
  return topic
}

/** The same batch with other record bytes: length and checksum set anew. No producer id, so that a broker takes it. */
function withRecords(batch: Buffer, records: Buffer): Buffer {
  const made = Buffer.concat([batch.subarray(0, 61), records])
  made.writeInt32BE(made.length - 12, 8)
  made.writeBigInt64BE(-1n, 43)
  made.writeInt16BE(-1, 51)
  made.writeInt32BE(-1, 53)
  made.writeUInt32BE(crc32c(made.subarray(21)), 17)
  return made
}

// Two requests by hand, in their simplest versions: what the broker has is wanted as it is.

async function rawBatch(topic: string): Promise<Buffer> {
  // Fetch v4: replica −1, wait 1000 ms, at least 1 byte, at most 8 MB, read uncommitted, one topic, one partition
  const answer = await request(1, 4, [
    i32(-1),
    i32(1_000),
    i32(1),
    i32(8 << 20),
    i8(0),
    i32(1),
    text(topic),
    i32(1),
    i32(0),
    i64(0n),
    i32(8 << 20),
  ])
  // throttle, one topic, its name, one partition: index, error, high watermark, last stable offset, aborted, records
  let at = 4 + 4 + 2 + Buffer.byteLength(topic) + 4 + 4
  assert.equal(answer.readInt16BE(at), 0, 'fetch')
  at += 2 + 8 + 8
  const aborted = answer.readInt32BE(at)
  at += 4 + Math.max(0, aborted) * 16
  const length = answer.readInt32BE(at)
  return answer.subarray(at + 4, at + 4 + length)
}

async function rawProduce(topic: string, batch: Buffer): Promise<void> {
  // Produce v3: no transactional id, acks all, 30 s, one topic, one partition
  const answer = await request(0, 3, [
    i16(-1),
    i16(-1),
    i32(30_000),
    i32(1),
    text(topic),
    i32(1),
    i32(0),
    i32(batch.length),
    batch,
  ])
  assert.equal(answer.readInt16BE(4 + 2 + Buffer.byteLength(topic) + 4 + 4), 0, 'produce')
}

function request(api: number, version: number, body: Buffer[]): Promise<Buffer> {
  const payload = Buffer.concat([i16(api), i16(version), i32(1), text('raw'), ...body])
  const [host, port] = server.bootstrap.split(':') as [string, string]
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), host, () => socket.write(Buffer.concat([i32(payload.length), payload])))
    let got = Buffer.alloc(0)
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the broker closed the connection')))
    socket.on('data', bytes => {
      got = Buffer.concat([got, bytes])
      if (got.length < 4 || got.length < 4 + got.readInt32BE(0)) return
      resolve(got.subarray(8))
      socket.destroy()
    })
  })
}

const i8 = (value: number): Buffer => Buffer.from([value])
function i16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
function i32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
function i64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}
const text = (value: string): Buffer => Buffer.concat([i16(Buffer.byteLength(value)), Buffer.from(value)])

function crc32c(bytes: Buffer): number {
  let crc = -1
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}
