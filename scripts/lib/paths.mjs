// Where things are: the clone, the build caches, the cargo target directory. No side effects.

import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the clone. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** True on a continuous-integration machine: what is missing there is a failure, and builds are cached outside the clone. */
export const ci = Boolean(process.env.CI) && process.env.CI !== 'false' && process.env.CI !== '0'

/** Things fetched once per machine (Kafka's jars, other Node versions, a Python environment). */
export const cache = process.env.DOHLE_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'dohle')

/** Cargo's target directory, shared by tests and add-on builds; outside the clone when CI is set. */
export const target = process.env.CARGO_TARGET_DIR || (ci ? join(cache, 'target') : join(root, 'native', 'target'))

/** The C library this Node runs on: part of the add-on's file name on Linux. */
export function libc() {
  if (process.platform !== 'linux') return ''
  return process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl'
}

/** The add-on's place in the package, relative to the root (the layout that node-gyp-build reads). */
export function prebuild() {
  const tag = libc()
  return join('prebuilds', `${process.platform}-${process.arch}`, tag ? `dohle.${tag}.node` : 'dohle.node')
}
