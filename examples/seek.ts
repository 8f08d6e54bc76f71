// Reading without a group: you say where. See README.md of this folder for how to run it.
import { type Consumer, Kafka } from 'dohle'
import { Broker } from 'dohle/broker'

const broker = process.env.KAFKA ? undefined : await Broker.start()
const kafka = new Kafka({ brokers: process.env.KAFKA || broker!.address, clientId: 'seek-example' })
const topic = `seek-example-${Date.now()}`

/** The next record of an assigned consumer. */
async function next(consumer: Consumer) {
  for await (const message of consumer) return message.copy()
  throw new Error('the consumer was closed')
}

try {
  await kafka.admin().createTopics([{ topic, partitions: 1 }])
  const producer = kafka.producer()
  const hour = 3_600_000
  const start = Date.now() - 24 * hour
  const messages = Array.from({ length: 24 }, (_, i) => ({ value: `hour ${i}`, timestamp: start + i * hour }))
  await producer.sendBatch({ topic, messages })

  const consumer = kafka.consumer({ enableAutoCommit: false })
  await consumer.assign([{ topic, partition: 0, offset: 10 }])
  console.log(`from offset 10: ${(await next(consumer)).text()}`)

  consumer.seek({ topic, partition: 0, offset: 3 })
  console.log(`after a seek to 3: ${(await next(consumer)).text()}`)

  await consumer.assign([{ topic, partition: 0, offset: { timestamp: start + 17 * hour - 1 } }])
  console.log(`from a time: ${(await next(consumer)).text()}`)

  await consumer.assign([{ topic, partition: 0, offset: 'earliest' }])
  console.log(
    `from the beginning: ${(await next(consumer)).text()}, behind the end by ${consumer.lag({ topic, partition: 0 })}`,
  )
} finally {
  await kafka.close()
  await broker?.close()
}
