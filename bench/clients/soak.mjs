// Produces and consumes at once, as fast as both go, for some minutes, and notes the resident memory of every minute.

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { touched, Watch } from './harness.mjs'

const residentMb = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024

/**
 * Runs for `job.seconds`. What counts per minute is the mean of many looks, not the moment. The producer stays at most a
 * million records ahead, so that the broker may forget what is old.
 */
export async function soak(job, { producer, read }) {
  const end = performance.now() + job.seconds * 1e3
  const state = { sent: 0, got: 0, sending: true, watch: new Watch() }
  const reader = read(value => {
    touched.bytes += value.length
    state.got++
    return state.sending || state.got < state.sent
  })
  const writer = write(job, producer, state, end)
  const residentMbPerMinute = await observe(job.seconds, end)
  await writer
  await reader
  const { records, ...result } = state.watch.end(state.got, { written: state.sent })
  await producer.close()
  return { ...result, records, residentMbPerMinute }
}

async function write(job, producer, state, end) {
  while (performance.now() < end) {
    for (let k = 0; k < 1_000; k++) {
      const message = { topic: job.topic, key: job.key(state.sent), value: job.at(state.sent) }
      while (!producer.tryEnqueue(message)) await producer.ready()
      state.sent++
    }
    while (state.sent - state.got > 1_000_000 && performance.now() < end) await sleep(1)
  }
  // The last records are sent by themselves, so that the reader has some to end with after `sending` is false.
  await producer.flush()
  state.sending = false
  await producer.sendBatch({ topic: job.topic, messages: [{ value: job.at(0) }] })
  state.sent++
}

/** The mean resident memory of each minute; of the whole time when that is shorter. */
async function observe(seconds, end) {
  const minutes = Math.max(1, Math.round(seconds / 60))
  const length = (seconds * 1e3) / minutes
  const means = []
  for (let minute = 1; minute <= minutes; minute++) {
    const until = end - (minutes - minute) * length
    const looks = []
    do {
      looks.push(residentMb())
      await sleep(Math.min(1_000, Math.max(1, until - performance.now())))
    } while (performance.now() < until)
    means.push(Number((looks.reduce((sum, mb) => sum + mb, 0) / looks.length).toFixed(1)))
  }
  return means
}
