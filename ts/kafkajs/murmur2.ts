/**
 * murmur2 of keys: Java's, and that of kafkajs before 2.0, which multiplies in floating point, so that most products lose their low bits, and reads
 * one word too many. Both are pinned by kafkajs' own results.
 */

const SEED = 0x9747b28c
const M = 0x5bd1e995

const bytesOf = (key: Buffer | string) => (Buffer.isBuffer(key) ? key : Buffer.from(String(key)))

const word = (data: Buffer, at: number) =>
  (data[at]! & 0xff) + ((data[at + 1]! & 0xff) << 8) + ((data[at + 2]! & 0xff) << 16) + ((data[at + 3]! & 0xff) << 24)

/** Java's. */
export function javaMurmur2(key: Buffer | string): number {
  return murmur2(bytesOf(key), Math.floor, Math.imul)
}

/** That of kafkajs before 2.0. */
export function legacyMurmur2(key: Buffer | string): number {
  return murmur2(
    bytesOf(key),
    words => words,
    (a, b) => a * b,
  )
}

/** `words`: how many words are read; `times`: how numbers are multiplied. */
function murmur2(data: Buffer, words: (count: number) => number, times: (a: number, b: number) => number): number {
  const { length } = data
  let h = SEED ^ length
  for (let i = 0, count = words(length / 4); i < count; i++) {
    let k = word(data, i * 4)
    k = times(k, M)
    k ^= k >>> 24
    k = times(k, M)
    h = times(h, M)
    h ^= k
  }
  const tail = length & ~3
  const rest = length % 4
  if (rest === 3) h ^= (data[tail + 2]! & 0xff) << 16
  if (rest >= 2) h ^= (data[tail + 1]! & 0xff) << 8
  if (rest >= 1) {
    h ^= data[tail]! & 0xff
    h = times(h, M)
  }
  h ^= h >>> 13
  h = times(h, M)
  h ^= h >>> 15
  return h
}
