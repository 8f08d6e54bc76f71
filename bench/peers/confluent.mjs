// @confluentinc/kafka-javascript through its promises (the KafkaJS-like API), at its best settings here:
// - idempotent (it costs librdkafka next to nothing), linger.ms 5 (librdkafka's default; its own wrapper has 0), batches of 1 MB
// - 16 sends of 1,000 under way: the fastest of 1, 3, 5, 16 and 50; its local queue takes 100,000 records, a full one rejects
// - js.consumer.max.batch.size −1: batches as large as it has them

import { createRequire } from 'node:module'
import confluent from '@confluentinc/kafka-javascript'
import { afterWarmUp, inBatches, inFlight, main, oneByOne, readThrough, Watch } from '../clients/harness.mjs'
import { endToEnd, loopDelay } from '../clients/scenarios.mjs'

const { Kafka, logLevel } = confluent.KafkaJS
const { version } = createRequire(import.meta.url)('@confluentinc/kafka-javascript/package.json')

const kafkaOf = job => new Kafka({ kafkaJS: { brokers: job.brokers.split(','), logLevel: logLevel.ERROR } })

async function producerOf(job, linger) {
  const producer = kafkaOf(job).producer({
    kafkaJS: { acks: job.acks === '0' ? 0 : -1, idempotent: job.acks !== '0', compression: job.codec },
    'linger.ms': linger,
    'batch.num.messages': 10_000,
    'batch.size': 1_000_000,
    'queue.buffering.max.messages': 100_000,
    'queue.buffering.max.kbytes': 1_048_576,
  })
  await producer.connect()
  return producer
}

async function produce(job) {
  const producer = await producerOf(job, 5)
  const send = async (from, to) => {
    const messages = []
    for (let i = from; i < to; i++) messages.push({ key: job.key(i), value: job.at(i) })
    await producer.send({ topic: job.topic, messages })
  }
  await inBatches(0, job.warmup, 16, send)
  const watch = new Watch()
  await inBatches(job.warmup, job.warmup + job.records, 16, send)
  return watch.end(job.records, { written: job.warmup + job.records })
}

const one = (producer, job) => i =>
  producer.send({ topic: job.topic, messages: [{ key: job.key(i), value: job.at(i) }] })

async function single(job) {
  const send = one(await producerOf(job, 0), job)
  await inFlight(0, job.warmup, job.window, send)
  const watch = new Watch()
  await inFlight(job.warmup, job.warmup + job.records, job.window, send)
  return watch.end(job.records, { written: job.warmup + job.records })
}

async function sequential(job) {
  const producer = await producerOf(job, 0)
  const { watch, latencies } = await oneByOne(job, one(producer, job))
  await producer.flush({ timeout: 60_000 })
  return watch.end(job.records, { written: job.warmup + job.records, latencies })
}

let groups = 0

/** Runs a consumer until `handle` says false; resolves with it then. */
async function running(job, options) {
  const consumer = kafkaOf(job).consumer({
    kafkaJS: { groupId: `${job.topic}-${process.pid}-${++groups}`, fromBeginning: true, autoCommit: false },
    'js.consumer.max.batch.size': -1,
  })
  await consumer.connect()
  await consumer.subscribe({ topic: job.topic })
  return new Promise((resolve, reject) => {
    consumer.run(options(() => resolve(consumer))).catch(reject)
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

const consume = (job, options) =>
  afterWarmUp(job, (records, watch) =>
    readThrough(records, watch, async handle => {
      const consumer = await running(job, options(handle))
      if (watch === undefined) await consumer.disconnect()
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
      const producer = await producerOf(job, 0)
      const send = value => producer.send({ topic: job.topic, messages: [{ value }] })
      return endToEnd(job, { send, read: handle => running(job, eachMessage(handle)) })
    },
    'event-loop': job => loopDelay(job, handle => running(job, eachMessage(handle))),
  },
})
