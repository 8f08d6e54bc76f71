// `npm run bench`: measures Dohle beside other clients, on the same broker, with the same records, in the same run.
// Only the command line is here; what is done is in bench/lib. See docs/performance.md.

import { parseArgs } from 'node:util'
import { clients } from '../bench/lib/clients.mjs'
import { casesOf, scenarios } from '../bench/lib/scenarios.mjs'
import { packages } from './build.mjs'
import { node, supportedNode } from './lib/node.mjs'
import { run } from './lib/run.mjs'

const say = line => console.error(`bench: ${line}`)

/** All clients in JavaScript run on the same Node, whatever the one that runs this. */
const nodeVersion = '24.21.0'

const options = {
  clients: { type: 'string' },
  brokers: { type: 'string' },
  rounds: { type: 'string' },
  records: { type: 'string' },
  bytes: { type: 'string' },
  codec: { type: 'string' },
  json: { type: 'boolean', default: false },
  minutes: { type: 'string' },
  plot: { type: 'boolean', default: false },
  prebuilt: { type: 'boolean', default: false },
  update: { type: 'boolean', default: false },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
}

const help = `npm run bench -- SCENARIO... [options]     measures SCENARIO with every client, in turn, and compares them

  npm run bench -- produce --clients dohle,librdkafka --rounds 3
  npm run bench -- consume --brokers localhost:9092 --bytes 1024 --json

also
  npm run bench -- broker            the embedded broker beside a real Apache Kafka, each in a process of its own (--rounds,
                                     --records, --bytes, --codec); on Linux
  npm run bench -- smoke             every scenario, briefly: Dohle alone against the embedded broker
  npm run bench -- report FILE...    the tables (and --plot) of lines that earlier runs printed into files
  npm run bench -- micro             the small pieces on a record's way, with criterion
  npm run bench -- instructions      counts their instructions (valgrind); fails when one left its budget by 5 %
                                     (--update writes the budget anew)

options
  --clients A,B       only these (default: all; --list names them)
  --brokers ADDRESS   measure against this cluster, or 'embedded': the broker in this package
                      (default: a real Apache Kafka, started for this and stopped again)
  --rounds N          rounds per client (default 5, of a soak 1)
  --records N         records per round (default: as --list says; slow clients get fewer)
  --bytes N           size of a record: 100 (default), 1024 or 10240
  --codec NAME        none, gzip, snappy, lz4 (default), zstd
  --minutes N         how long the soak runs (default 10)
  --json              only one line of JSON per client and round, no table
  --plot              draws the medians as a bar chart: docs/performance.svg
  --prebuilt          takes the add-on as it is built now (default: builds it with the dist profile)
  --list              names scenarios and clients
  -h, --help          this text

Each line of JSON is one round of one client. CPU is user + system of the whole client process over the measured records,
after a warm-up in the same process. docs/performance.md tells what is set for each client.`

function list() {
  console.log('scenarios (records of 100 bytes per round)')
  for (const [name, { title, records }] of Object.entries(scenarios)) {
    console.log(`  ${name.padEnd(24)}${String(records ?? '').padStart(9)}  ${title}`)
  }
  console.log('clients')
  for (const [name, { title, modes }] of Object.entries(clients)) {
    console.log(`  ${name.padEnd(34)}${title} (${modes.join(', ')})`)
  }
}

/** A whole number above 0, or undefined when absent. */
function count(name, text) {
  if (text === undefined) return undefined
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} ${text}: a whole number above 0`)
  return Number(text)
}

function chosenClients(text) {
  const names = text === undefined ? Object.keys(clients) : text.split(',')
  for (const name of names) {
    if (!(name in clients)) throw new Error(`no client ${name}; there are: ${Object.keys(clients).join(', ')}`)
  }
  return names
}

const micro = ['bench', '--locked', '--manifest-path', 'native/Cargo.toml', '-p', 'dohle-micro']

async function budget(update) {
  const { instructions } = await import('../bench/lib/instructions.mjs')
  const { failures } = await instructions({ say, update })
  for (const failure of failures) say(failure)
  if (failures.length > 0) process.exitCode = 1
}

/** That every scenario works, not how fast: a few records each, with the add-on as it is built now. */
async function smoke(json) {
  const { measure } = await import('../bench/lib/measure.mjs')
  const cases = Object.keys(scenarios).flatMap(name => casesOf(name, { records: 2_000, minutes: 1 / 60 }))
  const context = { say, prebuilt: true, alone: true, nodeCommand: process.execPath }
  await measure({ cases, names: ['dohle'], rounds: 1, brokers: 'embedded', json, context })
}

async function main(args) {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  if (values.help || (positionals.length === 0 && !values.list)) return console.log(help)
  if (values.list) return list()
  supportedNode()
  if (positionals[0] === 'micro') return await run('cargo', micro)
  if (positionals[0] === 'instructions') return await budget(values.update)
  await packages(say)
  if (positionals[0] === 'report') {
    const { report } = await import('../bench/lib/measure.mjs')
    return report(positionals.slice(1), { plot: values.plot, say })
  }
  if (positionals[0] === 'smoke') return await smoke(values.json)
  const rounds = count('rounds', values.rounds)
  if (positionals[0] === 'broker') {
    const { brokerRace } = await import('../bench/lib/broker-race.mjs')
    const [records, bytes] = [count('records', values.records), count('bytes', values.bytes)]
    return await brokerRace({ rounds, records, bytes, codec: values.codec, prebuilt: values.prebuilt, say })
  }
  const sizes = {
    bytes: count('bytes', values.bytes),
    codec: values.codec,
    records: count('records', values.records),
    minutes: count('minutes', values.minutes),
  }
  const cases = positionals.flatMap(name => casesOf(name, sizes))
  const names = chosenClients(values.clients)
  const { measure } = await import('../bench/lib/measure.mjs')
  const context = { say, prebuilt: values.prebuilt, nodeCommand: await node(nodeVersion, say) }
  await measure({ cases, names, rounds, ...values, context })
}

main(process.argv.slice(2)).catch(error => {
  say(error.message)
  process.exitCode = 1
})
