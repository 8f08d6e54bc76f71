/**
 * Values that JSON has no safe form for, as cold operations' responses have them; `encoders.ts` is the other direction.
 */
import { inspect } from 'node:util'
import { KafkaError, type Persistence } from '../errors.ts'

/** A 64-bit integer that must be exact as a number. */
export function decodeInt64(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw tooLarge(text)
  return value
}

/** Bytes from base64. */
export function decodeBytes(text: string): Buffer {
  return Buffer.from(text, 'base64')
}

/** What is shown in the place of a secret. */
const SECRET = '[secret]'

/** Bytes that are a secret, from base64: a `Buffer` like any other, but printing it or making JSON of it does not show them. */
export function decodeSecretBytes(text: string): Buffer {
  const shown = { value: () => SECRET }
  return Object.defineProperties(decodeBytes(text), { toJSON: shown, [inspect.custom]: shown })
}

/** A double, which is a string when it is outside of JSON. */
export function decodeDouble(value: number | string): number {
  return Number(value)
}

/** An offset or other 64-bit integer that a number cannot hold exactly. */
export function tooLarge(what: string, persistence?: Persistence): KafkaError {
  const message = `${what} is beyond Number.MAX_SAFE_INTEGER, and a rounded number would be wrong`
  return new KafkaError(message, { code: 'UNSUPPORTED', persistence })
}

/** An object as JSON has it: its members are what the schema says, which the compiler cannot know. */
export type Wire<T> = { [Key in keyof T]: never }

/** Each element of an array from the engine through `convert`. */
export function mapWire<R>(value: unknown, convert: (element: never) => R): R[] {
  return (value as never[]).map(convert)
}
