import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KafkaError } from '../../ts/errors.ts'
import { Deliveries, type Run, type Waiter } from '../../ts/internal/deliveries.ts'

class Log implements Waiter {
  readonly lines: string[] = []

  delivered(position: number, partition: number, offset: number, appendTime: number) {
    this.lines.push(`${position}: ${partition}@${offset}${appendTime < 0 ? '' : ` ${appendTime}`}`)
  }

  failed(position: number, error: KafkaError) {
    this.lines.push(`${position}: ${error.code}`)
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
    for (let i = 0; i < 4; i++) deliveries.add(7, i, log, 10 + i)
    assert.equal(deliveries.settle(run(7, 0, 4, 1_000), undefined), 4)
    assert.deepEqual(log.lines, ['10: 3@1000', '11: 3@1001', '12: 3@1002', '13: 3@1003'])
    assert.equal(deliveries.pending, 0)
  })

  test('records that nobody waits for have their place in a run', () => {
    const log = new Log()
    const deliveries = new Deliveries()
    deliveries.add(1, 2, log, 0)
    deliveries.add(1, 5, log, 1)
    assert.equal(deliveries.settle(run(1, 0, 6, 100), undefined), 2)
    assert.deepEqual(log.lines, ['0: 3@102', '1: 3@105'])
  })

  test('runs may come in any order, in part, and more may be added in between', () => {
    const log = new Log()
    const deliveries = new Deliveries()
    for (let i = 0; i < 6; i++) deliveries.add(1, i, log, i)
    deliveries.settle(run(1, 4, 1), failure)
    deliveries.settle(run(1, 0, 2, 50), undefined)
    deliveries.add(1, 6, log, 6)
    deliveries.settle(run(1, 5, 2, 90), undefined)
    assert.equal(deliveries.pending, 2)
    deliveries.settle(run(1, 2, 2, 70), undefined)
    assert.deepEqual(log.lines, ['4: NO', '0: 3@50', '1: 3@51', '5: 3@90', '6: 3@91', '2: 3@70', '3: 3@71'])
    assert.equal(deliveries.pending, 0)
    assert.equal(deliveries.settle(run(1, 0, 7, 1), undefined), 0)
  })

  test('an unknown offset stays unknown', () => {
    const log = new Log()
    const deliveries = new Deliveries()
    deliveries.add(1, 3, log, 0)
    deliveries.settle(run(1, 0, 9, -1), undefined)
    assert.deepEqual(log.lines, ['0: 3@-1'])
  })

  test('what waits fails when all fails, once', () => {
    const log = new Log()
    const deliveries = new Deliveries()
    deliveries.add(1, 0, log, 0)
    deliveries.add(2, 0, log, 1)
    deliveries.settle(run(1, 0, 1, 5), undefined)
    deliveries.failAll(failure)
    assert.deepEqual(log.lines, ['0: 3@5', '1: NO'])
    assert.equal(deliveries.pending, 0)
  })
})
