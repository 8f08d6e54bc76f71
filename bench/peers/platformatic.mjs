// @platformatic/kafka, at its best settings here:
// - one send of 1,000 under way: three to fifty took 15 to 40 % more CPU, more memory, and were no faster; and idempotence
//   works so (sends under way together fail with OUT_OF_ORDER_SEQUENCE_NUMBER, so elsewhere it is off)
// - it has no batching of its own in send()
// - values are Buffers both ways (its default without serializers); fetches as large as its default of 50 MB
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Consumer, Producer } from '@platformatic/kafka'
import { afterWarmUp, inBatches, inFlight, main, oneByOne, touched, Watch } from '../clients/harness.mjs'
import { endToEnd, fan, loopDelay } from '../clients/scenarios.mjs'

const entry = fileURLToPath(import.meta.resolve('@platformatic/kafka'))
const { version } = JSON.parse(readFileSync(new URL('../package.json', `file://${entry}`), 'utf8'))

const base = job => ({ clientId: 'bench', bootstrapBrokers: job.brokers.split(',') })

const producerOf = (job, more) =>
  new Producer({
    ...base(job),
    ...more,
    acks: job.acks === '0' ? 0 : -1,
    compression: job.codec,
    autocreateTopics: false,
  })

async function produce(job) {
  const producer = producerOf(job, { idempotent: true })
  const { topic } = job
  const send = async (from, to) => {
    const messages = []
    for (let i = from; i < to; i++) messages.push({ topic, key: job.key(i) ?? undefined, value: job.at(i) })
    await producer.send({ messages })
  }
  await inBatches(0, job.warmup, 1, send)
  const watch = new Watch()
  await inBatches(job.warmup, job.warmup + job.records, 1, send)
  return watch.end(job.records, { written: job.warmup + job.records })
}

const one = (producer, job) => i =>
  producer.send({ messages: [{ topic: job.topic, key: job.key(i) ?? undefined, value: job.at(i) }] })

async function single(job) {
  const send = one(producerOf(job), job)
  await inFlight(0, job.warmup, job.window, send)
  const watch = new Watch()
  await inFlight(job.warmup, job.warmup + job.records, job.window, send)
  return watch.end(job.records, { written: job.warmup + job.records })
}

async function sequential(job) {
  const { watch, latencies } = await oneByOne(job, one(producerOf(job), job))
  return watch.end(job.records, { written: job.warmup + job.records, latencies })
}

let groups = 0

const streamOf = job => {
  const consumer = new Consumer({ ...base(job), groupId: `${job.topic}-${process.pid}-${++groups}` })
  return consumer.consume({ topics: [job.topic], mode: 'earliest', autocommit: false, maxWaitTime: 500 })
}

async function consume(job) {
  const pass = async (records, watch) => {
    const stream = await streamOf(job)
    let got = 0
    for await (const message of stream) {
      if (got === 0) watch?.arrived()
      touched.bytes += message.value.length
      if (++got === records) break
    }
    return watch?.end(got)
  }
  return afterWarmUp(job, pass)
}

const reading = (stream, handle) =>
  (async () => {
    for await (const message of stream) if (handle(message.value) === false) break
  })()

await main({
  version,
  modes: {
    produce,
    single,
    sequential,
    consume,
    'end-to-end': async job => {
      const producer = producerOf(job)
      const stream = await streamOf(job)
      return endToEnd(job, {
        send: value => producer.send({ messages: [{ topic: job.topic, value }] }),
        read: handle => reading(stream, handle),
      })
    },
    fan: job =>
      fan(job, async partition => {
        const producer = producerOf(job)
        const groupId = `${job.topic}-${partition}`
        const consumer = new Consumer({ ...base(job), groupId })
        const offsets = [{ topic: job.topic, partition, offset: 0n }]
        const stream = await consumer.consume({ topics: [job.topic], mode: 'manual', offsets, autocommit: false })
        return {
          send: messages =>
            producer.send({ messages: messages.map(value => ({ topic: job.topic, partition, value })) }),
          read: handle => reading(stream, handle),
        }
      }),
    'event-loop': job => loopDelay(job, handle => streamOf(job).then(stream => reading(stream, handle))),
  },
})
