// Remembers by content hash what was built from what, so that nothing is built twice. Not a build system.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { root } from './paths.mjs'

const file = join(root, '.cache', 'build.json')

/** A hash over the names and contents of files and folders (relative to the root), and over further facts. */
export function hash(inputs, facts = [], { skip = /(^|\/)(target|node_modules)(\/|$)/ } = {}) {
  const sum = createHash('sha256')
  for (const fact of facts) sum.update(`${fact}\0`)
  for (const path of inputs.flatMap(input => walk(join(root, input), skip)).sort()) {
    sum.update(`${relative(root, path)}\0`)
    sum.update(readFileSync(path))
  }
  return sum.digest('hex')
}

function walk(path, skip) {
  if (!existsSync(path) || skip.test(relative(root, path))) return []
  let entries
  try {
    entries = readdirSync(path, { withFileTypes: true })
  } catch (error) {
    if (error.code === 'ENOTDIR') return [path]
    throw error
  }
  return entries.flatMap(entry => {
    const inner = join(path, entry.name)
    if (skip.test(relative(root, inner))) return []
    return entry.isDirectory() ? walk(inner, skip) : [inner]
  })
}

const read = () => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {})

/** True when `what` was last built from exactly `sum`, and all of `outputs` are still there. */
export function isCurrent(what, sum, outputs) {
  return read()[what] === sum && outputs.every(output => existsSync(join(root, output)))
}

/** Notes that `what` has now been built from `sum`. */
export function built(what, sum) {
  mkdirSync(join(root, '.cache'), { recursive: true })
  writeFileSync(file, `${JSON.stringify({ ...read(), [what]: sum }, null, 2)}\n`)
}
