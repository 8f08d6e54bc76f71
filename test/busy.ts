/** What programs do while something else happens to their connections. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Kafka } from 'dohle'
import { unique } from './support.ts'

/** Sends one record after another to a partition for as long as `goesOn`, and reads all of them back, in order. */
export async function busyWhile(kafka: Kafka, goesOn: () => boolean): Promise<void> {
  const topic = unique('busy')
  await using producer = kafka.producer({ lingerMs: 0 })
  const { partition } = await producer.send({ topic, key: 'k', value: '0' })
  await using consumer = kafka.consumer()
  await consumer.assign([{ topic, partition, offset: 0 }])
  const read: string[] = []
  const reading = (async () => {
    for await (const message of consumer) {
      read.push(message.text()!)
      if (message.text() === 'end') return
    }
  })()
  const sent = ['0']
  while (goesOn()) {
    sent.push(`${sent.length}`)
    await producer.send({ topic, key: 'k', value: sent.at(-1)! })
    await sleep(20)
  }
  await producer.send({ topic, key: 'k', value: 'end' })
  await reading
  assert.deepEqual(read, [...sent, 'end'])
}
