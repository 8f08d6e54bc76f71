// The broker that is measured against: a real Apache Kafka of our own, one that is there already, or the embedded one.
// Topics are made and counted by kafkajs, so that no client's count is checked by itself.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import { KafkaServer } from '../../scripts/kafka.mjs'

/** Segments of deleted topics go at once, so that many rounds do not fill the disk; 2 GB of heap are not needed. */
const settings = { 'log.segment.delete.delay.ms': 1000, 'file.delete.delay.ms': 1000, 'log.retention.hours': -1 }

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
  return new Topics(server.bootstrap, 'Apache Kafka', () => server.stop())
}

/** Topics of one run, on one cluster. */
class Topics {
  #admin
  #end
  #made = []
  #count = 0
  #run = randomBytes(3).toString('hex')

  constructor(address, title, end) {
    this.address = address
    this.title = title
    this.#end = end
    const kafka = new Kafka({ brokers: address.split(','), logLevel: logLevel.NOTHING, clientId: 'bench' })
    this.#admin = kafka.admin()
  }

  async connect() {
    await this.#admin.connect()
    return this
  }

  /** A new topic; returns its name when it has leaders. */
  async create(partitions, hint) {
    const topic = `bench-${this.#run}-${++this.#count}-${hint}`
    await this.#admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true })
    this.#made.push(topic)
    return topic
  }

  /** How many records there are in a topic. */
  async count(topic) {
    const ends = await this.#admin.fetchTopicOffsets(topic)
    return ends.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0)
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
    this.#made = this.#made.filter(other => other !== topic)
    await this.#admin.deleteTopics({ topics: [topic] })
  }

  /** Removes what is left, and ends the broker if this started it. */
  async stop() {
    if (this.#made.length > 0) await this.#admin.deleteTopics({ topics: this.#made }).catch(() => {})
    await this.#admin.disconnect()
    await this.#end()
  }
}
