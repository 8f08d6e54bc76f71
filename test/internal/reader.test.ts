import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Batches } from '../../ts/internal/batches.ts'
import type { Environment } from '../../ts/internal/environment.ts'
import { Reader } from '../../ts/internal/reader.ts'

/** Batches of one record each, without an end. */
function endless() {
  const nextChunk = () => ({
    topic: 't',
    partition: 0,
    baseOffset: 0,
    leaderEpoch: 0,
    highWatermark: 1,
    count: 1,
    bytes: Buffer.alloc(8),
    index: Buffer.alloc(40),
    shared: Buffer.alloc(12),
  })
  const environment = { native: { nextChunk }, hold() {}, release() {} } as unknown as Environment
  return new Batches(new Reader(environment, 1, { clientId: 'test', server: '' }), undefined, chunk => chunk as never)
}

describe('chunks that are here already', () => {
  test('let the event loop run, however fast they are read', async () => {
    let ran = 0
    const again = () => {
      if (++ran < 3) setImmediate(again)
    }
    setImmediate(again)
    // Without a turn this loop would never end.
    for await (const _ of endless()) if (ran === 3) break
  })

  test('let it run between any two that take more than a millisecond', async () => {
    let ran = 0
    let next = setImmediate(function again() {
      ran++
      next = setImmediate(again)
    })
    const seen: number[] = []
    for await (const _ of endless()) {
      if (seen.push(ran) === 20) break
      const until = performance.now() + 1.1
      while (performance.now() < until);
    }
    clearImmediate(next)
    assert.deepEqual(
      seen.slice(1).map((value, i) => value > seen[i]!),
      Array(19).fill(true),
    )
  })
})
