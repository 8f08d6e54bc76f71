/** The exactly-once example, killed again and again: what it writes holds each input record once. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka } from 'dohle'
import { KafkaServer } from '../../scripts/kafka.mjs'
import { root } from '../../scripts/lib/paths.mjs'
import { created, unique } from './servers.ts'

const kills = Number(process.env.DOHLE_PROGRAM_KILLS ?? 4)
const brokerKills = Number(process.env.DOHLE_KILLS ?? 2)
const partitions = 4
const instances = ['one', 'two']

let server: KafkaServer
let kafka: Kafka
before(async () => {
  server = await KafkaServer.start()
  kafka = new Kafka({ brokers: server.bootstrap })
})
after(async () => {
  await kafka?.close()
  await server?.stop()
})

/** A process that runs the example under a name of its own. */
class Instance {
  /** Transactions that it has told of. */
  done = 0
  #child: ChildProcess
  #said = ''

  constructor(name: string, INPUT: string, OUTPUT: string) {
    const env = { ...process.env, KAFKA: server.bootstrap, INPUT, OUTPUT, INSTANCE: name }
    const args = ['--import=tsx', join(root, 'examples', 'exactly-once.ts')]
    this.#child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.on('data', text => {
        this.#said = (this.#said + text).slice(-4_000)
        this.done += `${text}`.split('records of partition').length - 1
      })
    }
  }

  /** Waits until it has told of `count` transactions; the bound is for a machine that is very slow. */
  async until(count: number): Promise<void> {
    for (const end = Date.now() + 300_000; this.done < count; await sleep(10)) {
      assert.equal(this.#child.exitCode, null, this.#said)
      assert.ok(Date.now() < end, `nothing comes out: ${this.#said}`)
    }
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill(signal)
    const [code, by] = await ended
    if (signal === 'SIGTERM') assert.deepEqual([code, by], [0, null], this.#said)
  }
}

/** Runs two instances of the example under load while `disturb` does its worst, and looks at what they have written. */
async function exactlyOnce(disturb: (running: Instance[], start: (name: string) => Instance) => Promise<void>) {
  const [input, output] = [unique('once-input'), unique('once-output')]
  await created(
    kafka.admin(),
    [input, output].map(topic => ({ topic, partitions })),
  )

  let written = 0
  let writing = true
  const producer = kafka.producer({ deliveryTimeoutMs: 600_000 })
  const load = (async () => {
    while (writing) {
      const messages = Array.from({ length: 20 }, (_, i) => ({ key: `${written + i}`, value: `v${written + i}` }))
      await producer.sendBatch({ topic: input, messages })
      written += messages.length
      await sleep(10)
    }
  })()

  const start = (name: string) => new Instance(name, input, output)
  const running = instances.map(start)
  try {
    await disturb(running, start)
    writing = false
    await load
    const values = await wholeTopic(output, written)
    await Promise.all(running.map(instance => instance.end('SIGTERM')))
    assert.deepEqual(
      values.sort((a, b) => a - b),
      Array.from({ length: written }, (_, i) => i),
    )
    const again = await wholeTopic(output, written)
    assert.equal(again.length, written, 'nothing came after that')
  } finally {
    writing = false
    await Promise.all(running.map(instance => instance.end('SIGKILL')))
  }
  if (process.env.DOHLE_TEST_VERBOSE) console.error(`${written} records`)
}

test(`killed ${kills} times, the example writes each record once`, async () => {
  const begun = Date.now()
  await exactlyOnce(async (running, start) => {
    for (let kill = 0; kill < kills; kill++) {
      const which = kill % instances.length
      // It works, and is killed anywhere between two transactions or within one.
      await running[which]!.until(2)
      await sleep(Math.random() * 200)
      await running[which]!.end('SIGKILL')
      running[which] = start(instances[which]!)
    }
    for (const instance of running) await instance.until(1)
  })
  const seconds = Math.round((Date.now() - begun) / 1_000)
  if (process.env.DOHLE_TEST_VERBOSE) console.error(`${kills} kills in ${seconds} s`)
  assert.ok(kills < 50 || seconds < 600 * (kills / 50), `${kills} kills took ${seconds} s`)
})

test('the broker killed below it, the example goes on and writes each record once', async () => {
  await exactlyOnce(async running => {
    for (let kill = 0; kill < brokerKills; kill++) {
      const marks = running.map(instance => instance.done + 3)
      for (const [i, instance] of running.entries()) await instance.until(marks[i]!)
      await sleep(Math.random() * 200)
      await server.kill()
      await server.restart()
    }
    const marks = running.map(instance => instance.done + 3)
    for (const [i, instance] of running.entries()) await instance.until(marks[i]!)
  })
})

/** The numbers in a topic as whoever reads committed sees them: at least `least` of them, and all that there are then. */
async function wholeTopic(topic: string, least: number): Promise<number[]> {
  const consumer = kafka.consumer({ isolationLevel: 'read_committed' })
  const places = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
  await consumer.assign(places.map(place => ({ ...place, offset: 'earliest' as const })))
  const values: number[] = []
  for await (const batch of consumer.batches()) {
    for (const message of batch) values.push(Number(message.text()!.slice(1)))
    if (values.length >= least && places.every(place => consumer.lag(place) === 0)) break
  }
  await consumer.close()
  return values
}
