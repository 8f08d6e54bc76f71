// @confluentinc/kafka-javascript through its callbacks (the node-rdkafka-like API), at its best settings here:
// - idempotent, linger.ms 5, batches of 1 MB, a local queue of 100,000 records, delivery reports polled in the background
// - reads with consume(1000): many records per crossing, as its documentation advises for speed

import { createRequire } from 'node:module'
import confluent from '@confluentinc/kafka-javascript'
import { afterWarmUp, main, oneByOne, touched, Watch } from '../clients/harness.mjs'

const { version } = createRequire(import.meta.url)('@confluentinc/kafka-javascript/package.json')
const queueFull = confluent.CODES.ERRORS.ERR__QUEUE_FULL

/** A connected producer whose delivery reports are counted; `settled(n)` resolves when `n` records are. */
async function producerOf(job, linger) {
  const producer = new confluent.Producer({
    'metadata.broker.list': job.brokers,
    acks: job.acks === '0' ? 0 : -1,
    'enable.idempotence': job.acks !== '0',
    'compression.codec': job.codec,
    'linger.ms': linger,
    'batch.num.messages': 10_000,
    'batch.size': 1_000_000,
    'queue.buffering.max.messages': 100_000,
    'queue.buffering.max.kbytes': 1_048_576,
    dr_cb: true,
  })
  const state = { producer, reported: 0, failed: 0, waiting: undefined }
  producer.on('delivery-report', error => {
    state.reported++
    if (error && state.failed++ === 0) console.error(error)
    if (state.waiting && state.reported >= state.waiting.until) {
      const { done } = state.waiting
      state.waiting = undefined
      done()
    }
  })
  await new Promise((resolve, reject) => {
    producer.on('ready', resolve)
    producer.on('event.error', reject)
    producer.connect({}, error => error && reject(error))
  })
  producer.setPollInBackground(true)
  const settled = until =>
    state.reported >= until ? undefined : new Promise(done => (state.waiting = { until, done }))
  return { state, producer, settled }
}

/** Gives one record to the queue; false when it is full. */
function offer(producer, job, i) {
  try {
    producer.produce(job.topic, null, job.at(i), job.key(i))
    return true
  } catch (error) {
    if (error.code !== queueFull) throw error
    return false
  }
}

async function enqueue(job) {
  const { state, producer, settled } = await producerOf(job, job.window > 0 ? 0 : 5)
  const send = async (from, to) => {
    for (let i = from; i < to; i++) {
      if (job.window > 0 && i - state.reported >= job.window) await settled(i - job.window + 1)
      while (!offer(producer, job, i)) await settled(state.reported + 1)
      // Delivery reports are handed over in the event loop.
      if (job.window === 0 && i % 10_000 === 9_999) await new Promise(setImmediate)
    }
    await settled(to)
  }
  await send(0, job.warmup)
  const watch = new Watch()
  await send(job.warmup, job.warmup + job.records)
  return watch.end(job.records, { written: state.reported - state.failed })
}

async function sequential(job) {
  const { state, producer, settled } = await producerOf(job, 0)
  const { watch, latencies } = await oneByOne(job, async i => {
    offer(producer, job, i)
    await settled(i + 1)
  })
  return watch.end(job.records, { written: state.reported - state.failed, latencies })
}

async function consumerOf(job) {
  const consumer = new confluent.KafkaConsumer(
    { 'metadata.broker.list': job.brokers, 'group.id': 'bench', 'enable.auto.commit': false },
    { 'auto.offset.reset': 'earliest' },
  )
  await new Promise((resolve, reject) => {
    consumer.on('ready', resolve)
    consumer.on('event.error', reject)
    consumer.connect({}, error => error && reject(error))
  })
  const partitions = Array.from({ length: job.partitions }, (_, partition) => ({
    topic: job.topic,
    partition,
    offset: 0,
  }))
  consumer.assign(partitions)
  consumer.setDefaultConsumeTimeout(100)
  return consumer
}

async function consume(job) {
  const pass = async (records, watch) => {
    const consumer = await consumerOf(job)
    const next = () =>
      new Promise((resolve, reject) => {
        consumer.consume(1_000, (error, messages) => (error ? reject(error) : resolve(messages)))
      })
    let got = 0
    while (got < records) {
      const messages = await next()
      if (got === 0 && messages.length > 0) watch?.arrived()
      for (const message of messages) touched.bytes += message.value.length
      got += messages.length
    }
    const result = watch?.end(records)
    if (watch === undefined) await new Promise(resolve => consumer.disconnect(resolve))
    return result
  }
  return afterWarmUp(job, pass)
}

await main({
  version,
  modes: { produce: enqueue, enqueue, single: enqueue, sequential, consume, 'consume-batches': consume },
})
