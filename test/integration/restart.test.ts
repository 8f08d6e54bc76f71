import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka } from 'dohle'
import { KafkaServer } from '../../scripts/kafka.mjs'

const partitions = 3
const kills = Number(process.env.DOHLE_KILLS ?? 2)
const perRound = Number(process.env.DOHLE_RECORDS_PER_ROUND ?? 2_000)

let server: KafkaServer
before(async () => {
  server = await KafkaServer.start({ properties: { 'num.partitions': partitions } })
})
let passed = false
after(async () => {
  await server?.stop({ keep: !passed })
  if (server && !passed) console.error(`Kafka's log is kept: ${server.log}`)
})

/** Waits until something is so; the bound is for a machine that is very slow. */
async function until(what: string, so: () => boolean, boundMs = 240_000): Promise<void> {
  const end = performance.now() + boundMs
  while (!so()) {
    assert.ok(performance.now() < end, `${what}: not within ${boundMs / 1_000} s`)
    await sleep(20)
  }
}

test('a broker killed under load: nothing acknowledged is lost, nothing is twice, order holds, the consumer goes on', async () => {
  const topic = 'under-load'
  const kafka = new Kafka({ brokers: server.bootstrap })
  await kafka.admin().createTopics([{ topic, partitions }])

  // The number of each record, by partition and offset, as the producer was told and as the consumer saw it.
  const acknowledged = new Map<string, number>()
  const consumed = new Map<string, number>()
  const failures: unknown[] = []
  let inFlight = 0
  let producing = true

  const producer = kafka.producer({ compression: 'lz4', deliveryTimeoutMs: 600_000 })
  const load = (async () => {
    for (let number = 0; producing; number++) {
      const partition = number % partitions
      inFlight++
      producer.send({ topic, partition, value: `${number}` }).then(
        ({ offset }) => {
          inFlight--
          acknowledged.set(`${partition}:${offset}`, number)
        },
        error => {
          inFlight--
          failures.push(error)
        },
      )
      if (number % 50 === 49) await sleep(5)
      while (producing && inFlight > 5_000) await sleep(5)
    }
  })()

  const consumer = kafka.consumer({ groupId: 'under-load', autoOffsetReset: 'earliest' })
  await consumer.subscribe(topic)
  const stop = new AbortController()
  const reading = (async () => {
    try {
      for await (const message of consumer.batches({ signal: stop.signal })) {
        for (const { partition, offset, value } of message) consumed.set(`${partition}:${offset}`, Number(value))
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error
    }
  })()
  reading.catch(() => {}) // awaited below

  for (let round = 1; round <= kills; round++) {
    const mark = acknowledged.size + perRound
    await until(`${mark} acknowledgements before kill ${round}`, () => acknowledged.size >= mark)
    await until('the consumer follows', () => consumed.size > 0)
    await server.kill()
    await sleep(500)
    await server.restart()
  }
  const mark = acknowledged.size + perRound
  await until('acknowledgements after the last restart', () => acknowledged.size >= mark)
  producing = false
  await load
  await producer.flush()
  await until('all answers', () => inFlight === 0)
  assert.deepEqual(failures, [], 'no send failed')

  // What the log has, read by another client of ours without a group.
  const log = await wholeLog(topic)
  const numbers = [...log.values()]
  assert.equal(new Set(numbers).size, numbers.length, 'no record is in the log twice')
  for (const [place, number] of acknowledged) assert.equal(log.get(place), number, `acknowledged at ${place}`)
  assert.equal(log.size, acknowledged.size, 'all that is in the log was acknowledged')
  for (let partition = 0; partition < partitions; partition++) {
    const order = [...log].filter(([place]) => place.startsWith(`${partition}:`)).map(([, number]) => number)
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
      `order in partition ${partition}`,
    )
  }

  await until('the consumer has read everything', () => consumed.size >= log.size)
  assert.deepEqual(new Map([...consumed].sort()), new Map([...log].sort()), 'the consumer saw the log')
  stop.abort()
  await reading
  await kafka.close()
  passed = true
})

/** All records of a topic by `partition:offset`, in order. */
async function wholeLog(topic: string): Promise<Map<string, number>> {
  const lines = await server.tool('GetOffsetShell', ['--bootstrap-server', '@broker', '--topic', topic])
  let left = 0
  for (const line of lines.trim().split('\n')) left += Number(line.split(':')[2])
  const log = new Map<string, number>()
  const kafka = new Kafka({ brokers: server.bootstrap })
  const reader = kafka.consumer({ enableAutoCommit: false })
  await reader.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 })))
  for await (const batch of reader.batches()) {
    for (const { partition, offset, value } of batch) {
      log.set(`${partition}:${offset}`, Number(value))
      left--
    }
    if (left <= 0) break
  }
  await kafka.close()
  return log
}
