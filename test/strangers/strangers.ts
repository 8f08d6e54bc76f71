/** The strangers: how each is set up, and what it cannot do or see. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { npmPeers } from '../../bench/lib/npm-peers.mjs'
import { jars, javaArgs, javaCommand } from '../../scripts/kafka.mjs'
import { node } from '../../scripts/lib/node.mjs'
import { cache, root } from '../../scripts/lib/paths.mjs'
import { run } from '../../scripts/lib/run.mjs'
import { python, pythonOf } from '../../scripts/lib/tools.mjs'
import { kcat } from './drivers/kcat.ts'
import { shellTools } from './drivers/tools.ts'
import { program, type Stranger } from './session.ts'

const driver = (...path: string[]) => join(root, 'test', 'strangers', 'drivers', ...path)
const say = (line: string) => console.log(`strangers: ${line}`)
const quiet = { capture: true }
/** The same words for the same limit of several. */
const no = (why: string, ...ids: string[]) => Object.fromEntries(ids.map(id => [id, why]))

export const strangers: readonly Stranger[] = [
  {
    id: 'confluent',
    title: 'confluent-kafka (Python)',
    needs: ['python3'],
    setUp: async () => program([process.env.DOHLE_PYTHON ?? (await python(say)), driver('confluent.py')]),
    cannot: {},
    blind: { 'admin-offsets': { deleted: 'it has no call that deletes them' } },
  },
  {
    id: 'kcat',
    title: 'kcat',
    needs: ['kcat'],
    setUp: async () => kcat,
    cannot: {
      ...no('librdkafka 2.0 has no KIP-848', 'group-848'),
      ...no('it commits when it ends, and cannot abort', 'transactions'),
      ...no(
        'it administers nothing',
        'admin-topics',
        'delete-records',
        'admin-configs',
        'admin-configs-legacy',
        'admin-groups',
        'admin-offsets',
        'admin-acls',
      ),
    },
    blind: {
      ...Object.fromEntries(
        ['none', 'gzip', 'snappy', 'lz4', 'zstd'].map(codec => [
          `codec-${codec}`,
          { 'records.timestamp': 'it cannot set timestamps' },
        ]),
      ),
      'list-offsets': { largest: 'librdkafka 2.0 does not ask for it' },
      'group-classic': no('it describes no groups', 'committed', 'stable', 'empty'),
      'static-member': no('it describes no groups', 'instances'),
    },
  },
  {
    id: 'java',
    title: 'kafka-clients (Java)',
    needs: ['java', 'mvn'],
    setUp: async () => program(await java('Driver')),
    cannot: no('kafka-clients 4 has no AlterConfigs', 'admin-configs-legacy'),
  },
  {
    id: 'tools',
    title: 'Kafka’s shell tools',
    needs: ['java', 'mvn'],
    setUp: async () => {
      const start = program(await java('Tools'))
      return bootstrap => shellTools(start(bootstrap))
    },
    cannot: {
      ...no('its errors are lines of a log', 'too-large'),
      ...no('its consumers are those of kafka-clients', 'group-classic', 'group-848', 'static-member'),
      ...no('they have no transactions of their own', 'transactions'),
      ...no('kafka-clients 4 has no AlterConfigs', 'admin-configs-legacy'),
    },
    blind: {
      ...Object.fromEntries(
        ['none', 'gzip', 'snappy', 'lz4', 'zstd'].map(codec => [
          `codec-${codec}`,
          { 'records.timestamp': 'it cannot set timestamps' },
        ]),
      ),
    },
  },
  {
    id: 'franz-go',
    title: 'franz-go',
    needs: ['go'],
    setUp: async () => program([await franzGo()]),
    cannot: {},
  },
  {
    id: 'kafkajs',
    title: 'kafkajs',
    needs: [],
    setUp: async () => program([process.execPath, '--import=tsx', driver('kafkajs.ts')], { cwd: root }),
    cannot: {
      ...no('its other codecs are add-ons', 'codec-snappy', 'codec-lz4', 'codec-zstd'),
      ...no('it has no KIP-848', 'group-848'),
      ...no('it has no static members', 'static-member'),
      ...no('it has AlterConfigs only', 'admin-configs'),
      ...no('it does not ask for the largest timestamp, and gives the end for what it does not find', 'list-offsets'),
    },
    blind: {
      'append-time': { type: 'it does not tell the type of a timestamp' },
      transactions: no('it does not ask for the last stable offset', 'ends', 'final'),
      'delete-records': { low: 'it does not tell what the broker answered' },
      'admin-offsets': { deleted: 'it has no call that deletes them' },
    },
  },
  {
    id: 'aiokafka',
    title: 'aiokafka',
    needs: ['python3'],
    // cramjam: its codecs beside gzip.
    setUp: async () =>
      program([await pythonOf(['aiokafka==0.14.0', 'cramjam==2.14.0'], say), driver('aiokafka_driver.py')]),
    cannot: {
      ...no('it has no KIP-848', 'group-848'),
      ...no('it does not ask for the largest timestamp', 'list-offsets'),
      ...no('it has AlterConfigs only', 'admin-configs'),
      ...no('it administers no access rules', 'admin-acls'),
    },
    blind: {
      'static-member': {
        instances: 'it does not ask for the version that tells them',
        fenced: 'a member of it that is fenced goes on without a word',
      },
      'admin-groups': no('it has no call that deletes groups', 'notEmpty', 'deleted', 'unknown'),
      'admin-offsets': { deleted: 'it has no call that deletes them' },
    },
  },
  {
    id: 'platformatic',
    title: '@platformatic/kafka',
    needs: [],
    setUp: async () => {
      await npmPeers(say)
      // It needs Promise.withResolvers and zlib's zstd.
      const newer = await node('22.23.3')
      return program([newer, '--import=tsx', driver('platformatic.mjs')], { cwd: root })
    },
    cannot: {
      ...no('it leaves its group when it is closed, static or not', 'static-member'),
      ...no('it gives the producer’s time whatever the type of a timestamp is', 'append-time'),
    },
    blind: {
      fetch: { reset: 'an offset out of range ends its stream' },
      transactions: {
        fenced: 'it cannot take over a transactional.id: it asks as a producer that the broker does not know',
      },
      'group-848': no('it describes classic groups only', 'stable', 'empty'),
    },
  },
]

