// One run of the benchmark: sets up the clients, opens a broker, runs all cases, shows the results.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../scripts/lib/paths.mjs'
import { open } from './brokers.mjs'
import { clients } from './clients.mjs'
import { onInterrupt } from './interrupt.mjs'
import { chart, grouped } from './plot.mjs'
import { line, table } from './report.mjs'
import { runCase, setUp } from './rounds.mjs'
import { scenarios } from './scenarios.mjs'

/** Runs `cases` with the clients of `names`. Sets the exit code when a client failed, not when one is missing. */
export async function measure({ cases, names, rounds, brokers, json, plot, context }) {
  const { say } = context
  const { ready, missing } = await setUp(names, clients, context)
  if (ready.size === 0) throw new Error('no client can be set up on this machine')
  const fill = cases.some(one => one.reads) ? await filler(ready, context) : undefined
  const shown = []
  const interrupt = onInterrupt(say)
  try {
    const topics = await open(brokers, say)
    try {
      await topics.connect()
      for (const one of cases) {
        const lines = []
        const notes = [...missing].map(([client, reason]) => [client, `missing: ${reason}`])
        for (const [client, reason] of missing) print({ client, scenario: one.name, missing: reason })
        const told = ({ client, round, result, failed, unable }) => {
          if (result) {
            lines.push(line(one, client, result))
            return print(lines.at(-1))
          }
          notes.push([client, unable ? 'has nothing for this scenario' : `failed in round ${round}: ${failed}`])
          if (failed) process.exitCode = 1
          print(
            unable
              ? { client, scenario: one.name, missing: 'has nothing for this scenario' }
              : { client, scenario: one.name, failed },
          )
        }
        await runCase(one, { ready, clients, topics, rounds, fill, told, signal: interrupt.signal })
        shown.push({ one, lines, notes })
        if (!json) console.log(`\n${table(one, lines, notes)}\n`)
      }
    } finally {
      await topics.stop()
    }
  } catch (error) {
    if (!interrupt.signal.aborted) throw error
    say('interrupted: the topics are deleted, and what was started is stopped')
    process.exitCode = interrupt.exitCode
    return
  } finally {
    interrupt.end()
  }
  if (plot)
    draw(
      shown.flatMap(({ lines }) => lines),
      say,
    )
}

/** Tables, and with `plot` the chart, of lines that earlier runs have printed into files. */
export function report(files, { plot, say }) {
  const all = files.flatMap(file => readFileSync(file, 'utf8').split('\n'))
  const lines = all.filter(text => text.startsWith('{')).map(text => JSON.parse(text))
  const measured = lines.filter(({ recordsPerSecond }) => recordsPerSecond !== undefined)
  for (const group of grouped(measured).values()) {
    const { scenario: name, recordBytes: bytes, codec } = group[0]
    const notes = lines
      .filter(({ scenario, missing, failed }) => scenario === name && (missing ?? failed))
      .map(({ client, missing, failed }) => [client, missing ? `missing: ${missing}` : `failed: ${failed}`])
    const unique = [...new Map(notes.map(note => [note.join(), note])).values()]
    console.log(`\n${table({ name, bytes, codec, title: scenarios[name]?.title ?? '' }, group, unique)}`)
  }
  if (plot) draw(measured, say)
}

function draw(lines, say) {
  const file = join('docs', 'performance.svg')
  writeFileSync(join(root, file), chart(lines))
  say(`drawn: ${file}`)
}

const print = object => console.log(JSON.stringify(object))

/** Who writes the topics that are read: librdkafka where it can be had, so that all readers read a foreign hand. */
async function filler(ready, context) {
  if (context.alone) return [...ready.values()][0]
  for (const name of ['librdkafka', 'dohle-rust', 'dohle']) {
    const command = ready.get(name) ?? (await setUp([name], clients, context)).ready.get(name)
    if (command) return command
  }
  throw new Error('no client can write the topics that are read')
}
