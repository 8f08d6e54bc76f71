// Builds the library of one edge crate (native/ffi, native/java).

import { join } from 'node:path'
import { target } from './paths.mjs'
import { run } from './run.mjs'

/** Builds the crate with `profile`; returns the folder that has its library. `capture`: says nothing. */
export async function edge(crate, { profile = 'dev', capture = false } = {}) {
  const manifest = join('native', 'Cargo.toml')
  await run('cargo', ['build', '--locked', '--manifest-path', manifest, '-p', crate, '--profile', profile], { capture })
  return join(target, profile === 'dev' ? 'debug' : profile)
}