const sumOf = (place: string, ...facts: string[]) => {
  const sum = createHash('sha256')
  for (const fact of facts) sum.update(fact)
  for (const name of readdirSync(place).sort()) sum.update(readFileSync(join(place, name)))
  return sum.digest('hex').slice(0, 12)
}

/** The driver on franz-go, built once into the cache. */
async function franzGo(): Promise<string> {
  const binary = join(cache, 'strangers', `franz-go-${sumOf(driver('franz-go'))}`)
  if (existsSync(binary)) return binary
  say('building the driver on franz-go')
  mkdirSync(join(cache, 'strangers'), { recursive: true })
  await run('go', ['build', '-o', `${binary}.new`, '.'], { ...quiet, cwd: driver('franz-go') })
  renameSync(`${binary}.new`, binary)
  return binary
}

/** The command that runs a class of drivers/java, compiled once into the cache. */
async function java(main: string): Promise<string[]> {
  const lib = await jars()
  const classes = join(cache, 'strangers', `java-${sumOf(driver('java'), lib)}`)
  if (!existsSync(classes)) {
    say('compiling the drivers in Java')
    const part = `${classes}.${process.pid}`
    const javac = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'javac') : 'javac'
    const sources = readdirSync(driver('java')).map(name => driver('java', name))
    await run(javac, ['-d', part, '-cp', `${lib}/*`, ...sources], quiet)
    rmSync(classes, { recursive: true, force: true })
    renameSync(part, classes)
  }
  return [javaCommand, ...javaArgs(lib, main, [], '256m', ['-XX:TieredStopAtLevel=1'], classes)]
}
