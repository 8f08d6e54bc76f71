/**
 * One pass of the demonstration: a producer and a consumer group on one topic, at the same time, until all is back.
 * Reads like a program of a user; everything it needs of Dohle is public.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { type Consumer, Kafka, type Producer } from '../index.ts'
import type { Latency } from './latency.ts'
import type { Progress } from './report.ts'
import type { Workload } from './workload.ts'

/** How many records one `sendBatch` takes, and how many of these calls wait for their answer at a time. */
const batchSize = 500
const batchesInFlight = 16

/** The records that may be on their way at a time. */
export const recordsInFlight = batchSize * batchesInFlight

/** How long the producing loop may keep the event loop. */
const sliceMs = 4

/** How long nothing may come back before the run is given up, once everything has been acknowledged. */
const patienceMs = 60_000

/** What a pass counted. */
export interface Counts {
  produced: number
  consumed: number
  bytes: number
  latency: Latency
  /** From the first record handed over to the last one read back. */
  elapsedMs: number
}

/** Sends the workload, reads it back, has every record checked. Throws what fails first; `counts` tell how far it came. */
export async function pass(
  brokers: string,
  workload: Workload,
  codec: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd',
  counts: Counts,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const kafka = new Kafka({ brokers, clientId: 'dohle-demo', defaultApiTimeoutMs: 15_000 })
  const name = `dohle-demo-${Date.now().toString(36)}-${Math.floor(Math.random() * 0x1000000).toString(36)}`
  const failed = new AbortController()
  const stop = AbortSignal.any([signal, failed.signal])
  const admin = kafka.admin()
  const clients: (Producer | Consumer)[] = []
  let made = false
  try {
    await admin.createTopics([{ topic: name, partitions: workload.partitions }], { signal: stop })
    made = true
    const producer = kafka.producer({ compression: codec, allowAutoCreateTopics: false })
    const consumer = kafka.consumer({ groupId: name, autoOffsetReset: 'earliest' })
    clients.push(producer, consumer)
    await consumer.subscribe(name, { signal: stop })
    const begun = performance.now()
    const both = [produce(producer, name, workload, counts, stop), consume(consumer, workload, counts, progress, stop)]
    for (const one of both) one.catch(error => failed.abort(error))
    const results = await Promise.allSettled(both)
    counts.elapsedMs = performance.now() - begun
    if (failed.signal.aborted && !signal.aborted) throw failed.signal.reason
    for (const result of results) if (result.status === 'rejected') throw result.reason
    workload.finish()
  } finally {
    progress.clear()
    // Before the topic goes: whoever still asks for it would have it made again by a broker that makes topics.
    await Promise.allSettled(clients.map(client => client.close({ timeout: 5_000 })))
    // After Ctrl-C it may have been made although no answer came; but nobody waits long for a cluster that does not answer.
    const patience = AbortSignal.timeout(made ? 15_000 : 2_000)
    if (made || signal.aborted) await admin.deleteTopics([name], { signal: patience }).catch(() => {})
    await kafka.close()
  }
}

async function produce(producer: Producer, topic: string, workload: Workload, counts: Counts, signal: AbortSignal) {
  const inFlight = new Set<Promise<void>>()
  let turned = performance.now()
  for await (const messages of workload.batches(batchSize)) {
    signal.throwIfAborted()
    // Making up records is work too: without this the consumer, on the same thread, would hardly get a turn.
    if (performance.now() - turned > sliceMs) {
      await turn()
      turned = performance.now()
    }
    const handedOver = performance.now()
    const sent = producer.sendBatch({ topic, messages }).then(() => {
      counts.latency.add((performance.now() - handedOver) * 1_000, messages.length)
      counts.produced += messages.length
      inFlight.delete(sent)
    })
    sent.catch(() => {}) // the race or the wait at the end reports it; nobody may be waiting when the run is given up
    inFlight.add(sent)
    if (inFlight.size >= batchesInFlight) await Promise.race(inFlight)
  }
  await Promise.all(inFlight)
}

async function consume(
  consumer: Consumer,
  workload: Workload,
  counts: Counts,
  progress: Progress,
  signal: AbortSignal,
) {
  if (workload.records === 0) return
  const silence = new AbortController()
  let heard = performance.now()
  const watch = setInterval(() => {
    progress.show(counts.produced, counts.consumed, workload.records)
    if (counts.produced < workload.records) heard = performance.now()
    if (performance.now() - heard < patienceMs) return
    const missing = workload.records - counts.consumed
    silence.abort(new Error(`${missing} records did not come back: nothing arrived for ${patienceMs / 1_000} s`))
  }, 100)
  try {
    for await (const batch of consumer.batches({ signal: AbortSignal.any([signal, silence.signal]) })) {
      for (const message of batch) {
        workload.check(message)
        counts.consumed++
        counts.bytes += (message.key?.length ?? 0) + (message.value?.length ?? 0)
      }
      heard = performance.now()
      if (counts.consumed >= workload.records) return
    }
  } finally {
    clearInterval(watch)
  }
}
