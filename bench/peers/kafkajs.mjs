// kafkajs, at its best settings here:
// - not idempotent: that is experimental and sends one request at a time
// - five sends of 1,000 under way (of 1, 3, 5, 16 and 50, none was better in both rate and CPU); no batching of its own
// - lz4, snappy and zstd by native packages, as its documentation has it: lz4-napi, snappy, and Node's own zstd
import { createRequire } from 'node:module'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import kafkajs from 'kafkajs'
import { compressFrame, decompressFrame } from 'lz4-napi'
import snappy from 'snappy'
import { afterWarmUp, inBatches, inFlight, main, oneByOne, readThrough, Watch } from '../clients/harness.mjs'
import { endToEnd, loopDelay } from '../clients/scenarios.mjs'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel, Partitioners } = kafkajs
const { version } = createRequire(import.meta.url)('kafkajs/package.json')

CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: encoder => compressFrame(encoder.buffer),
  decompress: buffer => decompressFrame(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => zstdCompressSync(encoder.buffer),
  decompress: async buffer => zstdDecompressSync(buffer),
})
CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: encoder => snappy.compress(encoder.buffer),
  decompress: async buffer => Buffer.concat(snappyBlocks(buffer).map(block => snappy.uncompressSync(block))),
})

/** Snappy as Kafka has it: one block, or blocks in the framing of Java's snappy library, each with its length before it. */
function snappyBlocks(buffer) {
  if (buffer.subarray(0, 8).toString('latin1') !== '\x82SNAPPY\0') return [buffer]
  const blocks = []
  for (let at = 16; at < buffer.length; at += 4 + buffer.readUInt32BE(at)) {
    blocks.push(buffer.subarray(at + 4, at + 4 + buffer.readUInt32BE(at)))
  }
  return blocks
}

const kafkaOf = job => new Kafka({ brokers: job.brokers.split(','), clientId: 'bench', logLevel: logLevel.ERROR })
const codecs = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' }

/** Sends messages with the job's acks and codec. */
async function senderOf(job) {
  const producer = kafkaOf(job).producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  const compression = CompressionTypes[codecs[job.codec]]
  const acks = job.acks === '0' ? 0 : -1
  return messages => producer.send({ topic: job.topic, messages, acks, compression })
}

async function produce(job) {
  const sender = await senderOf(job)
  const send = async (from, to) => {
    const messages = []
    for (let i = from; i < to; i++) messages.push({ key: job.key(i), value: job.at(i) })
    await sender(messages)
  }
  await inBatches(0, job.warmup, 5, send)
  const watch = new Watch()
  await inBatches(job.warmup, job.warmup + job.records, 5, send)
  return watch.end(job.records, { written: job.warmup + job.records })
}

async function single(job) {
  const sender = await senderOf(job)
  const send = i => sender([{ key: job.key(i), value: job.at(i) }])
  await inFlight(0, job.warmup, job.window, send)
  const watch = new Watch()
  await inFlight(job.warmup, job.warmup + job.records, job.window, send)
  return watch.end(job.records, { written: job.warmup + job.records })
}

async function sequential(job) {
  const sender = await senderOf(job)
  const { watch, latencies } = await oneByOne(job, i => sender([{ value: job.at(i) }]))
  return watch.end(job.records, { written: job.warmup + job.records, latencies })
}

/** Calls `run` options until `handle` says false; resolves with the consumer then. */
function running(job, groupId, options) {
  const consumer = kafkaOf(job).consumer({ groupId, maxBytes: 52_428_800 })
  return new Promise((resolve, reject) => {
    const end = () => resolve(consumer)
    consumer
      .connect()
      .then(() => consumer.subscribe({ topic: job.topic, fromBeginning: true }))
      .then(() => consumer.run({ autoCommit: false, ...options(end) }))
      .catch(reject)
  })
}

const eachMessage = handle => end => ({
  eachMessage: async ({ message }) => {
    if (handle(message.value) === false) end()
  },
})

const eachBatch = handle => end => ({
  eachBatch: async ({ batch }) => {
    for (const message of batch.messages) if (handle(message.value) === false) return end()
  },
})

let groups = 0
const group = job => `${job.topic}-${process.pid}-${++groups}`

const consume = (job, options) =>
  afterWarmUp(job, (records, watch) =>
    readThrough(records, watch, async handle => {
      await (await running(job, group(job), options(handle))).disconnect()
    }),
  )

await main({
  version,
  modes: {
    produce,
    single,
    sequential,
    consume: job => consume(job, eachMessage),
    'consume-batches': job => consume(job, eachBatch),
    'end-to-end': async job => {
      const sender = await senderOf(job)
      const read = handle => running(job, group(job), eachMessage(handle))
      return endToEnd(job, { send: value => sender([{ value }]), read })
    },
    'event-loop': job => loopDelay(job, handle => running(job, group(job), eachMessage(handle))),
  },
})
