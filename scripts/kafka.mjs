// A real Apache Kafka (one KRaft broker, version in kafka/pom.xml) for tests and for trying things out.
// Not for production. Used as a module by the tests, and by hand:
//   node scripts/kafka.mjs start [DIR] [--port P] [--set KEY=VALUE]...   start and leave running (DIR: .cache/kafka)
//   node scripts/kafka.mjs stop [DIR]                                    stop it; the data stay in DIR
//   node scripts/kafka.mjs tool [DIR] CLASS [ARGS]...                    one of Kafka's own tools, such as TopicCommand

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { brokersKnown } from './lib/kafka-ready.mjs'
import { cache, root } from './lib/paths.mjs'
import { CommandError, run } from './lib/run.mjs'

const here = join(root, 'scripts', 'kafka')
/** The `java` of this machine. */
export const javaCommand = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java'

/** The folder with the jars of Kafka; fetched by Maven when it is not there yet. */
export async function jars(say = () => {}) {
  const pom = readFileSync(join(here, 'pom.xml'), 'utf8')
  const version = /<kafka.version>(.*?)</.exec(pom)[1]
  const lib = join(cache, `kafka-${version}`)
  if (existsSync(join(lib, '.complete'))) return lib
  say(`fetching Apache Kafka ${version} with Maven`)
  const part = `${lib}.${process.pid}`
  await run(
    'mvn',
    [
      '-q',
      '-B',
      '-Dstyle.color=never',
      '-f',
      join(here, 'pom.xml'),
      'dependency:copy-dependencies',
      `-DoutputDirectory=${part}`,
    ],
    { capture: true },
  )
  writeFileSync(join(part, '.complete'), '')
  rmSync(lib, { recursive: true, force: true })
  renameSync(part, lib)
  return lib
}

/** The arguments of `java` that run a class (or a .java file) with Kafka's jars, and with classes of one's own in `classes`. */
export function javaArgs(lib, main, args = [], heap = '256m', jvm = [], classes = '') {
  const logging = `-Dlog4j2.configurationFile=${join(here, 'log4j2.properties')}`
  return [`-Xmx${heap}`, logging, ...jvm, '-cp', classes ? `${classes}:${lib}/*` : `${lib}/*`, main, ...args]
}

/** `count` TCP ports of the loopback interface that are free now. */
export async function freePorts(count = 1) {
  const servers = await Promise.all(Array.from({ length: count }, () => listening(0)))
  const ports = servers.map(server => server.address().port)
  await Promise.all(servers.map(server => new Promise(done => server.close(done))))
  return ports
}

/** The first of `count` ports in a row that are free now. */
export async function freeRow(count) {
  for (;;) {
    const [first] = await freePorts()
    const row = Array.from({ length: count }, (_, nth) => listening(first + nth))
    const tried = await Promise.allSettled(row)
    const servers = tried.flatMap(({ value }) => (value ? [value] : []))
    await Promise.all(servers.map(server => new Promise(done => server.close(done))))
    if (servers.length === count) return first
  }
}

async function listening(port) {
  const server = createServer().listen({ port, host: '127.0.0.1' })
  await once(server, 'listening')
  return server
}

/** A running broker. It ends with this process at the latest, unless it was started `detached`. */
export class KafkaServer {
  #lib
  #child
  #detached
  #temporary
  #classes
  #env
  #onExit = () => this.#child?.kill('SIGKILL')

  constructor({ dir, port, lib, detached, temporary, classes, env }) {
    this.dir = dir
    this.port = port
    this.#lib = lib
    this.#detached = detached
    this.#temporary = temporary
    this.#classes = classes
    this.#env = env
    /** `host:port` of the listeners that `start` was given. */
    this.address = {}
  }

  /**
   * Starts a broker and returns when it answers. `dir`: data and log (default: a temporary folder, removed by `stop`);
   * `port` 0 takes a free one; `properties`: broker settings over the defaults of this file; `listeners`: more of them, as
   * `NAME: protocol` (their addresses are in `address`); `scram`: users that are there from the beginning; `jvm`: more arguments
   * of `java`; `classes`: a folder of plugins for it; `env`: variables for it.
   */
  static async start(options = {}) {
    const { dir, port = 0, properties = {}, listeners = {}, scram = {}, heap = '512m', detached = false, say } = options
    const { jvm = [], classes = '', env = {} } = options
    const lib = await jars(say)
    for (let attempt = 1; ; attempt++) {
      const place = dir ? resolve(dir) : mkdtempSync(join(tmpdir(), 'dohle-kafka-'))
      const [free, controller, ...more] = await freePorts(2 + Object.keys(listeners).length)
      const own = { dir: place, port: port || free, lib, detached, temporary: !dir, classes, env }
      const server = new KafkaServer(own)
      const named = Object.entries(listeners).map(([name, protocol], at) => ({ name, protocol, port: more[at] }))
      server.address = Object.fromEntries(named.map(listener => [listener.name, `127.0.0.1:${listener.port}`]))
      await server.configure({ controller, properties, listeners: named, scram })
      try {
        await server.launch({ heap, jvm })
        return server
      } catch (error) {
        // Another process may have taken a port between the look and the bind.
        if (attempt === 3 || !isPortTaken(error)) throw error
      }
    }
  }

