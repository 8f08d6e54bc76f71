/** What the demonstration says: a progress line on a terminal, a short table at the end, or one JSON object. */

/** The figures of a run; with `--json` exactly these fields are printed. */
export interface Figures {
  brokers: string
  records: number
  bytes: number
  produced: number
  consumed: number
  verified: boolean
  recordsPerSecond: number
  p50Micros: number
  p99Micros: number
  cpuMicrosPerRecord: number
  peakRssMb: number
}

/** Rewrites one line of a terminal a few times a second; silent in a pipe. */
export class Progress {
  readonly #shown = Boolean(process.stdout.isTTY && process.stderr.isTTY)
  #next = 0

  show(produced: number, consumed: number, records: number): void {
    if (!this.#shown || performance.now() < this.#next) return
    this.#next = performance.now() + 100
    const percent = records === 0 ? 100 : Math.floor((consumed / records) * 100)
    process.stderr.write(`\r\x1b[K  produced ${grouped(produced)}   consumed ${grouped(consumed)}   ${percent} %`)
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\x1b[K')
  }
}

/** The table at the end of a run. */
export function table(
  figures: Figures,
  facts: { proof: string; inFlight: number; embedded: boolean; file: boolean },
): string {
  const { records, bytes, recordsPerSecond } = figures
  const seconds = recordsPerSecond > 0 ? records / recordsPerSecond : 0
  const who = facts.embedded ? 'producer, consumer and broker together' : 'producer and consumer together'
  const rows = [
    [facts.file ? 'lines' : 'records', `${grouped(records)} sent, ${grouped(figures.consumed)} read back`],
    ['verified', figures.verified ? `yes: ${facts.proof}` : 'NO'],
    [
      'throughput',
      `${grouped(recordsPerSecond)} records/s   ${seconds > 0 ? (bytes / 1e6 / seconds).toFixed(1) : '0.0'} MB/s`,
    ],
    [
      'produce latency',
      `p50 ${duration(figures.p50Micros)}   p99 ${duration(figures.p99Micros)}   (${counted(facts.inFlight, 'record')} in flight)`,
    ],
    ['CPU', `${figures.cpuMicrosPerRecord.toFixed(2)} µs/record   (${who})`],
    ['peak memory', `${grouped(figures.peakRssMb)} MB`],
  ]
  return rows.map(([name = '', text = '']) => `  ${name.padEnd(17)}${text}`).join('\n')
}

/** What a newcomer may want to try after this. */
export function next(facts: { embedded: boolean; file: boolean }): string {
  const lines = [
    facts.file ? '' : 'npm start -- --file README.md            the lines of a file, compared byte by byte',
    facts.embedded ? 'npm start -- --brokers localhost:9092    the same against your own cluster' : '',
    'npm start -- --codec zstd                another compression',
    'npm test                                 all tests, with a real Apache Kafka',
  ]
  return `Try next:\n${lines
    .filter(Boolean)
    .map(line => `  ${line}`)
    .join('\n')}`
}

/** 1234567 as 1,234,567. */
export function grouped(number: number): string {
  return Math.round(number).toLocaleString('en')
}

/** 1 line, 2 lines. */
export function counted(number: number, what: string): string {
  return `${grouped(number)} ${what}${number === 1 ? '' : 's'}`
}

function duration(micros: number): string {
  if (micros < 1_000) return `${micros} µs`
  if (micros < 1_000_000) return `${(micros / 1_000).toFixed(1)} ms`
  return `${(micros / 1_000_000).toFixed(1)} s`
}
