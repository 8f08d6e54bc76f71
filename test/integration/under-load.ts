/** A producer and a group's consumer at work while brokers are killed, and what must hold of it afterwards. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Consumer, Kafka, type Producer } from 'dohle'
import { created } from './servers.ts'

/** No send may take longer; far more than a restart takes on a machine that is very slow. */
const deliveryTimeoutMs = 600_000

/** Waits until something is so; the bound is for a machine that is very slow. */
export async function until(what: string, so: () => boolean, boundMs = 240_000): Promise<void> {
  const end = performance.now() + boundMs
  while (!so()) {
    assert.ok(performance.now() < end, `${what}: not within ${boundMs / 1_000} s`)
    await sleep(20)
  }
}

/** A real Kafka, one broker or several, with its tools; or nodes of the embedded broker. */
export interface Servers {
  readonly bootstrap: string
  tool?(name: string, args: string[]): Promise<string>
}

/** Records that count up, sent to the partitions of one topic in turn, and read by a member of a group. */
export class UnderLoad {
  /** The number of each record, by partition and offset, as the producer was told. */
  readonly acknowledged = new Map<string, number>()
  /** The same, as the consumer saw it. */
  readonly consumed = new Map<string, number>()
  /** The longest that a send took. */
  slowestMs = 0
  readonly #failures: unknown[] = []
  readonly #kafka: Kafka
  readonly #servers: Servers
  readonly #topic: string
  readonly #partitions: number
  readonly #producer: Producer
  readonly #consumer: Consumer
  readonly #stop = new AbortController()
  #inFlight = 0
  #producing = true
  #load: Promise<void> | undefined
  #reading: Promise<void> | undefined
  /** Why the consumer's loop has ended before it was to. */
  #broken: unknown

  constructor(servers: Servers, topic: string, partitions: number) {
    this.#servers = servers
    this.#topic = topic
    this.#partitions = partitions
    this.#kafka = new Kafka({ brokers: servers.bootstrap })
    this.#producer = this.#kafka.producer({ compression: 'lz4', deliveryTimeoutMs })
    this.#consumer = this.#kafka.consumer({ groupId: topic, autoOffsetReset: 'earliest' })
  }

  /** Makes the topic and begins. */
  async begin(): Promise<void> {
    await created(this.#kafka.admin(), [{ topic: this.#topic, partitions: this.#partitions }])
    this.#load = this.#produce()
    await this.#consumer.subscribe(this.#topic)
    this.#reading = this.#read()
    this.#reading.catch(() => {}) // awaited in `end`
  }

  async #produce(): Promise<void> {
    for (let number = 0; this.#producing; number++) {
      const partition = number % this.#partitions
      this.#inFlight++
      const begun = performance.now()
      this.#producer.send({ topic: this.#topic, partition, value: `${number}` }).then(
        ({ offset }) => {
          this.#inFlight--
          this.slowestMs = Math.max(this.slowestMs, performance.now() - begun)
          this.acknowledged.set(`${partition}:${offset}`, number)
        },
        error => {
          this.#inFlight--
          this.#failures.push(error)
        },
      )
      if (number % 50 === 49) await sleep(5)
      while (this.#producing && this.#inFlight > 5_000) await sleep(5)
    }
  }

  async #read(): Promise<void> {
    try {
      for await (const batch of this.#consumer.batches({ signal: this.#stop.signal })) {
        for (const { partition, offset, value } of batch) this.consumed.set(`${partition}:${offset}`, Number(value))
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return
      this.#broken = error
      throw error
    }
  }

  /** Waits until something is so of the consumer, whose loop goes on. */
  async #follows(what: string, so: () => boolean): Promise<void> {
    await until(what, () => {
      if (this.#broken !== undefined) throw this.#broken
      return so()
    })
  }

  /** Waits until `count` more are acknowledged, and the consumer has begun. */
  async advance(count: number, when: string): Promise<void> {
    const mark = this.acknowledged.size + count
    await until(`${mark} acknowledgements ${when}`, () => this.acknowledged.size >= mark)
    await this.#follows('the consumer follows', () => this.consumed.size > 0)
  }

  /** Stops sending; waits for all that is under way, and for the consumer; then checks the log against what was told. */
  async endAndCheck(): Promise<void> {
    this.#producing = false
    await this.#load
    await this.#producer.flush()
    await until('all answers', () => this.#inFlight === 0)
    assert.deepEqual(this.#failures, [], 'no send failed')
    assert.ok(this.slowestMs <= deliveryTimeoutMs, `a send took ${this.slowestMs} ms`)

    const log = await this.#wholeLog()
    const numbers = [...log.values()]
    assert.equal(new Set(numbers).size, numbers.length, 'no record is in the log twice')
    for (const [place, number] of this.acknowledged) assert.equal(log.get(place), number, `acknowledged at ${place}`)
    assert.equal(log.size, this.acknowledged.size, 'all that is in the log was acknowledged')
    for (let partition = 0; partition < this.#partitions; partition++) {
      const order = [...log].filter(([place]) => place.startsWith(`${partition}:`)).map(([, number]) => number)
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
        `order in partition ${partition}`,
      )
    }

    await this.#follows('the consumer has read everything', () => this.consumed.size >= log.size)
    assert.deepEqual(new Map([...this.consumed].sort()), new Map([...log].sort()), 'the consumer saw the log')
    await this.#follows('no lag', () => this.#lag() === 0)
    this.#stop.abort()
    await this.#reading
    await this.#consumer.commit()
    const places = Array.from({ length: this.#partitions }, (_, partition) => ({ topic: this.#topic, partition }))
    for (const { partition, offset } of await this.#consumer.committed(places)) {
      const there = [...log.keys()].filter(place => place.startsWith(`${partition}:`)).length
      assert.equal(offset, there, `what the group has committed of partition ${partition}`)
    }
    await this.#kafka.close()
  }

  #lag(): number {
    const lags = this.#consumer.assignment().map(of => this.#consumer.lag(of) ?? Number.POSITIVE_INFINITY)
    return lags.length < this.#partitions ? Number.POSITIVE_INFINITY : lags.reduce((a, b) => a + b, 0)
  }

  /** How many records there are, as somebody else says: Kafka's own tool, if there is one. */
  async #size(): Promise<number> {
    let size = 0
    if (this.#servers.tool) {
      const args = ['--bootstrap-server', '@broker', '--topic', this.#topic]
      const lines = await this.#servers.tool('GetOffsetShell', args)
      for (const line of lines.trim().split('\n')) size += Number(line.split(':')[2])
      return size
    }
    await using kafka = new Kafka({ brokers: this.#servers.bootstrap })
    const offset = { kind: 'latest' as const }
    const of = Array.from({ length: this.#partitions }, (_, partition) => ({ topic: this.#topic, partition, offset }))
    for (const end of await kafka.admin().listOffsets(of)) size += Number(end.offset)
    return size
  }

  /** All records by `partition:offset`, in order, read by another client of ours without a group. */
  async #wholeLog(): Promise<Map<string, number>> {
    let left = await this.#size()
    const kafka = new Kafka({ brokers: this.#servers.bootstrap })
    const reader = kafka.consumer({ enableAutoCommit: false })
    const places = Array.from({ length: this.#partitions }, (_, partition) => ({ topic: this.#topic, partition }))
    const log = new Map<string, number>()
    await reader.assign(places.map(place => ({ ...place, offset: 0 })))
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
}
