/**
 * The records of the demonstration: orders as JSON, about 100 bytes, each with a number and a checksum of its own text.
 * Fixed positions let the reader check a million of them without parsing JSON. Not a benchmark; driven by `workload.ts`.
 */
import { crc32 } from 'node:zlib'

/** How many different keys (customers) there are. */
export const customers = 10_000

const items = ['coffee', 'teapot', 'filter', 'grinder', 'kettle', 'mug', 'spoon', 'scale']

// {"order":"00000000","customer":"c-0000",...,"crc":"00000000"}
const orderAt = 10
const customerAt = 34
const crcTail = 10

const keys = Array.from({ length: customers }, (_, i) => `c-${String(i).padStart(4, '0')}`)
const hexByte = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))

/** The key of record `n`. */
export function orderKey(n: number): string {
  return keys[mix(n) % customers] as string
}

/** The value of record `n`: JSON, ending with the CRC-32 of everything before the checksum. */
export function orderValue(n: number): string {
  const random = mix(n ^ 0x5bd1e995)
  const order = String(100_000_000 + n).slice(1)
  const item = items[random & 7]
  const text = `{"order":"${order}","customer":"${orderKey(n)}","item":"${item}","pieces":${1 + (random % 9)},"cents":${100 + (random % 90_000)},"crc":"`
  const crc = crc32(text)
  return `${text}${hexByte[crc >>> 24]}${hexByte[(crc >>> 16) & 255]}${hexByte[(crc >>> 8) & 255]}${hexByte[crc & 255]}"}`
}

/** What a value says about itself, or why it is not one of ours. */
export function inspect(value: Uint8Array): { order: number; customer: number } | string {
  const end = value.length - crcTail
  if (end < customerAt + 4) return 'it is too short to be one of the records sent'
  const stated = hexadecimal(value, end)
  if (stated !== crc32(value.subarray(0, end))) return 'its checksum does not match its text'
  return { order: decimal(value, orderAt, 8), customer: decimal(value, customerAt, 4) }
}

function decimal(bytes: Uint8Array, at: number, digits: number): number {
  let number = 0
  for (let i = at; i < at + digits; i++) number = number * 10 + (bytes[i] as number) - 48
  return number
}

function hexadecimal(bytes: Uint8Array, at: number): number {
  let number = 0
  for (let i = at; i < at + 8; i++) {
    const c = bytes[i] as number
    number = number * 16 + (c < 58 ? c - 48 : c - 87)
  }
  return number
}

/** A well-mixed 31-bit number from a counter. */
function mix(n: number): number {
  let x = Math.imul(n ^ (n >>> 16), 0x45d9f3b)
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b)
  return (x ^ (x >>> 16)) >>> 1
}
