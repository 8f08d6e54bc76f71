// What every client written in JavaScript shares: the job (the same flags for all languages), the clock, the result as one
// line of JSON. A client gives an object of modes; the mode asked for runs once, in a process of its own.

import { readFileSync } from 'node:fs'

/** The job that the runner asks for. `at(i)` is the value of record i, `key(i)` its key or null. */
function readJob(args) {
  const given = {}
  for (let i = 0; i + 1 < args.length; i += 2) given[args[i].replace(/^--/, '')] = args[i + 1]
  const number = name => (given[name] === undefined ? 0 : Number(given[name]))
  const bytes = number('bytes') || 100
  const file = readFileSync(given.data)
  const values = []
  for (let at = 0; at < file.length; at += bytes) {
    const value = file.subarray(at, at + bytes)
    values.push(given.strings === '1' ? value.toString('latin1') : value)
  }
  const keyed = given.keyed === '1'
  const keys = keyed ? Array.from({ length: 10_000 }, (_, i) => Buffer.from(String(((i * 7919) % 10_000) + 1e7))) : []
  return {
    brokers: given.brokers,
    topic: given.topic,
    mode: given.mode,
    codec: given.codec ?? 'none',
    acks: given.acks ?? 'all',
    records: number('records'),
    warmup: number('warmup'),
    window: number('window'),
    rate: number('rate'),
    seconds: number('seconds'),
    partitions: number('partitions') || 6,
    clients: number('clients') || 1,
    bytes,
    at: i => values[i % values.length],
    key: keyed ? i => keys[i % keys.length] : () => null,
  }
}

/** The measured window: wall and CPU time (user and system) of this process from here to `end`. */
export class Watch {
  #cpu = process.cpuUsage()
  #wall = performance.now()

  /** Starts the wall clock again, not that of the CPU: the first record of a consumer has come. */
  arrived() {
    this.#wall = performance.now()
  }

  /** The result. `written`: records in the topic by this process; `latencies`: of single records, in microseconds. */
  end(records, { written = 0, latencies, ...more } = {}) {
    const seconds = (performance.now() - this.#wall) / 1e3
    const { user, system } = process.cpuUsage(this.#cpu)
    const status = readFileSync('/proc/self/status', 'utf8')
    const field = name => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)[1])
    const result = { records, written, seconds, cpuSeconds: (user + system) / 1e6, ...more }
    return { ...result, peakRssKb: field('VmHWM'), threads: field('Threads'), ...latencies?.percentiles() }
  }
}

/** Times of single records, in microseconds. */
export class Latencies {
  #micros
  #used = 0

  constructor(room) {
    this.#micros = new Float64Array(room)
  }

  add(micros) {
    this.#micros[this.#used++] = micros
  }

  percentiles() {
    if (this.#used === 0) return {}
    const sorted = this.#micros.subarray(0, this.#used).sort()
    const at = part => Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))].toFixed(1))
    return { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
  }
}

/** Looks at a record, as the least that a program does. The sum is kept, so that nothing may be left out. */
export const touched = { bytes: 0 }

/** Runs `send(from, to)` for batches of 1,000 from `from` to `to`, so many at a time; resolves when all have. */
export async function inBatches(from, to, atATime, send) {
  let next = from
  const lane = async () => {
    while (next < to) {
      const begin = next
      next = Math.min(to, begin + 1_000)
      await send(begin, next)
    }
  }
  await Promise.all(Array.from({ length: atATime }, lane))
}

/** Keeps `window` single sends under way, from record `from` to `to`; `send(i)` returns a promise. */
export function inFlight(from, to, window, send) {
  return new Promise((resolve, reject) => {
    let next = from
    let left = to - from
    const more = () => {
      if (--left === 0) resolve()
      else if (next < to) send(next++).then(more, reject)
    }
    if (left === 0) resolve()
    while (next < to && next < from + window) send(next++).then(more, reject)
  })
}

/** One awaited send after the other; the times of those after the warm-up. */
export async function oneByOne(job, send) {
  const latencies = new Latencies(job.records)
  for (let i = 0; i < job.warmup; i++) await send(i)
  const watch = new Watch()
  for (let i = job.warmup; i < job.warmup + job.records; i++) {
    const begun = performance.now()
    await send(i)
    latencies.add((performance.now() - begun) * 1e3)
  }
  return { watch, latencies }
}

/** Reads once to warm up, then once to be measured: `pass(records, watch)` reads so many, with a watch when they count. */
export async function afterWarmUp(job, pass) {
  if (job.warmup > 0) await pass(job.warmup)
  return pass(job.records, new Watch())
}

/** Touches `records` values: `read(handle)` calls `handle(value)` for each until that says false. Tells what `watch` saw. */
export async function readThrough(records, watch, read) {
  let got = 0
  let result
  await read(value => {
    if (got >= records) return false
    if (got === 0) watch?.arrived()
    touched.bytes += value.length
    if (++got < records) return true
    result = watch?.end(got)
    return false
  })
  return result
}

/** Reads job, runs the client's mode, prints the result as the last line. */
export async function main({ version, modes }) {
  const job = readJob(process.argv.slice(2))
  const mode = modes[job.mode]
  if (!mode) throw new Error(`no mode ${job.mode}`)
  const result = await mode(job)
  process.stdout.write(`${JSON.stringify({ version, ...result })}\n`, () => process.exit(0))
}
