// Everything is closed by the language, in reverse order, also after an error. Node 24 runs this as it stands; tsx and
// tsc translate it for older ones. See README.md of this folder for how to run it.
import { Kafka } from 'dohle'
import { Broker } from 'dohle/broker'

await using broker = await Broker.start()
await using kafka = new Kafka({ brokers: process.env.KAFKA || broker.address })
await using producer = kafka.producer()
await using consumer = kafka.consumer({ groupId: 'await-using-example', autoOffsetReset: 'earliest' })

const topic = `await-using-example-${Date.now()}`
await producer.send({ topic, value: 'hello' })
await consumer.subscribe(topic)
for await (const message of consumer) {
  console.log(message.text())
  break
}
