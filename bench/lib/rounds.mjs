// Runs the rounds of a case: each client in a process of its own, in turn (A B A B …), every produced record counted on
// the broker. Gives one result per client and round; decides nothing about how they are shown.

import { spawn } from 'node:child_process'
import { dataFile } from './data.mjs'

/** A round that takes longer than this, and than it is meant to last, has hung. */
const limitMs = 5 * 60_000

/** The clients that can run here, with their command, and those that cannot, with the reason. */
export async function setUp(names, clients, context) {
  const ready = new Map()
  const missing = new Map()
  for (const name of names) {
    try {
      ready.set(name, await clients[name].setUp(context))
    } catch (error) {
      missing.set(name, firstLines(error))
      context.say(`${name} is missing: ${missing.get(name)}`)
    }
  }
  return { ready, missing }
}

const firstLines = error =>
  String(error?.message ?? error)
    .split('\n')
    .filter(line => line.trim() !== '')
    .slice(0, 3)
    .join(' | ')

/**
 * Runs all rounds of one case; `told` gets each result as it comes:
 * `{client, result}`, `{client, failed}` or `{client, unable}` (the scenario is not for it, or it has no call for it).
 */
export async function runCase(one, { ready, clients, topics, rounds, fill, told, signal }) {
  const meant = [...ready].filter(([name]) => !one.clients || one.clients.includes(name) || ready.size === 1)
  const able = meant.filter(([name]) => clients[name].modes.includes(one.mode))
  for (const [name] of ready) if (!able.some(([other]) => other === name)) told({ client: name, unable: true })
  if (able.length === 0) return
  const data = dataFile(one.bytes)
  signal?.throwIfAborted()
  const filled = one.reads ? await fillTopic(one, { topics, fill, data, signal }) : undefined
  const broken = new Set()
  for (let round = 1; round <= (rounds ?? one.rounds ?? 5); round++) {
    for (const [name, command] of able) {
      if (broken.has(name)) continue
      const job = { ...one, records: recordsOf(one, clients[name]) }
      try {
        told({ client: name, round, result: await oneRound(job, command, { topics, data, filled, signal }) })
      } catch (error) {
        signal?.throwIfAborted()
        broken.add(name)
        told({ client: name, round, failed: firstLines(error) })
      }
    }
  }
  if (filled) await topics.remove(filled)
}

/** A slow client gets fewer records, unless the command says how many. */
const recordsOf = (one, client) => (one.given ? one.records : Math.round(one.records * (client.pace?.[one.pace] ?? 1)))

/** How many records a reader's topic has: those of the warm-up come before the measured ones only where one reader does both. */
const filledWith = one => (one.mode === 'event-loop' ? one.warmup + one.records : one.records)

async function oneRound(job, command, { topics, data, filled, signal }) {
  signal?.throwIfAborted()
  const topic = filled ?? (await topics.create(job.partitions, job.name, job.topicConfig))
  try {
    const result = await runProgram(command, { ...job, data, topic, brokers: topics.address }, signal)
    if (job.mode !== 'soak' && result.records !== job.records)
      throw new Error(`measured ${result.records} records, not ${job.records}`)
    if (filled === undefined) await verify(job, result, topics, topic)
    return result
  } finally {
    if (filled === undefined && !signal?.aborted) await topics.remove(topic)
  }
}

/** What the client says it wrote, what it was asked to write, and what is on the broker must be the same number. */
async function verify(job, result, topics, topic) {
  const expected = job.mode === 'soak' ? result.written : job.records + job.warmup
  const count = await topics.settledCount(topic, expected)
  if (result.written !== expected || count !== expected) {
    throw new Error(`asked for ${expected} records, the client says ${result.written}, on the broker are ${count}`)
  }
}

/** A topic with the records that readers read, written once per case by one client for all. */
async function fillTopic(one, { topics, fill, data, signal }) {
  const topic = await topics.create(one.partitions, one.name)
  const records = filledWith(one)
  const job = { ...one, mode: 'enqueue', records, warmup: 0, flags: {}, data, topic, brokers: topics.address }
  await runProgram(fill, job, signal)
  const count = await topics.settledCount(topic, records)
  if (count !== records) throw new Error(`the topic to be read has ${count} records instead of ${records}`)
  return topic
}

/** Starts a client's program with the flags that all of them take, and returns what it prints last. `signal` ends it at once. */
export function runProgram([command, ...args], job, signal) {
  const { brokers, topic, mode, records, warmup, bytes, codec, partitions, data, flags = {} } = job
  const given = { brokers, topic, mode, records, warmup, bytes, codec, partitions, data, ...flags }
  const words = Object.entries(given).flatMap(([name, value]) => [`--${name}`, String(value)])
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NODE_ENV: 'production' }
    const child = spawn(command, [...args, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
      signal,
      killSignal: 'SIGKILL',
    })
    const late = setTimeout(() => child.kill('SIGKILL'), limitMs + (flags.seconds ?? 0) * 1e3)
    let out = ''
    let err = ''
    child.stdout.on('data', bytes => {
      out += bytes
    })
    child.stderr.on('data', bytes => {
      err = (err + bytes).slice(-4000)
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(late)
      if (code !== 0) {
        return reject(
          new Error(`ended ${signal ? `by ${signal}` : `with exit code ${code}`}: ${err.trim() || out.trim()}`),
        )
      }
      try {
        resolve(JSON.parse(out.trim().split('\n').at(-1)))
      } catch {
        reject(new Error(`printed no result: ${out.trim() || err.trim()}`))
      }
    })
  })
}
