/** A member that loses its partitions, as its program sees it. On any broker. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, ConsumerOptions, Kafka } from 'dohle'

/**
 * Reads `topic` (10 records in one partition, values are offsets) as the only member of a group, finishes five records,
 * has itself thrown out, and reads on when it is a member again. Returns what its listeners saw, in order.
 */
export async function losing(
  kafka: Kafka,
  topic: string,
  options: ConsumerOptions & { groupId: string },
  throwOut: (consumer: Consumer) => Promise<void>,
): Promise<string[]> {
  const automatic = { enableAutoCommit: true, autoCommitIntervalMs: 3_600_000, autoOffsetReset: 'earliest' }
  const consumer = kafka.consumer({ ...automatic, ...options })
  const log: string[] = []
  const events: string[] = []
  consumer.on('lost', partitions => events.push(`lost ${partitions.length}`))
  consumer.on('revoked', () => events.push('revoked'))
  const committed = async () => (await consumer.committed([{ topic, partition: 0 }]))[0]?.offset
  await consumer.subscribe(topic, {
    onAssigned: () => log.push('assigned'),
    onRevoked: () => log.push('revoked'),
    onLost: async partitions => {
      log.push('lost')
      assert.deepEqual(partitions, [{ topic, partition: 0 }])
      // What comes after waits for this: a listener that is not awaited is overtaken.
      await sleep(300)
      assert.equal(await committed(), null)
      log.push('lost and nothing committed')
    },
  })
  const read: number[] = []
  let thrownOut: Promise<void> | undefined
  for await (const { offset } of consumer) {
    read.push(offset)
    if (offset === 5 && thrownOut === undefined) {
      // Five are finished, the sixth is in hand, when the group forgets us.
      thrownOut = throwOut(consumer)
      await thrownOut
      while (!log.includes('lost')) await sleep(5)
      assert.deepEqual(events, ['lost 1'])
    }
    if (offset === 9) break
  }
  // Nothing of what was finished counts: the next life begins where the group had committed, at the start.
  assert.deepEqual(read, [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  assert.deepEqual(events, ['lost 1'])
  const seen = [...log]
  await consumer.close()
  return seen
}
