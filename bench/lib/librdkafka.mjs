// Builds the C program of bench/peers/librdkafka on the librdkafka that the newest @confluentinc/kafka-javascript carries
// in source. With -O3, lz4 and snappy of its own, the system's zlib, and zstd from the source that Cargo has fetched for us.
// Kept in the cache folder; built again when one of the sources changes.

import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cache, root } from '../../scripts/lib/paths.mjs'
import { run } from '../../scripts/lib/run.mjs'
import { npmPeers } from './npm-peers.mjs'

const sources = join(root, 'bench', 'peers', 'librdkafka')
const quiet = { capture: true }

/** The path of the program. */
export async function librdkafka(say) {
  const library = await librdkafkaLibrary(say)
  const files = readdirSync(sources)
    .filter(name => /\.[ch]$/.test(name))
    .sort()
  const sum = createHash('sha256')
  for (const name of files) sum.update(readFileSync(join(sources, name)))
  const binary = join(library, `bench-${sum.digest('hex').slice(0, 12)}`)
  if (existsSync(binary)) return binary
  say('compiling the program for librdkafka')
  const code = files.filter(name => name.endsWith('.c')).map(name => join(sources, name))
  const libraries = [join(library, 'src', 'librdkafka.a'), join(library, 'libzstd.a')]
  const system = ['-lz', '-lm', '-ldl', '-lpthread', '-lrt']
  await run('gcc', ['-O2', '-I', join(library, 'src'), ...code, '-o', `${binary}.new`, ...libraries, ...system], quiet)
  renameSync(`${binary}.new`, binary)
  return binary
}

let running

/** The folder with src/librdkafka.a, src-cpp and libzstd.a, built once per version and machine. */
export function librdkafkaLibrary(say) {
  running ??= makeLibrary(say)
  return running
}

async function makeLibrary(say) {
  const carried = join(await npmPeers(say), '@confluentinc', 'kafka-javascript')
  const { librdkafka: version } = JSON.parse(readFileSync(join(carried, 'package.json'), 'utf8'))
  const place = join(cache, `librdkafka-${version}`)
  if (existsSync(join(place, '.complete'))) return place
  say(`building librdkafka ${version}`)
  const part = `${place}.${process.pid}`
  mkdirSync(cache, { recursive: true })
  cpSync(join(carried, 'deps', 'librdkafka'), part, { recursive: true })
  const zstd = await zstdSource()
  await buildZstd(zstd, part)
  const env = { CPPFLAGS: `-I${zstd}`, LDFLAGS: `-L${part}` }
  const without = ['ssl', 'gssapi', 'curl', 'lz4-ext'].map(name => `--disable-${name}`)
  await run('./configure', ['--CFLAGS=-O3', '--CXXFLAGS=-O3', '--no-download', ...without], {
    ...quiet,
    cwd: part,
    env,
  })
  const config = readFileSync(join(part, 'config.h'), 'utf8')
  for (const codec of ['ZSTD', 'ZLIB', 'SNAPPY']) {
    if (!config.includes(`#define WITH_${codec} 1`)) throw new Error(`librdkafka was configured without ${codec}`)
  }
  await run('make', ['-j2', 'libs'], { ...quiet, cwd: part })
  writeFileSync(join(part, '.complete'), '')
  rmSync(place, { recursive: true, force: true })
  renameSync(part, place)
  return place
}

/** Where Cargo keeps the C source of zstd that our own build uses too: the same version on both sides. */
async function zstdSource() {
  const manifest = join(root, 'native', 'Cargo.toml')
  const text = await run('cargo', ['metadata', '--locked', '--format-version=1', '--manifest-path', manifest], quiet)
  const found = JSON.parse(text).packages.find(({ name }) => name === 'zstd-sys')
  return join(dirname(found.manifest_path), 'zstd', 'lib')
}

async function buildZstd(source, place) {
  const files = ['common', 'compress', 'decompress'].flatMap(folder =>
    readdirSync(join(source, folder))
      .filter(name => name.endsWith('.c'))
      .map(name => join(source, folder, name)),
  )
  const objects = join(place, 'zstd-objects')
  mkdirSync(objects)
  await run('gcc', ['-O3', '-fPIC', '-DZSTD_DISABLE_ASM', '-c', ...files], { ...quiet, cwd: objects })
  const names = readdirSync(objects).map(name => join(objects, name))
  await run('ar', ['rcs', join(place, 'libzstd.a'), ...names], quiet)
}
