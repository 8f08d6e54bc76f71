/** Our client, as one of the peers. */
import { type Consumer, Kafka } from 'dohle'
import { codecs, type Expected, type Peer, type Received } from './peer.ts'

export const dohle: Peer = {
  name: 'dohle',
  codecs,
  setsTimestamps: true,
  binaryHeaders: true,
  canWrite: () => true,
  async write(bootstrap, jobs) {
    const kafka = new Kafka({ brokers: bootstrap, clientId: 'interop' })
    try {
      for (const { topic, codec, records } of jobs) {
        const producer = kafka.producer({ compression: codec })
        const messages = records.map(({ key, value, headers, partition, timestamp }) => ({
          key,
          value,
          headers: [...headers] as [string, Buffer | null][],
          partition,
          timestamp,
        }))
        await producer.sendBatch({ topic, messages })
        await producer.close()
      }
    } finally {
      await kafka.close()
    }
  },
  async read(bootstrap, topics) {
    const kafka = new Kafka({ brokers: bootstrap, clientId: 'interop' })
    try {
      const consumer = kafka.consumer({
        groupId: `interop-${Math.random().toString(36).slice(2)}`,
        autoOffsetReset: 'earliest',
      })
      await consumer.subscribe(topics.map(({ topic }) => topic))
      return await readAll(consumer, topics)
    } finally {
      await kafka.close()
    }
  },
}

/** Reads until every topic has given what it must have, then for a moment more: what should not be there shows. */
async function readAll(consumer: Consumer, topics: readonly Expected[]): Promise<Received[]> {
  const want = topics.reduce((sum, { count }) => sum + count, 0)
  const all: Received[] = []
  const enough = new AbortController()
  if (want === 0) return all
  try {
    for await (const batch of consumer.batches({ signal: enough.signal })) {
      for (const message of batch) {
        const { topic, partition, offset, timestamp, key, value, headers } = message.copy()
        all.push({ topic, partition, offset, timestamp, key, value, headers: [...headers] })
      }
      if (all.length >= want) setTimeout(() => enough.abort(), 250)
    }
  } catch (error) {
    if (!enough.signal.aborted) throw error
  }
  return all
}
