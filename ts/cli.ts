#!/usr/bin/env node
/**
 * The command `dohle`: `npx dohle broker` runs an embedded broker until it is told to stop; `replay` and `export` take what it has
 * recorded.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Broker, type BrokerOptions, exportRecording, type ReplayDifference, replay, StandIn } from './broker.ts'

const HELP = `A Kafka-compatible broker. Without a log folder it is in memory, and what it holds is gone when it stops.

usage: dohle broker [options]
       dohle replay FILE --to HOST:PORT [options]
       dohle replay FILE --serve PORT [options]
       dohle export FILE --pcap OUT

broker: runs one.

  -c, --config FILE         settings in the form of Kafka's server.properties
  -p, --port PORT           port to listen on, in plaintext, in place of the file's listeners (default: 9092; 0: a free one)
      --override KEY=VALUE  one setting; goes before the file's; may be repeated
      --log-dir DIR         keep everything in this folder, laid out as Kafka's (log.dirs)
      --nodes N             so many nodes, at the port and those behind it (default: 1)
      --as-version VERSION  pass for this release of Kafka: 2.1, 2.8, 3.9 or 4.3 (default)
      --record FILE         record the session in a new file: every frame with its time, without passwords
      --allow-non-loopback  listen where other machines can reach it

The first line on standard output is the address, once it can be connected to; of several nodes, all addresses.
SIGINT (Ctrl-C) and SIGTERM stop it.

replay: sends the requests of a recording to a broker, and compares its answers with the recorded ones.
Differences are on standard output. Exit code 0: there are none; 1: there are some, or it could not be done.

      --to HOST:PORT        the broker, without TLS and log-in; of a cluster, any node
      --speed N             1: with the recorded times; 2: twice as fast; 0: as fast as the order allows (default)

      --serve PORT          the other way round: answers clients with what was recorded, until it is stopped

export: writes a recording in another format.

      --pcap OUT            packets, for Wireshark and tshark

  -v, -vv                   log what happens, or every detail, to standard error
  -h, --help                this text
      --version             the version
`

/** Wrong arguments: exit code 2. */
class Usage extends Error {}

type Values = ReturnType<typeof parse>['values']

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c' },
        port: { type: 'string', short: 'p' },
        override: { type: 'string', multiple: true },
        'log-dir': { type: 'string' },
        nodes: { type: 'string' },
        'as-version': { type: 'string' },
        record: { type: 'string' },
        'allow-non-loopback': { type: 'boolean' },
        to: { type: 'string' },
        serve: { type: 'string' },
        speed: { type: 'string' },
        pcap: { type: 'string' },
        verbose: { type: 'boolean', short: 'v', multiple: true },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
      },
    })
  } catch (error) {
    throw new Usage((error as Error).message)
  }
}

function optionsOf(values: Values): BrokerOptions {
  const properties: Record<string, string> = {}
  for (const pair of values.override ?? []) {
    const at = pair.indexOf('=')
    if (at < 0) throw new Usage(`--override ${pair}: it must be KEY=VALUE`)
    properties[pair.slice(0, at).trim()] = pair.slice(at + 1).trim()
  }
  const options: BrokerOptions = { properties, logToStderr: levelOf(values) }
  if (values.config !== undefined) options.serverProperties = readFileSync(values.config, 'utf8')
  if (values['log-dir'] !== undefined) options.logDir = values['log-dir']
  if (values['allow-non-loopback']) options.allowNonLoopback = true
  if (values.nodes !== undefined) {
    if (!/^\d+$/.test(values.nodes)) throw new Usage(`--nodes ${values.nodes}: it must be a number`)
    options.nodes = Number(values.nodes)
  }
  if (values['as-version'] !== undefined) options.asVersion = values['as-version'] as BrokerOptions['asVersion']
  if (values.record !== undefined) options.record = values.record
  if (values.port === undefined) {
    // What the file says about listeners goes before it.
    options.port = 9092
  } else {
    // The port that is asked for goes before the listeners of the file, and before what it says of them.
    options.port = portOf('--port', values.port)
    properties.listeners = ''
    properties['advertised.listeners'] = ''
  }
  return options
}

