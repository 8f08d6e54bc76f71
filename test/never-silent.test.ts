import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, Message } from '../ts/index.ts'
import { random, setUp, unique } from './support.ts'

/** How long it is made difficult; `npm run test:long` takes five minutes. */
const seconds = Number(process.env.DOHLE_SILENCE_SECONDS ?? 30)
const partitions = 6
/** Nothing that works takes so long: who waits longer has gone silent. */
const SILENT_MS = 60_000

const context = setUp()

test(`pauses, resumes, seeks, rebalances and slow handlers for ${seconds} s end with lag 0`, {
  timeout: (seconds + 180) * 1_000,
}, async () => {
  const below = random(20_261_121)
  const topic = unique('difficult')
  const groupId = unique('group')
  const end = performance.now() + seconds * 1_000
  let started = 0
  /** However slow the machine: until the time is over and members have come and gone. */
  const difficult = () => performance.now() < end || started <= 3
  await context.kafka.admin().createTopics([{ topic, partitions }])

  // A stream of records that does not end before the difficulties do.
  const produced = Array.from({ length: partitions }, () => 0)
  const producer = context.kafka.producer()
  const producing = (async () => {
    while (difficult()) {
      const messages = Array.from({ length: 1 + below(50) }, () => {
        const partition = below(partitions)
        return { partition, value: String(produced[partition]!++) }
      })
      await producer.sendBatch({ topic, messages })
      await sleep(below(20))
    }
  })()

  /** How far each partition was read by anybody, one more than the last record. */
  const read = Array.from({ length: partitions }, () => 0)
  let handled = 0
  const reports: string[] = []
  const members = new Set<Member>()

  /** One member of the group: reads as `how` says until it is closed. */
  class Member {
    readonly consumer: Consumer
    readonly running: Promise<void>
    /** The next offset of each partition that it has; none after a seek or a rebalance, when any may come. */
    readonly #next = new Map<number, number>()

    constructor(how: number) {
      this.consumer = context.kafka.consumer({
        groupId,
        autoOffsetReset: 'earliest',
        autoCommitIntervalMs: 200,
        fetchMaxWaitMs: 50,
        fetchBufferBytes: [2_000, 50_000, 10_000_000][below(3)]!,
        maxPartitionFetchBytes: 2_000,
        stalledReportMs: 5_000,
        partitionAssignmentStrategy: ['cooperative-sticky'],
      })
      this.consumer.on('stalled', ({ partition, lag, idleMs, reason, cause }) => {
        reports.push(
          `partition ${partition}: ${reason} for ${idleMs} ms, lag ${lag}${cause ? `, ${cause.message}` : ''}`,
        )
      })
      this.running = this.#run(how)
      members.add(this)
    }

    async #run(how: number): Promise<void> {
      const forget = () => this.#next.clear()
      await this.consumer.subscribe(topic, { onAssigned: forget, onRevoked: forget, onLost: forget })
      if (how === 0) for await (const message of this.consumer) await this.#handle(message, true)
      else if (how === 1)
        for await (const batch of this.consumer.batches())
          for (const message of batch) await this.#handle(message, false)
      else
        await this.consumer.forEach(async message => await this.#handle(message, false), { concurrency: 'partition' })
    }

    async #handle(message: Message, ordered: boolean): Promise<void> {
      const { partition, offset } = message
      assert.equal(message.text(), String(offset))
      const next = this.#next.get(partition)
      if (ordered && next !== undefined) assert.equal(offset, next, `partition ${partition}`)
      if (ordered) this.#next.set(partition, offset + 1)
      read[partition] = Math.max(read[partition]!, offset + 1)
      handled++
      if (below(300) === 0) await sleep(below(300))
    }

    /** Something random to the partitions that it has at this moment. */
    meddle(): void {
      const assigned = this.consumer.assignment()
      if (assigned.length === 0) return
      const of = assigned[below(assigned.length)]!
      const dice = below(4)
      if (dice === 0) this.consumer.pause([of])
      else if (dice === 1) this.consumer.resume(this.consumer.paused())
      else if (dice === 2) {
        this.#next.delete(of.partition)
        this.consumer.seek({ ...of, offset: Math.max(0, read[of.partition]! - below(500)) })
      }
    }

    async close(): Promise<void> {
      members.delete(this)
      await this.consumer.close()
      await this.running
    }
  }

  const start = () => new Member(started++ % 3)
  start()
  const gone: Promise<void>[] = []
  while (difficult()) {
    await sleep(below(60))
    const all = [...members]
    const chosen = all[below(all.length)]!
    const dice = below(60)
    if (dice === 0 && all.length < 4) start()
    else if (dice === 1 && all.length > 1) gone.push(chosen.close())
    else chosen.meddle()
  }
  await producing
  await producer.close()
  await Promise.all(gone)

  // From here on nobody meddles: who is paused goes on, and everything has to be read.
  let last = { handled: -1, at: performance.now() }
  const lags = async () => {
    const all = await Promise.all([...members].map(({ consumer }) => consumer.statistics()))
    return all.flatMap(({ topics }) => Object.values(topics).flatMap(one => Object.values(one.partitions)))
  }
  for (;;) {
    for (const { consumer } of members) {
      const paused = consumer.paused()
      if (paused.length > 0) consumer.resume(paused)
    }
    const all = await lags()
    const done = all.length === partitions && all.every(one => one.app_offset === produced[one.partition])
    if (done && all.every(one => one.consumer_lag === 0)) break
    if (handled !== last.handled) last = { handled, at: performance.now() }
    const silent = performance.now() - last.at
    assert.ok(silent < SILENT_MS, `silent for ${silent} ms: ${JSON.stringify(all)}, reports: ${reports.join('\n')}`)
    await sleep(50)
  }
  assert.deepEqual(read, produced)
  assert.ok(started > 3 && handled >= produced.reduce((a, b) => a + b), `${started} members, ${handled} records`)
  await Promise.all([...members].map(member => member.close()))
})
