// Every way to send. See README.md of this folder for how to run it.
import { Kafka, KafkaError, PartialFailureError } from 'dohle'
import { Broker } from 'dohle/broker'

const broker = process.env.KAFKA ? undefined : await Broker.start()
const kafka = new Kafka({ brokers: process.env.KAFKA || broker!.address, clientId: 'produce-example' })
const topic = `produce-example-${Date.now()}`

try {
  const producer = kafka.producer({ compression: 'lz4' })

  // One record, one promise. Calls that are not awaited travel together and keep their order.
  const { partition, offset } = await producer.send({
    topic,
    key: 'customer-1',
    value: JSON.stringify({ item: 'tea', pieces: 2 }),
    headers: { trace: '4bf92f35' },
  })
  console.log(`one record: partition ${partition}, offset ${offset}`)

  // Many records, one promise for all of them.
  const messages = Array.from({ length: 1_000 }, (_, i) => ({ key: `customer-${i % 100}`, value: `order ${i}` }))
  const places = await producer.sendBatch({ topic, messages })
  console.log(`a batch: ${places.length} records acknowledged`)

  // Many records and no promise each: `false` means that the buffer is full for now.
  for (let i = 0; i < 100_000; i++) {
    while (!producer.tryEnqueue({ topic, key: `sensor-${i % 50}`, value: `${i}` })) await producer.ready()
  }
  await producer.flush()
  console.log('100000 records enqueued and acknowledged')

  // What cannot be sent says why, in a form that a program can read.
  try {
    await producer.send({ topic, value: 'x'.repeat(5_000_000) })
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    console.log(`refused: ${error.code}, worth another try: ${error.retriable}`)
  }
  try {
    await producer.sendBatch({ topic, messages: [{ value: 'small' }, { value: 'x'.repeat(5_000_000) }] })
  } catch (error) {
    if (!(error instanceof PartialFailureError)) throw error
    console.log(`of the batch these failed: ${error.failures.map(({ index }) => index).join(', ')}`)
  }
} finally {
  await kafka.close()
  await broker?.close()
}
