// How a program behaves when the broker misbehaves, without waiting for a bad day. Uses the embedded broker only.
import { Kafka } from 'dohle'
import { Broker } from 'dohle/broker'

const broker = await Broker.start({ partitions: 1 })
const kafka = new Kafka({ brokers: broker.address })

try {
  const producer = kafka.producer()
  await producer.send({ topic: 'faults', value: 'before' })

  // The next produce request is written to the log, and the connection is cut before the answer: the client must send it again, and the broker
  // must notice that it has it already.
  broker.faults.add({ api: 'Produce', action: { kind: 'close', when: 'after' } })
  const { offset } = await producer.send({ topic: 'faults', value: 'once' })
  console.log(`acknowledged at offset ${offset} although the first answer never came`)

  const { offset: next } = await producer.send({ topic: 'faults', value: 'after' })
  console.log(next === offset + 1 ? 'and it is in the log once' : 'it is in the log twice!')
} finally {
  await kafka.close()
  await broker.close()
}
