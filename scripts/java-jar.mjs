// Builds the jar of the Java wrapper, with the native part for this platform in it: wrappers/java/target/dohle-<version>.jar.
//   node scripts/java-jar.mjs [--profile release|dev|dist] [--natives DIR] [--docs]
//
// --natives  more native parts, as DIR/<os>-<arch>/<library>, such as those that other machines have built
// --docs     also the jars of the sources and of the Javadoc, which fails at the first warning

import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { edge } from './lib/edges.mjs'
import { helped } from './lib/help.mjs'
import { libc, root } from './lib/paths.mjs'
import { run } from './lib/run.mjs'

/** The wrapper's folder. */
export const java = join(root, 'wrappers', 'java')

/** Name of the library as cargo builds it, which is also the one that Java looks for. */
const library = { darwin: 'libdohle_java.dylib', win32: 'dohle_java.dll' }[process.platform] ?? 'libdohle_java.so'

/** The folder of this platform in the jar: see NativeLibrary.java. */
const platform = `${process.platform}${libc() === 'musl' ? '-musl' : ''}-${process.arch}`

/** Runs Maven in the wrapper's folder; it says nothing unless something fails. */
export const maven = (...args) =>
  run('mvn', ['--batch-mode', '--quiet', '--no-transfer-progress', ...args], { cwd: java, capture: true })

/** Builds the native part, and lays it out where Maven takes it from. */
export async function natives({ profile = 'release', more, say = () => {} } = {}) {
  say(`building the native part (${profile} profile)`)
  const built = await edge('dohle-java', { profile })
  const folder = join(java, 'target', 'natives', 'natives')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, platform), { recursive: true })
  if (more) cpSync(more, folder, { recursive: true })
  await copyFile(join(built, library), join(folder, platform, library))
}

/**
 * Builds the jar; returns its path.
 *
 * @param {{ profile?: string, more?: string, docs?: boolean, say?: (line: string) => void }} [options]
 */
export async function javaJar({ profile, more, docs = false, say = () => {} } = {}) {
  await natives({ profile, more, say })
  say('packaging')
  await maven('package', '-Dmaven.test.skip=true', ...(docs ? ['source:jar', 'javadoc:jar'] : []))
  const [, version] = /<artifactId>dohle<\/artifactId>\s*<version>(.*?)</.exec(
    readFileSync(join(java, 'pom.xml'), 'utf8'),
  )
  return join(java, 'target', `dohle-${version}.jar`)
}

if (process.argv[1] === join(root, 'scripts', 'java-jar.mjs') && !helped(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      profile: { type: 'string', default: 'release' },
      natives: { type: 'string' },
      docs: { type: 'boolean', default: false },
    },
  })
  const say = line => console.error(`java-jar: ${line}`)
  const more = values.natives && resolve(values.natives)
  say(await javaJar({ profile: values.profile, more, docs: values.docs, say }))
}
