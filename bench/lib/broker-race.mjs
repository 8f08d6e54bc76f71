// `bench -- broker`: the embedded broker beside Apache Kafka, each in a process of its own, both asked the same by librdkafka,
// in turn (A B A B …). What counts is the server: records per second, and its CPU (user + system) per record.

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from '../../scripts/build.mjs'
import { KafkaServer } from '../../scripts/kafka.mjs'
import { root } from '../../scripts/lib/paths.mjs'
import { open } from './brokers.mjs'
import { dataFile } from './data.mjs'
import { librdkafka } from './librdkafka.mjs'
import { median } from './report.mjs'
import { runProgram } from './rounds.mjs'

const TICKS_PER_SECOND = 100

/** Runs the rounds and prints a line of JSON for each, and a table of medians. */
export async function brokerRace({ rounds = 5, records = 2_000_000, bytes = 100, codec = 'lz4', prebuilt, say }) {
  if (!prebuilt) await build(say, 'dist')
  const command = [await librdkafka(say)]
  const job = { records, warmup: Math.ceil(records / 10), bytes, codec, partitions: 6, data: dataFile(bytes) }
  const lines = []
  const servers = [await embedded()]
  try {
    say('starting Apache Kafka')
    servers.push(await kafka(say))
    for (let round = 1; round <= rounds; round++) {
      for (const server of servers) {
        const { topics } = server
        const topic = await topics.create(job.partitions, 'race')
        // Each record that is read has been written a moment ago: both servers have it in memory.
        const read = { ...job, mode: 'consume', records: job.records, warmup: job.warmup }
        for (const given of [{ ...job, mode: 'enqueue' }, read]) {
          const before = cpuSeconds(server.pid)
          const result = await runProgram(command, { ...given, topic, brokers: topics.address })
          const cpu = cpuSeconds(server.pid) - before
          lines.push({
            broker: server.name,
            does: given.mode === 'consume' ? 'fetch' : 'produce',
            recordBytes: bytes,
            codec,
            recordsPerSecond: Math.round(result.records / result.seconds),
            // The warm-up is work of the server too.
            cpuMicrosPerRecord: Number(((cpu * 1e6) / (job.records + job.warmup)).toFixed(4)),
            residentMb: residentMb(server.pid),
          })
          console.log(JSON.stringify(lines.at(-1)))
        }
        await topics.remove(topic)
      }
    }
  } finally {
    for (const server of servers) await server.stop()
  }
  console.log(`\n${table(lines)}`)
}

async function embedded() {
  const args = [join(root, 'dist', 'cli.js'), 'broker', '--port', '0']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [address] = await Promise.race([
    new Promise(resolve => createInterface({ input: child.stdout }).once('line', line => resolve([line]))),
    new Promise((_, reject) =>
      child.once('exit', code => reject(new Error(`the broker ended with exit code ${code}`))),
    ),
  ])
  const topics = await (await open(address)).connect()
  const stop = async () => {
    await topics.stop()
    const ended = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
  }
  return { name: 'embedded', pid: child.pid, topics, stop }
}

async function kafka(say) {
  const server = await KafkaServer.start({ say, heap: '1g' })
  const topics = await (await open(server.bootstrap)).connect()
  const stop = async () => {
    await topics.stop()
    await server.stop()
  }
  return { name: 'Apache Kafka', pid: server.pid, topics, stop }
}

/** User and system time that a process has used. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

const residentMb = pid =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024)

/** Medians, and what the embedded broker is to Kafka. */
function table(lines) {
  const rows = ['| | records/s | CPU µs/record | resident MB |', '|---|---|---|---|']
  for (const does of ['produce', 'fetch']) {
    const of = (name, field) => median(lines.filter(l => l.broker === name && l.does === does).map(l => l[field]))
    for (const name of ['embedded', 'Apache Kafka']) {
      const cells = ['recordsPerSecond', 'cpuMicrosPerRecord', 'residentMb'].map(field => of(name, field))
      rows.push(`| ${does}: ${name} | ${cells.join(' | ')} |`)
    }
    const ratio = field => (of('embedded', field) / of('Apache Kafka', field)).toFixed(2)
    rows.push(
      `| ${does}: ratio | ${ratio('recordsPerSecond')} | ${ratio('cpuMicrosPerRecord')} | ${ratio('residentMb')} |`,
    )
  }
  return rows.join('\n')
}
