/**
 * The demonstration behind `npm start`: its set-up, its figures and its exit code. `run.ts` has the Kafka part.
 */
import { Broker } from '../broker.ts'
import { Latency } from './latency.ts'
import { Lines } from './lines.ts'
import { counted, type Figures, next, Progress, table } from './report.ts'
import { type Counts, pass, recordsInFlight } from './run.ts'
import { Orders } from './workload.ts'

/** What `npm start` was asked for (checked by scripts/lib/arguments.mjs). */
export interface DemoOptions {
  records: number
  codec: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  file?: string
  brokers?: string
  json: boolean
}

/** Runs the demonstration and returns the exit code: 0 only when everything came back as it was sent. */
export async function demonstrate(options: DemoOptions): Promise<number> {
  const counts: Counts = { produced: 0, consumed: 0, bytes: 0, latency: new Latency(), elapsedMs: 0 }
  const interrupted = onInterrupt()
  outliveReaders()
  const cpuBefore = process.cpuUsage()
  let brokers = options.brokers ?? ''
  let records = options.file === undefined ? options.records : 0
  let proof = ''
  let failure: unknown
  let begun = false
  let broker: Broker | undefined
  try {
    const workload = options.file === undefined ? new Orders(options.records) : await Lines.open(options.file)
    records = workload.records
    proof = workload.proof
    if (options.brokers === undefined) {
      broker = await Broker.start({ port: 0 })
      brokers = broker.address
    }
    if (!options.json) console.log(heading(options, brokers, records))
    begun = true
    await pass(brokers, workload, options.codec, counts, new Progress(), interrupted.signal)
  } catch (error) {
    failure = error
  } finally {
    await broker?.close()
  }
  const cpu = process.cpuUsage(cpuBefore)
  const figures: Figures = {
    brokers,
    records,
    bytes: counts.bytes,
    produced: counts.produced,
    consumed: counts.consumed,
    verified: failure === undefined,
    recordsPerSecond: counts.elapsedMs > 0 ? Math.round((counts.consumed / counts.elapsedMs) * 1_000) : 0,
    p50Micros: counts.latency.percentile(0.5),
    p99Micros: counts.latency.percentile(0.99),
    cpuMicrosPerRecord: counts.consumed > 0 ? Number(((cpu.user + cpu.system) / counts.consumed).toFixed(3)) : 0,
    peakRssMb: Math.round(process.resourceUsage().maxRSS / 1_024),
  }
  const facts = {
    proof,
    inFlight: Math.min(records, recordsInFlight),
    embedded: options.brokers === undefined,
    file: options.file !== undefined,
  }
  if (failure !== undefined) {
    // Before the first record there is nothing that could have been verified.
    const what = interrupted.signal.aborted ? 'interrupted' : `${begun ? 'not verified: ' : ''}${readable(failure)}`
    console.error(`npm start: ${what}`)
  } else if (!options.json) {
    console.log(`\n${table(figures, facts)}\n\n${next(facts)}`)
  }
  if (options.json) console.log(JSON.stringify(figures))
  interrupted.forget()
  return interrupted.code() ?? (figures.verified ? 0 : 1)
}

function heading({ codec, file, brokers: cluster }: DemoOptions, brokers: string, records: number): string {
  const what = file === undefined ? counted(records, 'JSON record') : `${counted(records, 'line')} of ${file}`
  const where = cluster === undefined ? `an embedded broker at ${brokers}` : brokers
  return `${what} through ${where}: TypeScript producer (${codec}, acks all, idempotent) and a consumer group`
}

/** Ctrl-C, or a request to end, ends the run in good order; a second one ends the process. */
function onInterrupt(): { signal: AbortSignal; code: () => number | undefined; forget: () => void } {
  const controller = new AbortController()
  let code: number | undefined
  const handler = (_: NodeJS.Signals, number: number) => {
    code ??= 128 + number
    if (controller.signal.aborted) process.exit(code)
    controller.abort(new Error('interrupted'))
  }
  process.on('SIGINT', handler)
  process.on('SIGTERM', handler)
  return {
    signal: controller.signal,
    code: () => code,
    forget: () => {
      process.off('SIGINT', handler)
      process.off('SIGTERM', handler)
    },
  }
}

/** Nobody reads what is said (`npm start | head -1`): the run goes on to its end, which deletes its topic, and to its exit code. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
}

/** An error for people: its message and what caused it; a stack only for what is a defect of ours. */
function readable(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof TypeError || error instanceof RangeError) return error.stack ?? error.message
  const code = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : ''
  return `${error.message}${code}`
}
