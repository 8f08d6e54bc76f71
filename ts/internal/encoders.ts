/**
 * Encoders of cold operations' requests: each checks a value and gives what JSON has for it. Used by generated code only.
 *
 * `JSON.stringify` alone would turn `NaN` into `null` and leave functions and symbols out, which the engine takes for
 * "not given": a default would stand where the program had asked for something else.
 */
import { bagOf, reading, refuseUnknown, textAt } from './arguments.ts'
import { invalid, kindOf } from './failure.ts'

/** Checks `value`, which the program knows as `path`, and gives its form in JSON. */
export type Encoder = (value: unknown, path: string) => unknown

type Members = Readonly<Record<string, Encoder>>

/** A request as JSON. */
export function encoding(encode: Encoder): (request: unknown) => string {
  // What is longer than a string can be is told as what it is: too much.
  return request => {
    const encoded = encode(request, '')
    return reading('options', () => JSON.stringify(encoded))
  }
}

const at = (path: string, name: string) => (path === '' ? name : `${path}.${name}`)

/** Text, which goes as UTF-8. */
export const text: Encoder = textAt

/** True or false. */
export const flag: Encoder = (value, path) => {
  if (typeof value !== 'boolean') throw invalid(path, `is ${kindOf(value)}, neither true nor false`)
  return value
}

/** A whole number. */
export function whole(least: number, most: number): Encoder {
  return (value, path) => {
    if (typeof value !== 'number') throw invalid(path, `is ${kindOf(value)}, not a number`)
    if (!Number.isInteger(value)) throw invalid(path, `${value} is not a whole number`)
    if (value < least) throw invalid(path, `${value} is below ${least}`)
    if (value > most) throw invalid(path, `${value} is above ${most}`)
    return value
  }
}

/** A number that has a name, by either. */
export function named(least: number, most: number): Encoder {
  const number = whole(least, most)
  return (value, path) => {
    if (typeof value === 'string') return textAt(value, path)
    if (typeof value !== 'number') throw invalid(path, `is ${kindOf(value)}, neither a name nor a number`)
    return number(value, path)
  }
}

/** A number as the decimal string of a 64-bit integer. */
export const int64: Encoder = (value, path) => {
  if (typeof value !== 'number') throw invalid(path, `is ${kindOf(value)}, not a number`)
  if (!Number.isSafeInteger(value)) throw invalid(path, `${value} is not a whole number within ±(2^53 − 1)`)
  return String(value)
}

/** A double for JSON. */
export const double: Encoder = (value, path) => {
  if (typeof value !== 'number') throw invalid(path, `is ${kindOf(value)}, not a number`)
  return Number.isFinite(value) ? value : String(value)
}

/** Bytes, or the UTF-8 of a string, as base64. */
export const bytes: Encoder = (value, path) =>
  reading(path, () => {
    if (typeof value === 'string') return Buffer.from(textAt(value, path), 'utf8').toString('base64')
    if (!(value instanceof Uint8Array)) throw invalid(path, `is ${kindOf(value)}, not a Uint8Array or a string`)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  })

/** One of these names. */
export function oneOf(...names: readonly string[]): Encoder {
  return (value, path) => {
    if (typeof value === 'string' && names.includes(value)) return value
    const found = typeof value === 'string' ? `'${value.slice(0, 60)}'` : kindOf(value)
    throw invalid(path, `is ${found}, not one of ${names.join(', ')}`)
  }
}

/** Nothing, or what `encode` takes. */
export function maybe(encode: Encoder): Encoder {
  return (value, path) => (value === undefined || value === null ? undefined : encode(value, path))
}

/** An array. */
export function list(encode: Encoder): Encoder {
  return (value, path) => {
    const from = reading(path, () => {
      if (Array.isArray(value)) return value as readonly unknown[]
      throw invalid(path, `is ${kindOf(value)}, not an array`)
    })
    const encoded: unknown[] = []
    for (let i = 0; i < from.length; i++) {
      const place = `${path}[${i}]`
      encoded.push(
        encode(
          reading(place, () => from[i]),
          place,
        ),
      )
    }
    return encoded
  }
}

/** A plain object whose names are the program's. */
export function map(encode: Encoder): Encoder {
  return (value, path) => {
    const from = members(value, path)
    const entries = reading(path, () => {
      if (Symbol.iterator in from) throw invalid(path, `is ${kindOf(value)}, not a plain object`)
      return Object.entries(from)
    })
    return Object.fromEntries(
      entries.map(([name, member]) => [textAt(name, path), encode(member, at(path, name.slice(0, 60)))]),
    )
  }
}

/** An object of these members; others are left out. */
export function object(known: Members): Encoder {
  return (value, path) => {
    const from = members(value, path)
    const encoded: Record<string, unknown> = {}
    for (const [name, encode] of Object.entries(known)) {
      const place = at(path, name)
      encoded[name] = encode(
        reading(place, () => from[name]),
        place,
      )
    }
    return encoded
  }
}

/** An object of these members only: another one is a slip. */
export function exact(known: Members): Encoder {
  const encode = object(known)
  const names = Object.keys(known)
  return (value, path) => {
    refuseUnknown(bagOf(value as object, path || 'options'), names, path || 'options', name => at(path, name))
    return encode(value, path)
  }
}

/** One of several objects, told apart by `kind`. */
export function variants(known: Members): Encoder {
  const kind = oneOf(...Object.keys(known))
  return (value, path) => {
    const from = members(value, path)
    const place = at(path, 'kind')
    const which = kind(
      reading(place, () => from.kind),
      place,
    ) as string
    return known[which]!(value, path)
  }
}

function members(value: unknown, path: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !reading(path, () => Array.isArray(value)))
    return value as Record<string, unknown>
  throw invalid(path || 'options', `is ${kindOf(value)}, not an object`)
}
