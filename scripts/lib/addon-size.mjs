// How large a native add-on is in memory, by its program headers: what its file has beside that (symbols, debug info) is no
// cost to a user, and depends on the profile alone. ELF only, which is what is measured; other systems have the same code.

import { readFileSync } from 'node:fs'

const PT_LOAD = 1
/** Names of sections that tell how it was built. */
const DEBUG = '.debug_info'
const SYMBOLS = '.symtab'

/** The bytes that are mapped, and the cargo profile it was built with; undefined when the file is not ELF of 64 bits. */
export function addonSize(file) {
  const bytes = readFileSync(file)
  if (bytes.toString('latin1', 0, 5) !== '\x7fELF\x02') return undefined
  const at = offset => Number(bytes.readBigUInt64LE(offset))
  const [segments, sections] = [at(32), at(40)]
  const [segmentSize, segmentCount, sectionSize, sectionCount, namesIndex] = [54, 56, 58, 60, 62].map(offset =>
    bytes.readUInt16LE(offset),
  )
  let loaded = 0
  for (let index = 0; index < segmentCount; index++) {
    const segment = segments + index * segmentSize
    if (bytes.readUInt32LE(segment) === PT_LOAD) loaded += at(segment + 32)
  }
  const names = at(sections + namesIndex * sectionSize + 24)
  const found = new Set()
  for (let index = 0; index < sectionCount; index++) {
    const name = names + bytes.readUInt32LE(sections + index * sectionSize)
    found.add(bytes.toString('latin1', name, bytes.indexOf(0, name)))
  }
  const profile = found.has(DEBUG) ? 'dev' : found.has(SYMBOLS) ? 'release' : 'dist'
  return { loaded, profile }
}
