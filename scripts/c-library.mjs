// Builds the C library and lays it out as C programs expect it: lib/libdohle.so, include/dohle.h, lib/pkgconfig/dohle.pc.
//   node scripts/c-library.mjs [--prefix DIR] [--profile release|dev|dist]     DIR: dist-c by default
//
//   cc hello.c $(PKG_CONFIG_PATH=DIR/lib/pkgconfig pkg-config --cflags --libs dohle)

import { copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { edge } from './lib/edges.mjs'
import { helped } from './lib/help.mjs'
import { root } from './lib/paths.mjs'
import { run } from './lib/run.mjs'

/** The version that stands in the library's name, which changes when programs must be built anew: see native/ffi/build.rs. */
const abi = 0

/** Name of the library as cargo builds it, and the names under which it is found: at the start of programs, and when they are linked. */
const names = {
  darwin: { built: 'libdohle.dylib', started: `libdohle.${abi}.dylib`, linked: 'libdohle.dylib' },
  win32: { built: 'dohle.dll', started: 'dohle.dll' },
}[process.platform] ?? { built: 'libdohle.so', started: `libdohle.so.${abi}`, linked: 'libdohle.so' }

/** Builds the library with `profile` and puts it under `prefix`. Returns the folder of the pkg-config file. */
export async function cLibrary(prefix, { profile = 'release', say = () => {} } = {}) {
  say(`building the C library (${profile} profile)`)
  const built = await edge('dohle-ffi', { profile })
  const [lib, include] = [join(prefix, 'lib'), join(prefix, 'include')]
  const packages = join(lib, 'pkgconfig')
  for (const folder of [packages, include]) mkdirSync(folder, { recursive: true })
  copyFileSync(join(built, names.built), join(lib, names.started))
  if (names.linked) {
    rmSync(join(lib, names.linked), { force: true })
    symlinkSync(names.started, join(lib, names.linked))
  }
  copyFileSync(join(root, 'native', 'ffi', 'include', 'dohle.h'), join(include, 'dohle.h'))
  writeFileSync(join(packages, 'dohle.pc'), await description(prefix))
  return packages
}

async function description(prefix) {
  const metadata = await run(
    'cargo',
    ['metadata', '--no-deps', '--format-version=1', '--manifest-path', 'native/Cargo.toml'],
    {
      capture: true,
    },
  )
  const { version } = JSON.parse(metadata).packages.find(({ name }) => name === 'dohle-ffi')
  return `prefix=${prefix}
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: dohle
Description: Kafka client with an embedded broker
URL: https://github.com/dohle/dohle
Version: ${version}
Cflags: -I\${includedir}
Libs: -L\${libdir} -ldohle
`
}

if (process.argv[1] === join(root, 'scripts', 'c-library.mjs') && !helped(import.meta.url)) {
  const { values } = parseArgs({
    options: { prefix: { type: 'string', default: 'dist-c' }, profile: { type: 'string', default: 'release' } },
  })
  const prefix = resolve(values.prefix)
  await cLibrary(prefix, { profile: values.profile, say: line => console.error(`c-library: ${line}`) })
  console.error(`c-library: ${prefix}`)
}