  /** `host:port` for clients. */
  get bootstrap() {
    return `127.0.0.1:${this.port}`
  }

  /** The broker's process id; undefined when it is not running. */
  get pid() {
    return this.#child?.pid
  }

  /** Where the broker's log is. */
  get log() {
    return join(this.dir, 'broker.log')
  }

  /** kill -9, and waits until the process is gone. */
  async kill() {
    await this.#end('SIGKILL')
  }

  /** Stops the process, and leaves its folder; `restart` goes on. */
  async terminate() {
    await this.#end('SIGTERM')
  }

  /** Starts the same broker again: same ports, same data. */
  async restart(heap = '512m') {
    await this.#end('SIGTERM')
    await this.launch({ heap })
  }

  /** Stops the broker; removes its folder if it was a temporary one, unless `keep` (then the log can be read). */
  async stop({ keep = false } = {}) {
    await this.#end('SIGTERM')
    if (this.#temporary && !keep) rmSync(this.dir, { recursive: true, force: true })
  }

  /** Runs one of Kafka's tools against this broker and returns its output. `@broker` stands for its address. */
  tool(name, args = [], options = {}) {
    const given = args.map(arg => (arg === '@broker' ? this.bootstrap : arg))
    return run(javaCommand, javaArgs(this.#lib, toolClass(name), given), { capture: true, ...options })
  }

  /**
   * Writes the settings and formats the data, unless that was done before. `controller`: its port; in a cluster (see
   * kafka-cluster.mjs) `id`, the `voters` and the `cluster`'s id are given too.
   */
  async configure(options) {
    const { controller, properties, listeners = [], scram = {}, id = 1, cluster = clusterId() } = options
    const { voters = `${id}@127.0.0.1:${controller}` } = options
    const also = (text, one) => [text, ...listeners.map(one)].join(',')
    const own = also(`PLAINTEXT://127.0.0.1:${this.port}`, ({ name, port }) => `${name}://127.0.0.1:${port}`)
    const file = join(this.dir, 'server.properties')
    mkdirSync(this.dir, { recursive: true })
    const settings = {
      'process.roles': 'broker,controller',
      'node.id': id,
      'log.dirs': join(this.dir, 'data'),
      'controller.quorum.voters': voters,
      'controller.listener.names': 'CONTROLLER',
      listeners: `${own},CONTROLLER://127.0.0.1:${controller}`,
      'advertised.listeners': own,
      'listener.security.protocol.map': also(
        'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
        ({ name, protocol }) => `${name}:${protocol}`,
      ),
      'num.network.threads': 2,
      'num.io.threads': 4,
      'num.partitions': 3,
      'default.replication.factor': 1,
      'offsets.topic.num.partitions': 4,
      'offsets.topic.replication.factor': 1,
      'transaction.state.log.num.partitions': 4,
      'transaction.state.log.replication.factor': 1,
      'transaction.state.log.min.isr': 1,
      'share.coordinator.state.topic.num.partitions': 4,
      'share.coordinator.state.topic.replication.factor': 1,
      'share.coordinator.state.topic.min.isr': 1,
      'group.initial.rebalance.delay.ms': 0,
      'group.consumer.min.heartbeat.interval.ms': 100,
      'group.consumer.heartbeat.interval.ms': 300,
      // After a kill -9 the controller waits this long before it takes the broker back.
      'broker.session.timeout.ms': 5000,
      'broker.heartbeat.interval.ms': 1000,
      ...properties,
    }
    writeFileSync(
      file,
      Object.entries(settings)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    )
    if (existsSync(join(this.dir, 'data', 'meta.properties'))) return
    const users = Object.entries(scram).flatMap(([name, password]) =>
      ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap(kind => [
        '--add-scram',
        `${kind}=[name=${name},password=${password}]`,
      ]),
    )
    const format = ['format', '-c', file, '-t', cluster, ...users]
    await run(javaCommand, javaArgs(this.#lib, 'kafka.tools.StorageTool', format), { capture: true })
  }

  /** Starts the process, and returns when it answers and knows `brokers` brokers, itself included. */
  async launch({ heap = '512m', brokers = 1, jvm = [] } = {}) {
    const log = openSync(this.log, 'a')
    const args = javaArgs(this.#lib, 'kafka.Kafka', [join(this.dir, 'server.properties')], heap, jvm, this.#classes)
    const env = { ...process.env, ...this.#env }
    const child = spawn(javaCommand, args, { stdio: ['ignore', log, log], detached: this.#detached, env })
    closeSync(log)
    this.#child = child
    if (this.#detached) child.unref()
    else process.once('exit', this.#onExit)
    const ended = new Promise(done => {
      child.once('exit', done)
      child.once('error', done)
    })
    const end = Date.now() + 180_000
    while ((await brokersKnown('127.0.0.1', this.port)) < brokers) {
      const gone = await Promise.race([ended.then(() => true), sleep(100, false)])
      if (!gone && Date.now() < end) continue
      const tail = readFileSync(this.log, 'utf8').trimEnd().split('\n').slice(-20).join('\n')
      await this.#end('SIGKILL')
      throw new CommandError(`Kafka ${gone ? 'ended at start' : 'did not answer'}; its log is ${this.log}:\n${tail}`)
    }
  }

  async #end(signal) {
    const child = this.#child
    this.#child = undefined
    process.removeListener('exit', this.#onExit)
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise(done => child.once('exit', done))
    child.kill(signal)
    const late = setTimeout(() => child.kill('SIGKILL'), 30_000)
    await ended
    clearTimeout(late)
  }
}

/** Whether a broker did not start because another process took its port. */
export const isPortTaken = error => /Address already in use|BindException/.test(error.message)

/** A new cluster's id: 16 random bytes as Kafka writes them. */
export const clusterId = () => randomBytes(16).toString('base64url').replace(/^-/, 'A')

/** The full class name of one of Kafka's tools. */
function toolClass(name) {
  if (name.includes('.')) return name
  const tools = 'org.apache.kafka.tools'
  if (name === 'ConfigCommand') return `kafka.admin.${name}`
  if (/^Console(Share)?Consumer$/.test(name)) return `${tools}.consumer.${name}`
  if (/^(Consumer|Share)GroupCommand$/.test(name)) return `${tools}.consumer.group.${name}`
  return `${tools}.${name}`
}

async function main([command, ...rest]) {
  const dir = resolve(
    rest[0] && !rest[0].startsWith('-') && command !== 'tool' ? rest.shift() : join(root, '.cache', 'kafka'),
  )
  const pidFile = join(dir, 'pid')
  const running = () => {
    const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0
    const cmdline = `/proc/${pid}/cmdline`
    return pid && existsSync(cmdline) && readFileSync(cmdline, 'utf8').includes(dir) ? pid : 0
  }
  if (command === 'start') {
    if (running()) return console.log(`already running at ${readFileSync(join(dir, 'address'), 'utf8')}`)
    const properties = {}
    let port = existsSync(join(dir, 'address')) ? Number(readFileSync(join(dir, 'address'), 'utf8').split(':')[1]) : 0
    for (let i = 0; i < rest.length; i += 2) {
      if (rest[i] === '--port') port = Number(rest[i + 1])
      else if (rest[i] === '--set')
        properties[rest[i + 1].split('=')[0]] = rest[i + 1].slice(rest[i + 1].indexOf('=') + 1)
      else throw new CommandError(`unknown option ${rest[i]}`)
    }
    const say = line => console.error(line)
    const server = await KafkaServer.start({ dir, port, properties, detached: true, say })
    writeFileSync(pidFile, String(server.pid))
    writeFileSync(join(dir, 'address'), server.bootstrap)
    return console.log(`Kafka answers at ${server.bootstrap} (pid ${server.pid}, log ${server.log})`)
  }
  if (command === 'stop') {
    const pid = running()
    if (!pid) return console.log('not running')
    process.kill(pid, 'SIGTERM')
    for (let i = 0; running() && i < 300; i++) await sleep(100)
    if (running()) process.kill(pid, 'SIGKILL')
    return console.log('stopped')
  }
  if (command === 'tool' && rest.length > 0) {
    const address = existsSync(join(dir, 'address')) ? readFileSync(join(dir, 'address'), 'utf8') : '@broker'
    const server = new KafkaServer({ dir, port: Number(address.split(':')[1]), lib: await jars() })
    return process.stdout.write(await server.tool(rest[0], rest.slice(1)))
  }
  throw new CommandError('usage: node scripts/kafka.mjs start|stop [DIR] | tool CLASS [ARGS]...')
}

if (process.argv[1] === join(root, 'scripts', 'kafka.mjs')) {
  main(process.argv.slice(2)).catch(error => {
    console.error(error.message)
    process.exitCode = 1
  })
}
