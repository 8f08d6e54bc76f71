import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KafkaError } from '../../ts/errors.ts'
import { Deliveries, type Run, type Waiter } from '../../ts/internal/deliveries.ts'

/** Notes each record by its group and index, whatever ranges it comes in. */
class Log implements Waiter {
  readonly lines: string[] = []

  delivered(group: number, first: number, count: number, partition: number, offset: number, appendTime: number) {
    for (let i = 0; i < count; i++) {
      const at = offset < 0 ? offset : offset + i
      this.lines.push(`${group}/${first + i}: ${partition}@${at}${appendTime < 0 ? '' : ` ${appendTime}`}`)
    }
  }

  failed(group: number, first: number, count: number, failure: () => KafkaError) {
    for (let i = 0; i < count; i++) this.lines.push(`${group}/${first + i}: ${failure().code}`)
  }
}

const run = (group: number, first: number, count: number, offset = -1): Run => ({
  group,
  first,
  count,
  partition: 3,
  offset,
  appendTime: -1,
})

const failure = () => new KafkaError('no', { code: 'NO' })

describe('deliveries', () => {
  test('each record of a run gets its own offset', () => {
    const log = new Log()
    const deliveries = new Deliveries()
    for (let i = 0; i < 4; i++) deliveries.add(7, i, 1, log)
    assert.equal(deliveries.settle(run(7, 0, 4, 1_000), undefined), 4)
    assert.deepEqual(log.lines, ['7/0: 3@1000', '7/1: 3@1001', '7/2: 3@1002', '7/3: 3@1003'])
    assert.equal(deliveries.pending, 0)
  })

  test('records that nobody waits for have their place in a run', () => {
    const log = new Log()
    const deliveries = new Deliveries()
    deliveries.add(1, 2, 1, log)
    deliveries.add(1, 5, 1, log)
    assert.equal(deliveries.settle(run(1, 0, 6, 100), undefined), 2)
    assert.deepEqual(log.lines, ['1/2: 3@102', '1/5: 3@105'])
  })

  test('runs may come in any order, in part, and more may be added in between', () => {
    const log = new Log()
    const deliveries = new Deliveries()
    deliveries.add(1, 0, 6, log)
    deliveries.settle(run(1, 4, 1), failure)
    deliveries.settle(run(1, 0, 2, 50), undefined)
    deliveries.add(1, 6, 1, log)
    deliveries.settle(run(1, 5, 2, 90), undefined)
    assert.equal(deliveries.pending, 2)
    deliveries.settle(run(1, 2, 2, 70), undefined)
    assert.deepEqual(log.lines, [
      '1/4: NO',
      '1/0: 3@50',
      '1/1: 3@51',
      '1/5: 3@90',
      '1/6: 3@91',
      '1/2: 3@70',
      '1/3: 3@71',
    ])
    assert.equal(deliveries.pending, 0)
    assert.equal(deliveries.settle(run(1, 0, 7, 1), undefined), 0)
  })

  test('an unknown offset stays unknown', () => {
    const log = new Log()
    const deliveries = new Deliveries()
    deliveries.add(1, 3, 2, log)
    deliveries.settle(run(1, 0, 9, -1), undefined)
    assert.deepEqual(log.lines, ['1/3: 3@-1', '1/4: 3@-1'])
  })

  test('what waits fails when all fails, once', () => {
    const log = new Log()
    const deliveries = new Deliveries()
    deliveries.add(1, 0, 5, log)
    deliveries.add(2, 0, 1, log)
    deliveries.settle(run(1, 1, 3, 5), undefined)
    deliveries.failAll(failure)
    assert.deepEqual(log.lines, ['1/1: 3@5', '1/2: 3@6', '1/3: 3@7', '1/0: NO', '1/4: NO', '2/0: NO'])
    assert.equal(deliveries.pending, 0)
  })

  test('any cut of groups into ranges and runs tells each record once, with its own offset', () => {
    let seed = 1
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
      return Math.floor((seed / 2 ** 32) * below)
    }
    const deliveries = new Deliveries()
    for (let round = 0; round < 300; round++) {
      const groups = [random(4), 4 + random(4)]
      const logs = [new Log(), new Log(), new Log()]
      const waited = new Set<string>()
      const runs: Run[] = []
      for (const group of groups) {
        let index = random(3)
        while (index < 40) {
          const count = 1 + random(6)
          deliveries.add(group, index, count, logs[random(3)]!)
          for (let i = 0; i < count; i++) waited.add(`${group}/${index + i}: 3@${100 + index + i}`)
          index += count + random(3)
        }
        for (let first = 0; first < 60; ) {
          const count = 1 + random(9)
          runs.push(run(group, first, count, 100 + first))
          first += count
        }
      }
      let settled = 0
      while (runs.length > 0) settled += deliveries.settle(runs.splice(random(runs.length), 1)[0]!, undefined)
      assert.equal(settled, waited.size)
      assert.equal(deliveries.pending, 0)
      const told = logs.flatMap(log => log.lines)
      assert.equal(told.length, waited.size)
      assert.deepEqual(new Set(told), waited)
    }
  })
})
