/**
 * Values that JSON has no safe form for, as the contract of cold operations has them. Used by generated code only.
 */
import { KafkaError } from '../errors.ts'
import { invalid, kindOf } from './failure.ts'

/** A 64-bit integer that must be exact as a number. */
export function decodeInt64(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw tooLarge(text)
  return value
}

/** A number as the decimal string of a 64-bit integer. */
export function encodeInt64(value: number, path: string): string {
  if (typeof value !== 'number') throw invalid(path, `is ${kindOf(value)}, not a number`)
  if (!Number.isSafeInteger(value)) throw invalid(path, `${value} is not a whole number within ±(2^53 − 1)`)
  return String(value)
}

/** Bytes from base64. */
export function decodeBytes(text: string): Buffer {
  return Buffer.from(text, 'base64')
}

/** Bytes, or the UTF-8 of a string, as base64. */
export function encodeBytes(value: Uint8Array | string, path: string): string {
  if (typeof value === 'string') return Buffer.from(value, 'utf8').toString('base64')
  if (!(value instanceof Uint8Array)) throw invalid(path, `is ${kindOf(value)}, not a Uint8Array or a string`)
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
}

/** A double, which is a string when it is outside of JSON. */
export function decodeDouble(value: number | string): number {
  return Number(value)
}

/** A double for JSON. */
export function encodeDouble(value: number, path: string): number | string {
  if (typeof value !== 'number') throw invalid(path, `is ${kindOf(value)}, not a number`)
  return Number.isFinite(value) ? value : String(value)
}

/** Each element of an array through `convert`. */
export function mapArray<T, R>(value: readonly T[], path: string, convert: (element: T, path: string) => R): R[] {
  if (!Array.isArray(value)) throw invalid(path, `is ${kindOf(value)}, not an array`)
  return value.map((element, index) => convert(element as T, `${path}[${index}]`))
}

/** Checks that something is an object before its properties are read. */
export function record<T>(value: T, path: string): T {
  if (typeof value !== 'object' || value === null) throw invalid(path, `is ${kindOf(value)}, not an object`)
  return value
}

/** An offset or other 64-bit integer that a number cannot hold exactly. */
export function tooLarge(what: string): KafkaError {
  const message = `${what} is beyond Number.MAX_SAFE_INTEGER, and a rounded number would be wrong`
  return new KafkaError(message, { code: 'UNSUPPORTED' })
}

/** An object as JSON has it: its members are what the schema says, which the compiler cannot know. */
export type Wire<T> = { [Key in keyof T]: never }

/** Each element of an array from the engine through `convert`. */
export function mapWire<R>(value: unknown, convert: (element: never) => R): R[] {
  return (value as never[]).map(convert)
}
