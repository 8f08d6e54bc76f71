// The records that every client sends: JSON-like text that lz4 brings to about 0.48 of its size, the same bytes for all.
// Made once per size from a fixed seed and kept in the cache folder; a record is a slice of the file.

import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cache } from '../../scripts/lib/paths.mjs'

/** How many different records there are of each size (4 to 8 MiB in all); those of 3 bytes are numbers. */
export const sizes = { 3: 900, 100: 40_000, 1024: 8_000, 10240: 800 }

/** Changes when the text changes, so that an old file is not taken for a new one. */
const version = 1

/** The path of the file with the records of this size, one after the other without separators. */
export function dataFile(bytes) {
  const count = sizes[bytes]
  if (!count) throw new Error(`--bytes ${bytes}: one of ${Object.keys(sizes).join(', ')}`)
  const path = join(cache, 'bench', `records-${bytes}-v${version}.dat`)
  if (existsSync(path)) return path
  mkdirSync(join(cache, 'bench'), { recursive: true })
  writeFileSync(`${path}.${process.pid}`, records(bytes, count))
  renameSync(`${path}.${process.pid}`, path)
  return path
}

/** `count` records of exactly `bytes` bytes. */
export function records(bytes, count) {
  const random = generator(0x0d0b1e + bytes)
  const all = Buffer.alloc(bytes * count)
  for (let i = 0; i < count; i++) all.write(record(random, bytes, i), i * bytes, 'latin1')
  return all
}

const record = (random, bytes, i) =>
  bytes === 3 ? String(100 + i) : bytes === 100 ? event(random, bytes) : order(random, bytes)

const kinds = ['view', 'click', 'search', 'purchase', 'return', 'login']
const cities = ['Hamburg', 'Aachen', 'Lisbon', 'Nairobi', 'Osaka', 'Quito', 'Tallinn', 'Utrecht', 'Wien', 'Zagreb']

/** One event: an id without pattern, numbers, words that come again. */
function event(random, bytes) {
  const { hex, number, of } = random
  const head = `{"id":"${hex(16)}","user":${number(900_000) + 100_000},"kind":"${of(kinds)}","city":"${of(cities)}"`
  return fit(head, `,"ms":${number(90_000) + 10_000}`, hex, bytes)
}

/** An order of many lines, until the record is full. */
function order(random, bytes) {
  const { hex, number, of } = random
  let text = `{"order":"${hex(16)}","city":"${of(cities)}","lines":[`
  for (;;) {
    const line = `{"sku":"${hex(28)}","count":${number(9) + 1},"cents":${number(90_000) + 1_000},"kind":"${of(kinds)}","note":null},`
    if (text.length + line.length > bytes - 40) break
    text += line
  }
  return fit(text.replace(/,$/, ']'), `,"ms":${number(90_000) + 10_000}`, hex, bytes)
}

/** Closes the object with a last field that fills it up to the size. */
function fit(head, tail, hex, bytes) {
  const room = bytes - head.length - tail.length - ',"pad":""}'.length
  if (room < 0) return fit(head, '', hex, bytes)
  return `${head}${tail},"pad":"${hex(Math.min(room, 8)).padEnd(room, '-')}"}`
}

/** Numbers that look random and are the same everywhere (mulberry32). */
function generator(seed) {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (t ^ (t >>> 14)) >>> 0
  }
  const number = below => next() % below
  const hex = length => {
    let text = ''
    while (text.length < length) text += next().toString(16).padStart(8, '0')
    return text.slice(0, length)
  }
  return { number, hex, of: list => list[number(list.length)] }
}
