// The broker that is measured against: a real Apache Kafka of our own, one that is there already, or the embedded one.
// Topics are made and counted by kafkajs, so that no client's count is checked by itself.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import { KafkaServer } from '../../scripts/kafka.mjs'

/** What was deleted, or is older than a topic keeps, goes soon, so that many rounds do not fill the disk. */
const settings = {
  'log.segment.delete.delay.ms': 1_000,
  'log.retention.check.interval.ms': 10_000,
  'log.retention.hours': -1,
}

/** A broker to measure against. `stop` ends what this has started. */
export async function open(brokers, say) {
  if (brokers === 'embedded') {
    const { Broker } = await import('dohle/broker')
    const broker = await Broker.start()
    return new Topics(broker.address, 'the embedded broker', () => broker.stop())
  }
  if (brokers) return new Topics(brokers, brokers, async () => {})
  say('starting Apache Kafka')
  const server = await KafkaServer.start({ say, heap: '1g', properties: settings })
  return new Topics(server.bootstrap, 'Apache Kafka', () => server.stop(), true)
}

/** Topics of one run, on one cluster. */
class Topics {
  #admin
  #end
  #temporary
  #made = []
  #count = 0
  #run = randomBytes(3).toString('hex')

  /** `temporary`: the broker goes with all that is in it. */
  constructor(address, title, end, temporary = false) {
    this.address = address
    this.title = title
    this.#end = end
    this.#temporary = temporary
    const kafka = new Kafka({ brokers: address.split(','), logLevel: logLevel.NOTHING, clientId: 'bench' })
    this.#admin = kafka.admin()
  }

  async connect() {
    await this.#admin.connect()
    return this
  }

  /** A new topic; returns its name when it has leaders. */
  async create(partitions, hint, config = {}) {
    const topic = `bench-${this.#run}-${++this.#count}-${hint}`
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value: String(value) }))
    const topics = [{ topic, numPartitions: partitions, configEntries }]
    this.#made.push(topic)
    await this.#admin.createTopics({ topics, waitForLeaders: false })
    await until(async () => {
      const { topics } = await this.#admin.fetchTopicMetadata({ topics: [topic] })
      return topics[0].partitions.length === partitions && topics[0].partitions.every(({ leader }) => leader >= 0)
    })
    return topic
  }

  /** How many records were written to a topic; old ones may be gone by now. */
  async count(topic) {
    let ends = []
    await until(async () => {
      ends = await this.#admin.fetchTopicOffsets(topic)
      return true
    })
    return ends.reduce((sum, { high }) => sum + Number(high), 0)
  }

  /** The count, once it is `expected` or does not grow any more (with acks 0 the last records may be on their way). */
  async settledCount(topic, expected) {
    for (let last = -1, same = 0; ; await sleep(50)) {
      const count = await this.count(topic)
      same = count === last ? same + 1 : 0
      if (count >= expected || same === 20) return count
      last = count
    }
  }

  async remove(topic) {
    await this.#admin.deleteTopics({ topics: [topic] })
    this.#made = this.#made.filter(other => other !== topic)
  }

  /** Removes what is left, and ends the broker if this started it. */
  async stop() {
    try {
      if (!this.#temporary)
        for (const topic of this.#made) await this.#admin.deleteTopics({ topics: [topic] }).catch(() => {})
      await this.#admin.disconnect()
    } finally {
      await this.#end()
    }
  }
}

/** Tries until `done` says true; a broker that has just made a topic may not know all of it yet. */
async function until(done, limitMs = 120_000) {
  for (const end = Date.now() + limitMs; ; await sleep(50)) {
    try {
      if (await done()) return
    } catch (error) {
      if (Date.now() > end || !error.retriable) throw error
    }
    if (Date.now() > end) throw new Error('the broker did not get ready')
  }
}
