import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Latency } from '../../ts/demo/latency.ts'

test('percentiles are within the 3 % that one step of the histogram is wide', () => {
  const latency = new Latency()
  for (let micros = 1; micros <= 100_000; micros++) latency.add(micros)
  for (const [fraction, want] of [
    [0.5, 50_000],
    [0.99, 99_000],
    [1, 100_000],
  ] as const) {
    assert.ok(Math.abs(latency.percentile(fraction) / want - 1) < 0.03, `${fraction}: ${latency.percentile(fraction)}`)
  }
})

test('a group of records counts as many', () => {
  const latency = new Latency()
  latency.add(100, 99)
  latency.add(1_000_000, 1)
  assert.ok(latency.percentile(0.99) < 110)
  assert.ok(latency.percentile(1) > 900_000)
})

test('nothing measured is 0', () => {
  assert.equal(new Latency().percentile(0.5), 0)
})