function portOf(name: string, text: string): number {
  if (!/^\d+$/.test(text) || Number(text) > 65_535) throw new Usage(`${name} ${text}: it must be 0 to 65535`)
  return Number(text)
}

/** Ends with SIGINT or SIGTERM. */
const stopped = () =>
  new Promise<void>(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })

const levelOf = (values: Values) => (['warn', 'info', 'debug'] as const)[verbosity(values)]

const verbosity = (values: Values) => Math.min(values.verbose?.length ?? 0, 2)

async function runBroker(values: Values): Promise<void> {
  // Before it starts: a signal that comes early is not lost.
  const stop = stopped()
  await using broker = await Broker.start(optionsOf(values))
  if (verbosity(values) > 0) for (const notice of broker.notices) console.error(` INFO ${values.config}: ${notice}`)
  process.stdout.write(`${broker.bootstrap}\n`)
  await stop
}

function lineOf({ connection, atUs, request, what }: ReplayDifference): string {
  if (connection === 0) return `${request}: ${what}\n`
  return `${new Date(atUs / 1000).toISOString()} connection ${connection}: ${request}: ${what}\n`
}

async function runStandIn(file: string, port: number, values: Values): Promise<void> {
  const stop = stopped()
  await using standIn = await StandIn.start(file, { port, logToStderr: levelOf(values) })
  process.stdout.write(`${standIn.address}\n`)
  await stop
}

async function runReplay(file: string, values: Values): Promise<void> {
  if (values.serve !== undefined && values.to !== undefined) throw new Usage('replay: either --to or --serve')
  if (values.serve !== undefined) return runStandIn(file, portOf('--serve', values.serve), values)
  if (values.to === undefined)
    throw new Usage('replay: --to HOST:PORT says which broker, or --serve PORT where clients come to')
  const speed = Number(values.speed ?? 0)
  if (!(speed >= 0)) throw new Usage(`--speed ${values.speed}: it must be 0 or more`)
  const report = await replay(file, { to: values.to, speed, progress: true })
  for (const difference of report.told) process.stdout.write(lineOf(difference))
  const { requests, connections, compared, differences, leftOut } = report
  if (report.torn) process.stderr.write('dohle: the recording ends in the middle of an entry, as after a crash\n')
  process.stdout.write(
    `${requests} requests on ${connections} connections, ${compared} answers compared: ${differences} differences` +
      `${leftOut > 0 ? `; ${leftOut} requests with secrets left out` : ''}\n`,
  )
  process.exitCode = differences > 0 ? 1 : 0
}

async function runExport(file: string, values: Values): Promise<void> {
  if (values.pcap === undefined) throw new Usage('export: --pcap OUT says what to write')
  const { frames, connections, packets, torn } = await exportRecording(file, { pcap: values.pcap })
  if (torn) process.stderr.write('dohle: the recording ends in the middle of an entry, as after a crash\n')
  process.stdout.write(`${values.pcap}: ${frames} frames on ${connections} connections in ${packets} packets\n`)
}

async function main(): Promise<void> {
  const { values, positionals } = parse(process.argv.slice(2))
  if (values.version) {
    const file = new URL('../package.json', import.meta.url)
    process.stdout.write(`dohle ${(JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version}\n`)
    return
  }
  const [command, file] = positionals
  if (values.help || command === undefined) {
    process.stdout.write(HELP)
    return
  }
  if (command === 'broker' && positionals.length === 1) return runBroker(values)
  if ((command === 'replay' || command === 'export') && file !== undefined && positionals.length === 2) {
    return command === 'replay' ? runReplay(file, values) : runExport(file, values)
  }
  if (command === 'help') return void process.stdout.write(HELP)
  if (command === 'broker') throw new Usage(`broker: ${file}: its arguments are options`)
  if (command === 'replay' || command === 'export') throw new Usage(`${command}: it takes one FILE, a recording`)
  throw new Usage(`${command}: the commands are broker, replay FILE and export FILE`)
}

main().catch((error: Error) => {
  const usage = error instanceof Usage
  process.stderr.write(`dohle: ${error.message}\n${usage ? 'Try dohle --help.\n' : ''}`)
  process.exitCode = usage ? 2 : 1
})
