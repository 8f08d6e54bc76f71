/**
 * Whether an answer is what a case expects. Members of an expected object must be there and be as expected, others may be; an array has
 * exactly the expected elements in their order. A {@link Matcher} decides by itself.
 */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Told } from './session.ts'
import { type ByteSpec, bytes, type TableRecord } from './table.ts'

/** Says why a value is not right; nothing when it is. */
export class Matcher {
  readonly name: string
  readonly wrong: (found: unknown) => string | undefined
  /** What is never right where this is to be right, if not being so passes on the way there. */
  readonly never: (() => Matcher) | undefined

  constructor(name: string, wrong: (found: unknown) => string | undefined, never?: () => Matcher) {
    this.name = name
    this.wrong = wrong
    this.never = never
  }

  toJSON(): string {
    return `<${this.name}>`
  }
}

/** Why `found` is not what is expected, with the path to it; nothing when it is. */
export function mismatch(found: unknown, expected: unknown, path = 'result'): string | undefined {
  if (expected instanceof Matcher) {
    const wrong = expected.wrong(found)
    return wrong && `${path}: ${wrong}`
  }
  const shown = () => `${path}: is ${short(found)}, not ${short(expected)}`
  if (typeof expected !== 'object' || expected === null) return (found ?? null) === expected ? undefined : shown()
  if (Array.isArray(expected)) {
    if (!Array.isArray(found)) return shown()
    if (found.length !== expected.length)
      return `${path}: has ${found.length} elements, not ${expected.length}: ${short(found)}`
    return first(expected.map((one, at) => () => mismatch(found[at], one, `${path}[${at}]`)))
  }
  if (typeof found !== 'object' || found === null) return shown()
  const members = found as Record<string, unknown>
  return first(
    Object.entries(expected).map(
      ([name, one]) =>
        () =>
          mismatch(members[name], one, `${path}.${name}`),
    ),
  )
}

const first = (checks: (() => string | undefined)[]): string | undefined => {
  for (const check of checks) {
    const wrong = check()
    if (wrong !== undefined) return wrong
  }
  return undefined
}

const short = (value: unknown): string => {
  const text = JSON.stringify(value) ?? 'absent'
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

const when = (name: string, right: (found: unknown) => boolean) =>
  new Matcher(name, found => (right(found) ? undefined : `${short(found)} is not ${name}`))

/** Anything but null. */
export const something = when('something', found => found !== null && found !== undefined)
/** A whole number within these bounds. */
export const between = (low: number, high: number) =>
  when(`a whole number from ${low} to ${high}`, found => Number.isInteger(found) && low <= +found! && +found! <= high)
/** One of these. */
export const oneOf = (...values: unknown[]) =>
  when(`one of ${JSON.stringify(values)}`, found => values.some(value => mismatch(found, value) === undefined))
/** A text in which this is found. */
export const saying = (pattern: RegExp) =>
  when(`a text with ${pattern}`, found => typeof found === 'string' && pattern.test(found))
/** A text in which this is not found. */
export const silentOn = (word: string) =>
  when(`without what is secret`, found => !(JSON.stringify(found) ?? '').includes(word))
/** Names of enums differ in their spelling only: `Stable`, `STABLE`. */
export const enumeral = (name: string) => {
  const plain = (text: unknown) => String(text).toLowerCase().replaceAll(/[_ ]/g, '')
  return when(name, found => plain(found) === plain(name))
}
/** At least these, in any order, among others. */
export const including = (...wanted: unknown[]) =>
  when(
    `with ${short(wanted)}`,
    found => Array.isArray(found) && wanted.every(one => found.some(other => mismatch(other, one) === undefined)),
  )
/** None of these. */
export const without = (...unwanted: unknown[]) =>
  when(
    `without ${short(unwanted)}`,
    found => Array.isArray(found) && !unwanted.some(one => found.some(other => mismatch(other, one) === undefined)),
  )
/** Exactly these, in any order. */
export const inAnyOrder = (...wanted: unknown[]) =>
  new Matcher(`in any order ${short(wanted)}`, found => {
    if (!Array.isArray(found) || found.length !== wanted.length) return `is ${short(found)}, not ${short(wanted)}`
    const left = [...found]
    for (const one of wanted) {
      const at = left.findIndex(other => mismatch(other, one) === undefined)
      if (at < 0) return `${short(found)} lacks ${short(one)}`
      left.splice(at, 1)
    }
    return undefined
  })
/** This many elements. */
export const elements = (count: number): Matcher => {
  const { name, wrong } = when(`${count} elements`, found => Array.isArray(found) && found.length === count)
  return new Matcher(name, wrong, () => elements(count + 1))
}

/** Bytes as drivers tell them. */
export function told(spec: ByteSpec | Buffer): object | null {
  const given = Buffer.isBuffer(spec) ? spec : bytes(spec)
  if (given === null) return null
  if (given.length <= 4096) return { base64: given.toString('base64') }
  return { sha256: createHash('sha256').update(given).digest('hex'), length: given.length }
}

/** Records as they are read, by partition and offset: what was sent to each partition, in order. */
export const readBack = (sent: readonly TableRecord[]) =>
  new Matcher(`the ${sent.length} records, unchanged`, found => {
    if (!Array.isArray(found) || found.length !== sent.length)
      return `has ${Array.isArray(found) ? found.length : short(found)} records, not ${sent.length}`
    for (const partition of new Set(sent.map(one => one.partition))) {
      const got = found.filter(one => one.partition === partition)
      for (const [at, one] of sent.filter(one => one.partition === partition).entries()) {
        const { name, key, value, headers, timestamp } = one
        const expected = {
          offset: at,
          key: told(key),
          value: told(value),
          headers: headers.map(([name, value]) => [name, told(value)]),
          timestamp: timestamp ?? something,
        }
        const wrong = mismatch(got[at], expected, `partition ${partition}, record "${name}"`)
        if (wrong !== undefined) return wrong
      }
    }
    return undefined
  })

/** Values that were read, as texts and in order. */
export const values = (...wanted: string[]) =>
  new Matcher(`the values ${short(wanted)}`, found => {
    const texts = (Array.isArray(found) ? found : []).map(({ value }) =>
      typeof value?.base64 === 'string' ? Buffer.from(value.base64, 'base64').toString() : value,
    )
    return isDeepStrictEqual(texts, wanted) ? undefined : `has the values ${short(texts)}, not ${short(wanted)}`
  })

/** The groups of KIP-1050, for which every language has a class; '' are errors outside of them. */
export const groups = [
  '',
  'retriable',
  'refreshretriable',
  'abortable',
  'applicationrecoverable',
  'invalidconfiguration',
]

/** The group that a class stands for: `RetriableException`, `KafkaRetriableError` and `retriable` are the same; Java has Kafka's own `TransactionAbortable…`. */
export const groupOf = ({ class: name }: Told): string =>
  (name ?? '')
    .replace(/(Error|Exception)$/, '')
    .replace(/^(Kafka|Transaction(?=Abortable$))/, '')
    .replace(/^(other|Other|PartialFailure)$/, '')
    .toLowerCase()
