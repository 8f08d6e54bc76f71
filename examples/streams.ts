// A consumer as a stream in a pipeline. A stream reads ahead, so it finishes nothing by itself: whoever has written a
// record down calls done(). See README.md of this folder for how to run it.
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Kafka, type Message } from 'dohle'
import { Broker } from 'dohle/broker'

const broker = process.env.KAFKA ? undefined : await Broker.start()
const kafka = new Kafka({ brokers: process.env.KAFKA || broker!.address, clientId: 'streams-example' })
const topic = `streams-example-${Date.now()}`

try {
  const producer = kafka.producer()
  await producer.sendBatch({ topic, messages: Array.from({ length: 500 }, (_, i) => ({ value: `line ${i}` })) })

  const consumer = kafka.consumer({ groupId: topic, autoOffsetReset: 'earliest' })
  await consumer.subscribe(topic)
  const lines: string[] = []
  const enough = new AbortController()
  const store = new Writable({
    objectMode: true,
    write(message: Message, _, done) {
      lines.push(message.text() ?? '')
      message.done()
      if (lines.length === 500) enough.abort()
      done()
    },
  })
  await pipeline(consumer.readable(), store, { signal: enough.signal }).catch(error => {
    if (!enough.signal.aborted) throw error
  })
  await consumer.close()
  console.log(`${lines.length} lines stored, from "${lines[0]}" to "${lines.at(-1)}"`)
} finally {
  await kafka.close()
  await broker?.close()
}
