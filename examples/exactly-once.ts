// Consume, transform, produce: each record exactly once, whatever happens to this process. See README.md of this folder.
//
// Output and offsets become visible together, by a transaction. Whoever reads the output with `read_committed` sees what was made
// of each input record once, also when this program is killed at any moment and started again.
import { Kafka, KafkaError } from 'dohle'
import { Broker } from 'dohle/broker'

const broker = process.env.KAFKA ? undefined : await Broker.start()
const brokers = process.env.KAFKA || broker!.address

// With INPUT and OUTPUT it runs until it is stopped; otherwise it makes topics of its own and ends when it is through.
const demo = process.env.INPUT === undefined
const input = process.env.INPUT ?? `exactly-once-input-${Date.now()}`
const output = process.env.OUTPUT ?? `exactly-once-output-${Date.now()}`
// One per process that runs at a time, and the same one after a restart: by it the broker knows whom to fence.
const instance = process.env.INSTANCE ?? 'exactly-once-1'

const kafka = new Kafka({ brokers, clientId: instance })
let left = Number.POSITIVE_INFINITY

// Taking the id aborts what this instance has left open when it was killed.
const producer = kafka.producer({ transactionalId: `${output}-${instance}`, transactionTimeoutMs: 30_000 })
const consumer = kafka.consumer({
  groupId: `${output}-maker`,
  groupInstanceId: instance, // it comes back to its partitions at once, without a rebalance
  isolationLevel: 'read_committed',
  enableAutoCommit: false, // the transactions commit
  autoOffsetReset: 'earliest',
})
process.once('SIGTERM', () => consumer.close())

try {
  if (demo) {
    await kafka.admin().createTopics([input, output].map(topic => ({ topic, partitions: 3 })))
    const messages = Array.from({ length: 3_000 }, (_, i) => ({ key: `${i}`, value: `record ${i}` }))
    const writer = kafka.producer()
    await writer.sendBatch({ topic: input, messages })
    left = messages.length
  }
  await consumer.subscribe(input)
  for await (const batch of consumer.batches()) {
    try {
      await producer.transaction(
        async tx => {
          // None of them needs to be awaited: the commit waits, and aborts if one has failed.
          for (const { key, value } of batch) tx.send({ topic: output, key, value: `${value}`.toUpperCase() })
          await tx.commitOffsets(batch)
        },
        { consumer }, // it goes back to what is committed when the transaction is aborted
      )
    } catch (error) {
      // Aborted, because the group gave the partition away, say: the loop goes on from what is committed. What is not
      // abortable ends the program: another one with this id has taken over, for example.
      if (!(error instanceof KafkaError && error.abortable)) throw error
      console.log(`aborted: ${error.message}`)
      continue
    }
    console.log(`${batch.length} records of partition ${batch.partition}, up to offset ${batch.lastOffset}`)
    left -= batch.length
    if (left <= 0) break
  }
} finally {
  await kafka.close()
  await broker?.close()
}
