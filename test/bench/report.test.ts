// What the benchmark makes of its numbers: medians, ratios, the verdict on instruction counts, the data that is sent.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compressSync } from 'lz4-napi'
import { records } from '../../bench/lib/data.mjs'
import { compare } from '../../bench/lib/instructions.mjs'
import { chart } from '../../bench/lib/plot.mjs'
import { median, medians } from '../../bench/lib/report.mjs'

const line = (client: string, recordsPerSecond: number, cpuMicrosPerRecord: number) => ({
  client,
  version: '1',
  recordsPerSecond,
  cpuMicrosPerRecord,
})

describe('the report of the benchmark', () => {
  test('takes the middle of the rounds, and ratios of the middles to librdkafka', () => {
    assert.equal(median([3, 1, 2]), 2)
    assert.equal(median([4, 1, 2, 3]), 2.5)
    assert.equal(median([null]), null)
    const rows = medians([
      line('dohle', 10, 0.2),
      line('librdkafka', 4, 0.5),
      line('dohle', 90, 0.3),
      line('librdkafka', 5, 0.4),
      line('dohle', 20, 0.1),
      line('librdkafka', 6, 0.6),
    ])
    assert.deepEqual(
      rows.map(({ client, rateRatio, cpuRatio }) => [client, rateRatio, cpuRatio]),
      [
        ['dohle', 4, 0.4],
        ['librdkafka', 1, 1],
      ],
    )
  })

  test('has no ratios where librdkafka did not run', () => {
    const [row] = medians([line('dohle', 10, 0.2)])
    assert.equal(row!.rateRatio, null)
  })

  test('draws bars as long as the medians are large, and latencies where there are some', () => {
    const facts = { scenario: 'produce', recordBytes: 100, codec: 'lz4', p50Micros: null, p99Micros: null }
    const lines = [
      { ...facts, ...line('dohle', 2_000_000, 0.25) },
      { ...facts, ...line('librdkafka', 1_000_000, 0.5) },
      { ...facts, ...line('dohle', 1, 0), scenario: 'produce-sequential', p50Micros: 80, p99Micros: 160 },
    ]
    const svg = chart(lines)
    const widths = [...svg.matchAll(/<rect class="(\w+)".*? width="(\d+)"/g)].map(
      ([, kind, width]) => `${kind} ${width}`,
    )
    assert.deepEqual(widths, ['ours 230', 'bar 115', 'ours 115', 'bar 230', 'ours 230', 'ours 230'])
    for (const text of ['2.00 M (2.00 ×)', '0.25 (0.50 ×)', 'produce-sequential, 100 bytes, lz4', 'p99 µs', '>160<']) {
      assert.ok(svg.includes(text), text)
    }
  })

  test('fails a case that left its instruction budget by more than 5 % in either direction, or has none', () => {
    const budget = { compiler: 'rustc 1', perCall: { same: 1000, near: 1000, more: 1000, fewer: 1000, gone: 1000 } }
    const counts = { same: 1000, near: 1050, more: 1051, fewer: 949, added: 7 }
    const { passed, failures } = compare(budget, counts, 'rustc 2')
    assert.equal(passed, 2)
    assert.match(failures[0]!, /^more: 1,051 instructions, \+5\.1 %/)
    assert.match(failures[1]!, /^fewer: 949 instructions, -5\.1 %/)
    assert.match(failures[2]!, /^gone: has a budget/)
    assert.match(failures[3]!, /^added: has no budget/)
    assert.match(failures[4]!, /--update.*rustc 1, this is rustc 2/)
    assert.deepEqual(compare(budget, budget.perCall, 'rustc 1').failures, [])
  })

  for (const bytes of [100, 1024, 10240]) {
    test(`sends records of ${bytes} bytes that are not alike and that lz4 brings to about 0.48`, () => {
      const count = Math.ceil(1_000_000 / bytes)
      const data = records(bytes, count)
      assert.equal(data.length, bytes * count)
      assert.deepEqual(data, records(bytes, count), 'the same every time')
      const all = Array.from({ length: count }, (_, i) => data.subarray(i * bytes, (i + 1) * bytes).toString())
      assert.equal(new Set(all).size, count)
      for (const text of all) JSON.parse(text)
      const part = data.subarray(0, 65_536)
      const ratio = compressSync(part).length / part.length
      assert.ok(ratio > 0.44 && ratio < 0.52, `${ratio}`)
    })
  }
})
