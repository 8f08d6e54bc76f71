/** Compares what a stranger saw at two brokers: with each other, and with what the table says. */
import assert from 'node:assert/strict'
import { type Case, different, type Limits } from './table.ts'

/** An answer of a driver without what is different in each run: the case's name is `@`. */
export function normalised(value: unknown, name: string): unknown {
  if (typeof value === 'string') return value.replaceAll(name, '@')
  if (Array.isArray(value)) return value.map(each => normalised(each, name))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key.replaceAll(name, '@'), normalised(each, name)]),
  )
}

/** Fails unless an answer is what the table says; it has nothing else, and lacks only what the client is known not to see. */
export function asExpected(of: Case, limits: Limits, answer: Record<string, unknown>, where: string): void {
  const blind = Object.keys(limits.blind?.[of.id] ?? {})
  const { details: _, ...seen } = answer
  const records = (list: unknown) => (Array.isArray(list) ? list.map(record => without(record, blind)) : list)
  const expected = Object.fromEntries(
    Object.entries(of.expected)
      .filter(([key]) => !blind.includes(key))
      .map(([key, value]) => [key, key === 'records' ? records(value) : value]),
  )
  assert.deepEqual(seen, expected, `${of.id} at ${where}`)
}

/** Fails unless both brokers gave the same answer. */
export function same(of: Case, ours: unknown, theirs: unknown): void {
  assert.deepEqual(
    comparable(ours),
    comparable(theirs),
    `${of.id}: the embedded broker (actual) and Apache Kafka (expected) differ`,
  )
}

/** An answer without what is `different`. */
function comparable(answer: unknown): unknown {
  const { details, ...rest } = answer as { details: unknown }
  if (!Array.isArray(details)) return answer
  return { ...rest, details: details.filter(line => !((`${line}`.split(':')[0] as string) in different)) }
}

/** A record without the fields that the client cannot tell. */
function without(record: unknown, blind: readonly string[]): unknown {
  return Object.fromEntries(Object.entries(record as object).filter(([field]) => !blind.includes(`records.${field}`)))
}
