import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer } from '../ts/index.ts'
import { numbers, random, setUp } from './support.ts'

const partitions = 4
const records = 3_000
const runMs = 3_000

describe('under pauses, resumes, seeks and slow readers', () => {
  const context = setUp()

  for (const seed of [1, 2]) {
    test(`nothing is skipped, nothing comes that was taken back, and it never goes silent (seed ${seed})`, async () => {
      const topic = await numbers(context.kafka, records, partitions)
      const consumer: Consumer = context.kafka.consumer({ fetchMaxWaitMs: 10, fetchBufferBytes: 65_536 })
      const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
      await consumer.assign(all.map(of => ({ ...of, offset: 0 })))
      const below = random(seed * 7_919)
      const next = all.map(() => 0)
      const paused = new Set<number>()
      const end = performance.now() + runMs
      let steps = 0
      let ended = false
      const seek = (partition: number, offset: number) => {
        next[partition] = offset
        consumer.seek({ ...all[partition]!, offset })
      }
      const resumeAll = () => {
        if (paused.size > 0) consumer.resume(all.filter(({ partition }) => paused.has(partition)))
        paused.clear()
      }
      for await (const message of consumer) {
        const { partition, offset } = message
        assert.equal(offset, next[partition], `partition ${partition} after ${steps} steps`)
        assert.equal(message.text(), String(offset))
        assert.ok(!paused.has(partition), `partition ${partition} is paused`)
        next[partition] = offset + 1
        steps++
        if (ended) {
          if (next.every(at => at === records)) break
          continue
        }
        const chosen = below(partitions)
        const dice = below(400)
        if (dice === 0) seek(chosen, below(records / 2))
        else if (dice === 1) {
          consumer.pause([all[chosen]!])
          paused.add(chosen)
        } else if (dice === 2) resumeAll()
        else if (dice === 3) await sleep(below(5))
        else if (dice === 4) await new Promise(resolve => setImmediate(resolve))
        if (performance.now() > end) {
          ended = true
          resumeAll()
          for (const { partition } of all) seek(partition, records - 1_000)
        } else if (next.every((at, partition) => at === records || paused.has(partition))) {
          resumeAll()
          next.forEach((at, partition) => {
            if (at === records) seek(partition, 0)
          })
        }
      }
      assert.ok(steps > 1_000, `${steps} steps`)
      await consumer.close()
    })
  }
})
