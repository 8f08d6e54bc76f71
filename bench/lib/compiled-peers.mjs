// Builds the peers in Go and Java into the cache folder; again when their source or their library changes.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { javaJar } from '../../scripts/java-jar.mjs'
import { jars, javaArgs, javaCommand } from '../../scripts/kafka.mjs'
import { cache, root } from '../../scripts/lib/paths.mjs'
import { run } from '../../scripts/lib/run.mjs'

const folder = name => join(root, 'bench', 'peers', name)
const quiet = { capture: true }

/** The command of the program on franz-go. */
export async function franzGo(say) {
  const binary = join(cache, 'bench', `franz-go-${sumOf(folder('franz-go'))}`)
  if (existsSync(binary)) return [binary]
  say('building the program for franz-go')
  mkdirSync(join(cache, 'bench'), { recursive: true })
  await run('go', ['build', '-o', `${binary}.new`, '.'], { ...quiet, cwd: folder('franz-go') })
  renameSync(`${binary}.new`, binary)
  return [binary]
}

/** The command of the program on kafka-clients, with the jars that scripts/kafka.mjs fetches. */
export async function kafkaClients(say) {
  const lib = await jars(say)
  const classes = join(cache, 'bench', `kafka-clients-${sumOf(folder('kafka-clients'), lib)}`)
  if (!existsSync(classes)) {
    say('compiling the program for kafka-clients')
    rmSync(`${classes}.new`, { recursive: true, force: true })
    const source = join(folder('kafka-clients'), 'Bench.java')
    const javac = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'javac') : 'javac'
    await run(javac, ['-d', `${classes}.new`, '-cp', `${lib}/*`, source], quiet)
    renameSync(`${classes}.new`, classes)
  }
  // 512 MB of heap; the collector is the JVM's choice.
  const args = javaArgs(lib, 'Bench', [], '512m')
  args[args.indexOf('-cp') + 1] += `:${classes}`
  return [javaCommand, ...args]
}

/**
 * The command of the same program on Dohle's jar: its source with the imports that README of wrappers/java tells of, and nothing
 * else changed. So both are asked for the very same, and the table there is true.
 */
export async function dohleJava(say) {
  const jar = await javaJar({ profile: 'dist', say })
  const classes = join(cache, 'bench', `dohle-java-${sumOf(folder('kafka-clients'), readFileSync(jar))}`)
  if (!existsSync(classes)) {
    say('compiling the program for Dohle in Java')
    rmSync(`${classes}.new`, { recursive: true, force: true })
    mkdirSync(`${classes}.new`, { recursive: true })
    const source = join(`${classes}.new`, 'Bench.java')
    const [, version] = /dohle-(.*)\.jar$/.exec(jar)
    writeFileSync(
      source,
      readFileSync(join(folder('kafka-clients'), 'Bench.java'), 'utf8')
        .replace(/^import .*AppInfoParser;\n/m, '')
        .replaceAll('AppInfoParser.getVersion()', JSON.stringify(version))
        .replaceAll('org.apache.kafka.common.serialization', 'io.dohle.serialization')
        .replaceAll(/org\.apache\.kafka\.(clients\.(producer|consumer)|common)/g, 'io.dohle'),
    )
    const javac = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'javac') : 'javac'
    await run(javac, ['-d', `${classes}.new`, '-cp', jar, source], quiet)
    renameSync(`${classes}.new`, classes)
  }
  return [javaCommand, '-Xmx512m', '-cp', `${jar}:${classes}`, 'Bench']
}

function sumOf(place, ...facts) {
  const sum = createHash('sha256')
  for (const fact of facts) sum.update(fact)
  for (const name of readdirSync(place).sort()) sum.update(readFileSync(join(place, name)))
  return sum.digest('hex').slice(0, 12)
}
