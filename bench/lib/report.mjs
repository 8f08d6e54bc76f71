// Results as lines of JSON and as a table of medians with ratios to librdkafka.

/** The client that all others are compared with. */
export const reference = 'librdkafka'

/** The line of one round: the same fields in the same order for every client and scenario. */
export function line(one, client, result) {
  return {
    client,
    version: result.version,
    scenario: one.name,
    records: result.records,
    recordBytes: one.bytes,
    codec: one.codec,
    recordsPerSecond: Math.round(result.records / result.seconds),
    cpuMicrosPerRecord: Number(((result.cpuSeconds * 1e6) / result.records).toFixed(4)),
    peakRssMb: Number((result.peakRssKb / 1024).toFixed(1)),
    threads: result.threads,
    p50Micros: result.p50 ?? null,
    p99Micros: result.p99 ?? null,
    // Two scenarios have more to tell than the fields that all have.
    ...(one.mode === 'end-to-end' ? { p999Micros: result.p999 } : {}),
    ...(one.mode === 'soak' ? { residentMbPerMinute: result.residentMbPerMinute } : {}),
  }
}

/** The middle one; of an even number the mean of the two in the middle. */
export function median(values) {
  const sorted = values.filter(value => value !== null && value !== undefined).sort((a, b) => a - b)
  if (sorted.length === 0) return null
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

const measures = [
  'recordsPerSecond',
  'cpuMicrosPerRecord',
  'peakRssMb',
  'threads',
  'p50Micros',
  'p99Micros',
  'p999Micros',
]

/** Per client the medians of its lines, and its ratios to librdkafka where that ran too. */
export function medians(lines) {
  const clients = [...new Set(lines.map(({ client }) => client))]
  const rows = clients.map(client => {
    const own = lines.filter(other => other.client === client)
    const middle = Object.fromEntries(measures.map(field => [field, median(own.map(other => other[field]))]))
    return { client, version: own[0].version, rounds: own.length, ...middle }
  })
  const to = rows.find(({ client }) => client === reference)
  return rows.map(row => ({
    ...row,
    rateRatio: to ? row.recordsPerSecond / to.recordsPerSecond : null,
    cpuRatio: to ? row.cpuMicrosPerRecord / to.cpuMicrosPerRecord : null,
  }))
}

const number = value => (value === null || value === undefined ? '–' : Math.round(value).toLocaleString('en-US'))
const ratio = value => (value === null ? '–' : `${value.toFixed(2)} ×`)
const fixed = (value, digits) => (value === null || value === undefined ? '–' : value.toFixed(digits))

/** The table of one case. `notes`: `[client, text]` of those that did not run. */
export function table(one, lines, notes) {
  const rows = medians(lines)
  const latency = rows.some(({ p50Micros }) => p50Micros !== null)
  const tail = rows.some(({ p999Micros }) => p999Micros !== null)
  const head = ['client', 'records/s', 'to librdkafka', 'CPU µs/record', 'to librdkafka', 'peak RSS MB', 'threads']
  if (latency) head.push('p50 µs', 'p99 µs')
  if (tail) head.push('p99.9 µs')
  const cells = rows.map(row => [
    `${row.client} ${row.version}`,
    number(row.recordsPerSecond),
    ratio(row.rateRatio),
    fixed(row.cpuMicrosPerRecord, 3),
    ratio(row.cpuRatio),
    fixed(row.peakRssMb, 0),
    number(row.threads),
    ...(latency ? [fixed(row.p50Micros, 0), fixed(row.p99Micros, 0)] : []),
    ...(tail ? [fixed(row.p999Micros, 0)] : []),
  ])
  const rounds = Math.max(0, ...rows.map(row => row.rounds))
  const title = `${one.name}: ${one.title} (${one.bytes} bytes, ${one.codec}, median of ${rounds})`
  return [
    title,
    ...columns([head, ...cells]),
    ...lines.flatMap(soaked),
    ...notes.map(([client, text]) => `  ${client}: ${text}`),
  ].join('\n')
}

/** What a soak is about: whether memory grew from the third minute (the first two warm up) to the last. */
function soaked({ client, residentMbPerMinute: minutes }) {
  if (!minutes) return []
  const grown = minutes.length > 3 ? `; last minute ${ratio(minutes.at(-1) / minutes[2])} the third` : ''
  return [`  ${client}: ${minutes.join(', ')} MB in each minute${grown}`]
}

function columns(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)))
  const cell = (text, column) => (column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column]))
  return rows.map(row => `  ${row.map(cell).join('  ')}`.trimEnd())
}
