/** What tests of admin operations on groups begin with. */
import { after, before } from 'node:test'
import { type Admin, Kafka, KafkaError } from 'dohle'
import { created, realKafka, type Server, unique } from './servers.ts'

/** For `assert.rejects`: an error of this code. */
export const code = (expected: string) => (error: unknown) => error instanceof KafkaError && error.code === expected

/** A client of the real Kafka for the tests of the calling suite, closed after them. */
export function administered(clientId: string) {
  const context = {} as { bootstrap: string; kafka: Kafka; admin: Admin }
  let server: Server
  before(async () => {
    server = await realKafka()
    context.bootstrap = server.bootstrap
    context.kafka = new Kafka({ brokers: server.bootstrap, clientId })
    context.admin = context.kafka.admin()
  })
  after(async () => {
    await context.kafka?.close()
    await server?.stop()
  })
  return context
}

/** A topic of two partitions with so many records in each. */
export async function filled(kafka: Kafka, what: string, records: number): Promise<string> {
  const topic = unique(what)
  await created(kafka.admin(), [{ topic, partitions: 2 }])
  await using producer = kafka.producer()
  const messages = Array.from({ length: 2 * records }, (_, i) => ({ partition: i % 2, value: `${i}` }))
  await producer.sendBatch({ topic, messages })
  return topic
}
