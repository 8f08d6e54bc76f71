// `node bench/tracing.mjs [rounds] [records]`: what the tracing channels cost when nobody listens. The same work with Dohle as it is, with
// a copy of it that has no channels and with one that is the same, in one process, in turn: CPU per record, and medians of the ratios.
// The CPU is that of the whole process: event loop, engine and embedded broker. Runs what `npm run build` has made.

import { register } from 'node:module'
import { cpuUsage } from 'node:process'

register('./lib/untraced.mjs', import.meta.url)

const rounds = Number(process.argv[2] ?? 15)
const records = Number(process.argv[3] ?? 200_000)
const value = 'v'.repeat(100)
const window = 1_000

const { Broker } = await import('../dist/broker.js')
const copy = mark => import(new URL(`../dist/index.js?${mark}`, import.meta.url).href)
/** The second one is as the first, and tells how far two that are the same are apart. */
const copies = { real: await copy('real'), again: await copy('again'), bare: await copy('untraced') }
if (new Set(Object.values(copies).map(({ Kafka }) => Kafka)).size !== 3) throw new Error('these are no three copies')

/** Each does something with `records` records. */
const works = {
  async send({ producer, topic }) {
    for (let done = 0; done < records; done += window)
      await Promise.all(Array.from({ length: window }, () => producer.send({ topic, value })))
  },
  async sendBatch({ producer, topic }) {
    const messages = Array.from({ length: window }, () => ({ value }))
    for (let done = 0; done < records; done += window) await producer.sendBatch({ topic, messages })
  },
  async tryEnqueue({ producer, topic }) {
    for (let done = 0; done < records; done++) while (!producer.tryEnqueue({ topic, value })) await producer.flush()
    await producer.flush()
  },
  async 'for await'({ kafka, filled }) {
    const consumer = kafka.consumer()
    await consumer.assign([{ topic: filled, partition: 0, offset: 0 }])
    let left = records
    for await (const message of consumer) if (message.value.length > 0 && --left === 0) break
    await consumer.close()
  },
  async forEach({ kafka, filled }) {
    const consumer = kafka.consumer()
    await consumer.assign([{ topic: filled, partition: 0, offset: 0 }])
    let left = records
    await new Promise(resolve => {
      void consumer.forEach(() => {
        if (--left === 0) resolve()
      })
    })
    await consumer.close()
  },
}

const broker = await Broker.start({ retentionBytes: 64 << 20 })
const worlds = {}
for (const [name, { Kafka }] of Object.entries(copies)) {
  const kafka = new Kafka({ brokers: broker.address })
  worlds[name] = { kafka, producer: kafka.producer(), topic: 'written', filled: 'filled' }
}
await worlds.real.kafka.admin().createTopics([{ topic: 'written' }, { topic: 'filled' }])
await works.sendBatch({ ...worlds.real, topic: 'filled' })
for (const [what, work] of Object.entries(works)) {
  const spent = { real: [], again: [], bare: [] }
  for (let round = -3; round < rounds; round++) {
    // Each comes first, second and third equally often: what drifts is the same for all.
    const order = Object.keys(copies)
    for (let turns = (round + 3) % 3; turns > 0; turns--) order.push(order.shift())
    for (const name of order) {
      const before = cpuUsage()
      await work(worlds[name])
      const { user, system } = cpuUsage(before)
      if (round >= 0) spent[name].push(((user + system) * 1_000) / records)
    }
  }
  const ratio = (one, other) => median(spent[one].map((cpu, round) => cpu / spent[other][round])).toFixed(3)
  const cpu = `${median(spent.real).toFixed(0)} ns`.padStart(8)
  console.log(
    `${what.padEnd(12)}${cpu}, ${ratio('real', 'bare')} × without channels; the same twice: ${ratio('real', 'again')} ×`,
  )
}
for (const { kafka } of Object.values(worlds)) await kafka.close()
await broker.close()

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]
}
