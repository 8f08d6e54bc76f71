/** `forEach` by key, where records overtake others: what becomes of these when their partition is given away. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Message } from '../ts/index.ts'
import { progressOf } from '../ts/message.ts'
import { member, setUp, unique } from './support.ts'

async function until(done: () => boolean): Promise<void> {
  while (!done()) await sleep(5)
}

describe('forEach by key while its partition is given away', () => {
  const context = setUp()

  test('what was overtaken is handled first, so that nothing is handled twice', async () => {
    const topic = unique('overtaken')
    await context.kafka.admin().createTopics([{ topic, partitions: 1 }])
    const producer = context.kafka.producer()
    // The second of the slow key waits for the first, and is overtaken by all of the quick one; the third by none.
    const keys = ['slow', 'slow', ...Array<string>(20).fill('quick'), 'slow']
    await producer.sendBatch({ topic, messages: keys.map((key, i) => ({ key, value: `${i}` })) })

    const handled: number[] = []
    let open = () => {}
    const opened = new Promise<void>(resolve => {
      open = resolve
    })
    let first: Message | undefined
    const handler = async (message: Message) => {
      if (message.offset === 0) {
        first = message
        await opened
      }
      handled.push(message.offset)
    }
    const options = { enableAutoCommit: true, autoCommitIntervalMs: 3_600_000, heartbeatIntervalMs: 50 }
    const { consumer, groupId } = await member(context.kafka, topic, options)
    const loop = consumer.forEach(handler, { concurrency: 'key' })
    await until(() => handled.length === 20)
    const { consumer: other } = await member(context.kafka, topic, { ...options, groupId })
    const otherLoop = other.forEach(handler, { concurrency: 'key' })
    await until(() => first !== undefined && progressOf(first).revoked)
    open()
    await until(() => new Set(handled).size === keys.length)
    // Whoever has the partition now: what came twice came before this one.
    const { offset } = await producer.send({ topic, value: 'last' })
    await until(() => handled.includes(offset))
    assert.deepEqual(
      [...handled].sort((a, b) => a - b),
      Array.from({ length: keys.length + 1 }, (_, i) => i),
    )
    await Promise.all([consumer.close(), other.close()])
    await Promise.all([loop, otherLoop])
    await producer.close()
  })
})
