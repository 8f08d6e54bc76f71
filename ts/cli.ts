#!/usr/bin/env node
/**
 * The command `dohle`: `npx dohle broker` runs an embedded broker until it is told to stop.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Broker, type BrokerOptions } from './broker.ts'

const HELP = `A Kafka-compatible broker of one node. Without a log folder it is in memory, and what it holds is gone when it stops.

usage: dohle broker [options]

  -c, --config FILE         settings in the form of Kafka's server.properties
  -p, --port PORT           port to listen on, in plaintext, in place of the file's listeners (default: 9092; 0: a free one)
      --override KEY=VALUE  one setting; goes before the file's; may be repeated
      --log-dir DIR         keep everything in this folder, laid out as Kafka's (log.dirs)
      --allow-non-loopback  listen where other machines can reach it
  -v, -vv                   log what happens, or every detail, to standard error
  -h, --help                this text
      --version             the version

The first line on standard output is the address, once it can be connected to.
SIGINT (Ctrl-C) and SIGTERM stop it.
`

/** Wrong arguments: exit code 2. */
class Usage extends Error {}

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
        'allow-non-loopback': { type: 'boolean' },
        verbose: { type: 'boolean', short: 'v', multiple: true },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
      },
    })
  } catch (error) {
    throw new Usage((error as Error).message)
  }
}

function optionsOf(values: ReturnType<typeof parse>['values']): BrokerOptions {
  const properties: Record<string, string> = {}
  for (const pair of values.override ?? []) {
    const at = pair.indexOf('=')
    if (at < 0) throw new Usage(`--override ${pair}: it must be KEY=VALUE`)
    properties[pair.slice(0, at).trim()] = pair.slice(at + 1).trim()
  }
  const options: BrokerOptions = { properties, logToStderr: (['warn', 'info', 'debug'] as const)[verbosity(values)] }
  if (values.config !== undefined) options.serverProperties = readFileSync(values.config, 'utf8')
  if (values['log-dir'] !== undefined) options.logDir = values['log-dir']
  if (values['allow-non-loopback']) options.allowNonLoopback = true
  if (values.port === undefined) {
    // What the file says about listeners goes before it.
    options.port = 9092
  } else {
    const port = Number(values.port)
    if (!/^\d+$/.test(values.port) || port > 65_535) throw new Usage(`--port ${values.port}: it must be 0 to 65535`)
    // The port that is asked for goes before the listeners of the file, and before what it says of them.
    options.port = port
    properties.listeners = ''
    properties['advertised.listeners'] = ''
  }
  return options
}

const verbosity = (values: ReturnType<typeof parse>['values']) => Math.min(values.verbose?.length ?? 0, 2)

async function main(): Promise<void> {
  const { values, positionals } = parse(process.argv.slice(2))
  if (values.version) {
    const file = new URL('../package.json', import.meta.url)
    process.stdout.write(`dohle ${(JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version}\n`)
    return
  }
  if (values.help || positionals.length === 0) {
    process.stdout.write(HELP)
    return
  }
  if (positionals.length !== 1 || positionals[0] !== 'broker') {
    throw new Usage(`${positionals.join(' ')}: there is one command, broker`)
  }
  // Before it starts: a signal that comes early is not lost.
  const stop = new Promise<void>(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  await using broker = await Broker.start(optionsOf(values))
  if (verbosity(values) > 0) for (const notice of broker.notices) console.error(` INFO ${values.config}: ${notice}`)
  process.stdout.write(`${broker.address}\n`)
  await stop
}

main().catch((error: Error) => {
  const usage = error instanceof Usage
  process.stderr.write(`dohle: ${error.message}\n${usage ? 'Try dohle --help.\n' : ''}`)
  process.exitCode = usage ? 2 : 1
})
