import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect, orderKey, orderValue } from '../../ts/demo/records.ts'
import { type Incoming, Mismatch, Orders } from '../../ts/demo/workload.ts'

const incoming = (n: number): Incoming => ({ value: Buffer.from(orderValue(n)), headers: [] })

test('an order is JSON of about 100 bytes that carries its key and its checksum', () => {
  for (const n of [0, 1, 99_999, 1_000_000, 99_999_999]) {
    const value = orderValue(n)
    const order = JSON.parse(value)
    assert.equal(Number(order.order), n)
    assert.equal(order.customer, orderKey(n))
    assert.ok(value.length >= 80 && value.length <= 120, value)
    assert.deepEqual(inspect(Buffer.from(value)), { order: n, customer: Number(orderKey(n).slice(2)) })
  }
})

test('a single flipped bit anywhere in an order is found', () => {
  const value = Buffer.from(orderValue(4711))
  for (let at = 0; at < value.length - 2; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const damaged = Buffer.from(value)
      damaged[at] = (damaged[at] as number) ^ (1 << bit)
      const found = inspect(damaged)
      assert.ok(typeof found === 'string', `bit ${bit} of byte ${at}`)
    }
  }
})

test('orders in the order of their keys are accepted in any interleaving of keys', () => {
  const orders = new Orders(100)
  const byKey = Array.from({ length: 100 }, (_, n) => n).sort((a, b) => orderKey(b).localeCompare(orderKey(a)) || a - b)
  for (const n of byKey) orders.check(incoming(n))
  orders.finish()
})

test('a lost, a repeated, an overtaken and a foreign order are each refused with their number', () => {
  const seen = (...numbers: number[]) => {
    const orders = new Orders(50_000)
    for (const n of numbers) orders.check(incoming(n))
    return orders
  }
  assert.throws(() => seen(0, 1).finish(), new Mismatch('49998 records did not come back'))
  assert.throws(() => seen(7, 7), /record 7 came back twice/)
  assert.throws(() => seen(60_000), /record 60000 came back, which was never sent/)
  let second = 1
  while (orderKey(second) !== orderKey(0)) second++
  assert.throws(() => seen(second, 0), /out of order/)
  assert.throws(() => seen().check({ value: null, headers: [] }), /it has no value/)
})
