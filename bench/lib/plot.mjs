// Medians as a bar chart (SVG, no library): per scenario one row per client, the rate to the left, CPU per record to the right.

import { medians } from './report.mjs'

const width = 1020
const left = 310
const right = 670
const barWidth = 250
const rowHeight = 22
const groupHead = 46

const rate = {
  x: left,
  field: 'recordsPerSecond',
  ratio: 'rateRatio',
  title: 'records/s (longer is better)',
  text: thousands,
}
const cpu = {
  x: right,
  field: 'cpuMicrosPerRecord',
  ratio: 'cpuRatio',
  title: 'CPU µs per record (shorter is better)',
  text: value => value.toFixed(2),
}
const middle = { x: left, field: 'p50Micros', title: 'p50 µs (shorter is better)', text: thousands }
const tail = { x: right, field: 'p99Micros', title: 'p99 µs (shorter is better)', text: thousands }

/** The chart of all groups of lines: those of one scenario, size and codec belong together. */
export function chart(lines) {
  const parts = []
  let y = 16
  for (const [title, group] of grouped(lines)) {
    const rows = medians(group)
    const columns = rows.some(({ p99Micros }) => p99Micros !== null) ? [middle, tail] : [rate, cpu]
    parts.push(head(title, columns, y))
    for (const column of columns) parts.push(...bars(rows, column, y + groupHead))
    rows.forEach((row, i) => {
      const name = `${row.client} ${row.version}`
      parts.push(
        label(left - 10, y + groupHead + i * rowHeight, name, 'end', row.client.startsWith('dohle') ? ' b' : ''),
      )
    })
    y += groupHead + rows.length * rowHeight + 18
  }
  return `${document(y)}${parts.join('\n')}\n</svg>\n`
}

/** Lines by scenario, size and codec, in the order in which they came. */
export function grouped(lines) {
  const groups = new Map()
  for (const line of lines) {
    const title = `${line.scenario}, ${line.recordBytes} bytes, ${line.codec}`
    groups.set(title, [...(groups.get(title) ?? []), line])
  }
  return groups
}

const style = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .t { font-weight: 600; font-size: 15px } .s { fill: #656d76; font-size: 12px } .b { font-weight: 600 }
  .bar { fill: #afb8c1 } .ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .s { fill: #8d96a0 } .bar { fill: #484f58 } .ours { fill: #4493f8 }
  }`

const document = height =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="Dohle beside other Kafka clients">
<style>${style}
</style>
`

const head = (title, columns, y) =>
  [
    `<text class="t" x="10" y="${y + 14}">${escaped(title)}</text>`,
    ...columns.map(({ x, title }) => `<text class="s" x="${x}" y="${y + 36}">${escaped(title)}</text>`),
  ].join('\n')

function bars(rows, { x, field, ratio, text }, y) {
  const largest = Math.max(1e-9, ...rows.map(row => row[field] ?? 0))
  return rows.flatMap((row, i) => {
    const length = Math.max(1, Math.round((row[field] / largest) * (barWidth - 20)))
    const kind = row.client.startsWith('dohle') ? 'ours' : 'bar'
    const to = (row[ratio] ?? null) === null ? '' : ` (${row[ratio].toFixed(2)} ×)`
    return [
      `<rect class="${kind}" x="${x}" y="${y + i * rowHeight}" width="${length}" height="${rowHeight - 6}" rx="2"/>`,
      label(x + length + 6, y + i * rowHeight, `${text(row[field])}${to}`, 'start', ' s'),
    ]
  })
}

const label = (x, y, text, anchor, more = '') =>
  `<text class="l${more}" x="${x}" y="${y + 13}" text-anchor="${anchor}">${escaped(text)}</text>`

const escaped = text => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

function thousands(value) {
  return value >= 1e6
    ? `${(value / 1e6).toFixed(2)} M`
    : value >= 1e4
      ? `${Math.round(value / 1e3)} k`
      : `${Math.round(value)}`
}
