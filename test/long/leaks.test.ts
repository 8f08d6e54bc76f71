import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Kafka } from 'dohle'
import { Broker } from 'dohle/broker'

const seconds = Number(process.env.DOHLE_LEAK_SECONDS ?? 20)

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

/** What this process holds, after a collection of garbage and when sockets that were closed are gone. */
async function held(): Promise<{ files: number; threads: number; rssMb: number; heapMb: number }> {
  for (let i = 0; i < 3; i++) {
    gc()
    await sleep(200)
  }
  const { rss, heapUsed } = process.memoryUsage()
  return {
    files: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    rssMb: rss / 2 ** 20,
    heapMb: heapUsed / 2 ** 20,
  }
}

/** Lives that end in different places; each opens all it uses and closes it again. */
const lives: ((broker: Broker, n: number) => Promise<void>)[] = [
  async function used(broker, n) {
    await using kafka = new Kafka({ brokers: broker.address })
    const producer = kafka.producer()
    const consumer = kafka.consumer({ groupId: `used-${n % 5}`, autoOffsetReset: 'earliest', fetchMaxWaitMs: 50 })
    await consumer.subscribe('t')
    for (let i = 0; i < 100; i++) producer.tryEnqueue({ topic: 't', value: `${n} ${i}` })
    await producer.flush()
    for await (const _ of consumer) break
  },
  async function closedWhileConnecting(broker) {
    const kafka = new Kafka({ brokers: broker.address })
    const asking = kafka.admin().listTopics()
    asking.catch(() => {})
    await kafka.close()
    await asking.catch(() => {})
  },
  async function closedWhileNobodyAnswers() {
    // Nothing listens there: metadata is waited for in vain.
    const kafka = new Kafka({ brokers: '127.0.0.1:1' })
    const sends = [1, 2, 3].map(value => kafka.producer().send({ topic: 't', value: `${value}` }))
    const settled = Promise.allSettled(sends)
    await sleep(5)
    await kafka.close({ timeout: 0 })
    assert.ok((await settled).every(({ status }) => status === 'rejected'))
  },
  async function closedWhileJoining(broker, n) {
    const kafka = new Kafka({ brokers: broker.address })
    const consumer = kafka.consumer({ groupId: `joining-${n}` })
    await consumer.subscribe('t')
    await sleep(n % 20)
    await kafka.close()
  },
  async function closedInAFetch(broker, n) {
    const kafka = new Kafka({ brokers: broker.address })
    const consumer = kafka.consumer({ fetchMaxWaitMs: 5_000 })
    await consumer.assign([{ topic: 't', partition: 0, offset: 'latest' }])
    const reading = (async () => {
      for await (const _ of consumer);
    })()
    await sleep(10 + (n % 20))
    await kafka.close()
    await reading
  },
  async function closedInACallback(broker, n) {
    const kafka = new Kafka({ brokers: broker.address })
    const consumer = kafka.consumer({ groupId: `callback-${n}` })
    let called = () => {}
    const inside = new Promise<void>(resolve => {
      called = resolve
    })
    let release = () => {}
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    await consumer.subscribe('t', {
      onAssigned: () => {
        called()
        return held
      },
    })
    const reading = (async () => {
      for await (const _ of consumer);
    })()
    await inside
    await kafka.close({ timeout: 100 }).catch(() => {})
    release()
    await reading.catch(() => {})
  },
  async function brokerGone() {
    const broker = await Broker.start({ partitions: 1 })
    const kafka = new Kafka({ brokers: broker.address, requestTimeoutMs: 100 })
    const producer = kafka.producer({ deliveryTimeoutMs: 200 })
    await producer.send({ topic: 't', value: 'v' })
    await broker.stop()
    const late = producer.send({ topic: 't', value: 'late' })
    await assert.rejects(late)
    await kafka.close({ timeout: 0 }).catch(() => {})
  },
]

test(`clients and brokers made and closed for ${seconds} s leave nothing behind`, async t => {
  const broker = await Broker.start({ partitions: 3 })
  try {
    const first = new Kafka({ brokers: broker.address })
    await first.admin().createTopics([{ topic: 't', partitions: 3 }])
    await first.close()
    let n = 0
    const live = async (until: () => boolean) => {
      while (!until()) {
        await Promise.all(lives.map(life => life(broker, n)))
        n++
      }
    }
    // The allocator and the compiler take what they keep before it is measured.
    const warm = performance.now() + (seconds * 1_000) / 4
    await live(() => performance.now() > warm && n >= 20)
    const before = await held()
    const rounds = n
    const end = performance.now() + (seconds * 1_000 * 3) / 4
    await live(() => performance.now() > end && n >= rounds + 60)
    const after = await held()
    t.diagnostic(`${n} rounds; before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`)
    assert.ok(after.files <= before.files, `open files: ${before.files}, then ${after.files}`)
    assert.ok(after.threads <= before.threads, `threads: ${before.threads}, then ${after.threads}`)
    assert.ok(after.heapMb <= before.heapMb + 5, `heap: ${before.heapMb}, then ${after.heapMb} MB`)
    // The log of the broker in this process grows by what is sent, about 10 kB in a round.
    const grown = after.rssMb - before.rssMb - ((n - rounds) * 20) / 1024
    assert.ok(grown <= 30, `memory: ${before.rssMb}, then ${after.rssMb} MB in ${n - rounds} rounds`)
  } finally {
    await broker.stop()
  }
})
