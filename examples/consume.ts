// A member of a consumer group, in three forms. See README.md of this folder for how to run it.
import { Kafka } from 'dohle'
import { Broker } from 'dohle/broker'

const broker = process.env.KAFKA ? undefined : await Broker.start()
const kafka = new Kafka({ brokers: process.env.KAFKA || broker!.address, clientId: 'consume-example' })
const topic = `consume-example-${Date.now()}`

try {
  await kafka.admin().createTopics([{ topic, partitions: 3 }])
  const producer = kafka.producer()
  const messages = Array.from({ length: 3_000 }, (_, i) => ({
    key: `k${i % 30}`,
    value: JSON.stringify({ number: i }),
  }))
  await producer.sendBatch({ topic, messages })

  // Record by record. Asking for the next one finishes the one before; what is finished is committed in the background.
  const first = kafka.consumer({ groupId: `${topic}-first`, autoOffsetReset: 'earliest' })
  await first.subscribe(topic)
  let sum = 0
  let count = 0
  for await (const message of first) {
    sum += message.json<{ number: number }>().number
    if (++count < messages.length) continue
    message.done() // `break` does not finish the record in hand: an error may be the reason
    break
  }
  await first.close()
  console.log(`record by record: ${count} records, the numbers add up to ${sum}`)

  // Batch by batch, with a commit of our own: the fast way.
  const second = kafka.consumer({ groupId: `${topic}-second`, autoOffsetReset: 'earliest', enableAutoCommit: false })
  await second.subscribe(topic)
  count = 0
  for await (const batch of second.batches()) {
    for (const message of batch) count += message.value === null ? 0 : 1
    await batch.commit()
    if (count >= messages.length) break
  }
  await second.close()
  console.log(`batch by batch: ${count} records`)

  // A handler, several partitions at a time, each of them in order.
  const third = kafka.consumer({ groupId: `${topic}-third`, autoOffsetReset: 'earliest' })
  await third.subscribe(topic)
  const enough = new AbortController()
  const partitions = new Set<number>()
  count = 0
  await third
    .forEach(
      async message => {
        partitions.add(message.partition)
        if (++count === messages.length) enough.abort()
      },
      { concurrency: 'partition', signal: enough.signal },
    )
    .catch(error => {
      if (!enough.signal.aborted) throw error
    })
  await third.close()
  console.log(`with a handler: ${count} records of ${partitions.size} partitions`)
} finally {
  await kafka.close()
  await broker?.close()
}
