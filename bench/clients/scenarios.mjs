// The scenarios with both ends in one process, for every client in JavaScript: the client gives `send` and `read`, the
// load, the clock and the counting are here.

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Latencies, touched, Watch } from './harness.mjs'

/** A record's own copy of the data with the time of its sending in the first 8 bytes. */
function stamped(job, i) {
  const value = Buffer.from(job.at(i))
  value.writeDoubleLE(performance.now(), 0)
  return value
}

/**
 * An open loop: every millisecond as many records as are due by then are sent, whether or not earlier ones have arrived.
 * The time of a record is from the call of `send` to its handler. `read(handle)` calls `handle(value)` for each record
 * until that returns false.
 */
export async function endToEnd(job, { send, read }) {
  const total = job.rate * job.seconds
  const latencies = new Latencies(total)
  let got = 0
  let failed
  const arrived = read(value => {
    if (got++ >= job.warmup) latencies.add((performance.now() - value.readDoubleLE(0)) * 1e3)
    return got < job.warmup + total
  })
  const sends = []
  let watch
  let sent = 0
  const start = performance.now()
  while (sent < job.warmup + total) {
    const due = Math.min(job.warmup + total, Math.floor(((performance.now() - start) * job.rate) / 1e3))
    for (; sent < due; sent++) {
      if (sent === job.warmup) watch = new Watch()
      const promise = send(stamped(job, sent))
      promise?.catch(error => {
        failed ??= error
      })
      sends.push(promise)
    }
    if (failed) throw failed
    if (sends.length > 50_000) await Promise.all(sends.splice(0))
    await sleep(1)
  }
  await Promise.all(sends)
  await arrived
  return watch.end(total, { written: job.warmup + total, latencies })
}

/**
 * Many producers and as many consumers: `open(partition)` makes one of each on a connection of their own;
 * `send(values)` resolves when they are written. Batches of 100, one under way per producer.
 */
export async function fan(job, open) {
  const each = Math.floor(job.records / job.clients)
  const pairs = await Promise.all(Array.from({ length: job.clients }, (_, partition) => open(partition)))
  const watch = new Watch()
  const readers = pairs.map(({ read }) => {
    let got = 0
    return read(value => {
      touched.bytes += value.length
      return ++got < each
    })
  })
  const writers = pairs.map(async ({ send }, partition) => {
    for (let from = 0; from < each; from += 100) {
      await send(Array.from({ length: Math.min(100, each - from) }, (_, k) => job.at(partition * each + from + k)))
    }
  })
  await Promise.all([...writers, ...readers])
  return watch.end(each * job.clients, { written: each * job.clients })
}

/**
 * The delay of the event loop while `read` runs at full speed, in microseconds: percentiles less the p99 of an idle loop,
 * measured first. What is read in the warm-up does not count.
 */
export async function loopDelay(job, read) {
  const monitor = monitorEventLoopDelay({ resolution: 1 })
  monitor.enable()
  await sleep(2_000)
  monitor.disable()
  const idle = monitor.percentile(99)
  monitor.reset()
  let got = 0
  let watch
  let result
  await read(value => {
    if (got === job.warmup) {
      monitor.enable()
      watch = new Watch()
    }
    touched.bytes += value.length
    if (++got < job.warmup + job.records) return true
    if (got > job.warmup + job.records) return false
    monitor.disable()
    const over = percentile => Math.max(0, Math.round((monitor.percentile(percentile) - idle) / 1e3))
    result = { ...watch.end(job.records), p50: over(50), p99: over(99), p999: over(99.9) }
    return false
  })
  return result
}
