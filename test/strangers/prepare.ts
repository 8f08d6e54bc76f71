/** What is there before a stranger begins with a case: made with our client, and taken away after. */
import { type Consumer, Kafka } from 'dohle'
import { created, eventually } from '../integration/servers.ts'
import type { Case } from './table.ts'

/** Makes the topic, its records, and groups; returns what takes away what would go on. */
export async function prepare(bootstrap: string, of: Case, name: string): Promise<() => Promise<void>> {
  const kafka = new Kafka({ brokers: bootstrap, clientId: 'prepares' })
  const consumers: Consumer[] = []
  try {
    const admin = kafka.admin()
    if (of.topic) await created(admin, [{ topic: name, replicationFactor: 1, ...of.topic }])
    if (of.seed) {
      const messages = of.seed.map(({ partition, value, timestamp }) => ({ partition, value, timestamp }))
      await using producer = kafka.producer()
      await producer.sendBatch({ topic: name, messages })
    }
    if (of.committed) {
      const offsets = of.committed.map((offset, partition) => ({ topic: name, partition, offset }))
      await admin.alterConsumerGroupOffsets(`${name}-group`, offsets)
    }
    if (of.live) {
      const groupId = `${name}-live`
      const consumer = kafka.consumer({ groupId, autoOffsetReset: 'earliest' })
      consumers.push(consumer)
      await consumer.subscribe(name)
      void drain(consumer)
      await eventually(
        () => admin.describeGroups([groupId]),
        ([group]) => group?.state === 'Stable',
      )
    }
  } catch (error) {
    await kafka.close()
    throw error
  }
  return async () => {
    for (const consumer of consumers) await consumer.close()
    await kafka.close()
  }
}

async function drain(consumer: Consumer): Promise<void> {
  for await (const _ of consumer);
}
