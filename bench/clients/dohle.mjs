// Dohle from TypeScript, by the public API as README has it and with its defaults, which are idempotent with acks 'all'.
// The only options set: the codec, acks where the scenario says so.

import { readFileSync } from 'node:fs'
import { Kafka } from 'dohle'
import { afterWarmUp, inBatches, inFlight, main, oneByOne, touched, Watch } from './harness.mjs'
import { endToEnd, fan, loopDelay } from './scenarios.mjs'
import { soak } from './soak.mjs'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

function producerOf(job) {
  const kafka = new Kafka({ brokers: job.brokers })
  return kafka.producer({ compression: job.codec, acks: job.acks })
}

/** `sendBatch` of 1,000; sixteen under way: four cost a fifth more CPU, for their requests are smaller; more make no difference. */
async function produce(job) {
  const producer = producerOf(job)
  const send = async (from, to) => {
    const messages = []
    for (let i = from; i < to; i++) messages.push({ key: job.key(i), value: job.at(i) })
    await producer.sendBatch({ topic: job.topic, messages })
  }
  await inBatches(0, job.warmup, 16, send)
  const watch = new Watch()
  await inBatches(job.warmup, job.warmup + job.records, 16, send)
  const result = watch.end(job.records, { written: job.warmup + job.records })
  await producer.close()
  return result
}

async function enqueue(job) {
  const producer = producerOf(job)
  const { topic } = job
  const send = async (from, to) => {
    for (let i = from; i < to; i++) {
      const message = { topic, key: job.key(i), value: job.at(i) }
      while (!producer.tryEnqueue(message)) await producer.ready()
    }
    await producer.flush()
  }
  await send(0, job.warmup)
  const watch = new Watch()
  await send(job.warmup, job.warmup + job.records)
  const result = watch.end(job.records, { written: job.warmup + job.records })
  await producer.close()
  return result
}

async function single(job) {
  const producer = producerOf(job)
  const send = i => producer.send({ topic: job.topic, key: job.key(i), value: job.at(i) })
  await inFlight(0, job.warmup, job.window, send)
  const watch = new Watch()
  await inFlight(job.warmup, job.warmup + job.records, job.window, send)
  const result = watch.end(job.records, { written: job.warmup + job.records })
  await producer.close()
  return result
}

/** The last flush counts: with acks 0 a send is done when the engine has it. */
async function sequential(job) {
  const producer = producerOf(job)
  const { watch, latencies } = await oneByOne(job, i => producer.send({ topic: job.topic, value: job.at(i) }))
  await producer.flush()
  const result = watch.end(job.records, { written: job.warmup + job.records, latencies })
  await producer.close()
  return result
}

const partitionsOf = job =>
  Array.from({ length: job.partitions }, (_, partition) => ({ topic: job.topic, partition, offset: 'earliest' }))

async function readMessages(consumer, records, watch) {
  let got = 0
  for await (const message of consumer) {
    if (got === 0) watch?.arrived()
    touched.bytes += message.value.length
    if (++got === records) break
  }
  return got
}

async function readBatches(consumer, records, watch) {
  let got = 0
  for await (const batch of consumer.batches()) {
    if (got === 0) watch?.arrived()
    for (const message of batch) touched.bytes += message.value.length
    got += batch.length
    if (got >= records) break
  }
  return got
}

/** Reads the topic with one consumer for warming up and, whole, with the next. */
async function consume(job, read) {
  const pass = async (records, watch) => {
    const consumer = new Kafka({ brokers: job.brokers }).consumer()
    await consumer.assign(partitionsOf(job))
    const result = await read(consumer, records, watch)
    const ended = watch?.end(result)
    await consumer.close()
    return ended
  }
  return afterWarmUp(job, pass)
}

/** Hands values to `handle` until that says false. */
async function reading(consumer, handle) {
  for await (const message of consumer) if (handle(message.value) === false) break
}

async function openReader(job, partitions) {
  const consumer = new Kafka({ brokers: job.brokers }).consumer()
  await consumer.assign(partitions)
  return handle => reading(consumer, handle)
}

const both = async job => {
  const producer = producerOf(job)
  const send = value => producer.send({ topic: job.topic, value })
  return { send, read: await openReader(job, partitionsOf(job)) }
}

/** A client of its own for each producer and each consumer. */
async function pair(job, partition) {
  const producer = producerOf(job)
  const { topic } = job
  const send = values => producer.sendBatch({ topic, messages: values.map(value => ({ partition, value })) })
  return { send, read: await openReader(job, [partitionsOf(job)[partition]]) }
}

await main({
  version,
  modes: {
    produce,
    enqueue,
    single,
    sequential,
    consume: job => consume(job, readMessages),
    'consume-batches': job => consume(job, readBatches),
    'end-to-end': async job => endToEnd(job, await both(job)),
    fan: job => fan(job, partition => pair(job, partition)),
    'event-loop': async job => loopDelay(job, await openReader(job, partitionsOf(job))),
    soak: async job => soak(job, { producer: producerOf(job), read: await openReader(job, partitionsOf(job)) }),
  },
})
