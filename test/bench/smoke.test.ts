// The benchmark works: every scenario runs with Dohle, verifies its own counts, and prints what it promises.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'

const bench = (...args: string[]) =>
  promisify(execFile)(process.execPath, ['scripts/bench.mjs', ...args], { maxBuffer: 1 << 24 })

const fields = [
  'client',
  'version',
  'scenario',
  'records',
  'recordBytes',
  'codec',
  'recordsPerSecond',
  'cpuMicrosPerRecord',
  'peakRssMb',
  'threads',
  'p50Micros',
  'p99Micros',
]

interface Line {
  client: string
  scenario: string
  records: number
  recordBytes: number
  codec: string
  recordsPerSecond: number
  cpuMicrosPerRecord: number
  peakRssMb: number
  threads: number
  p50Micros: number | null
  failed?: string
}

describe('the benchmark', () => {
  test('runs every scenario with dohle against the embedded broker', async () => {
    const listed = (await bench('--list')).stdout
    const names = [...listed.split('clients\n')[0]!.matchAll(/^ {2}(\S+)/gm)].map(([, name]) => name!)
    assert.ok(names.length >= 14, `too few scenarios: ${names.join(', ')}`)
    const { stdout } = await bench('smoke', '--json')
    const lines = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Line)
    for (const line of lines) {
      const said = JSON.stringify(line)
      assert.equal(line.failed, undefined, said)
      assert.deepEqual(Object.keys(line).slice(0, fields.length), fields, said)
      assert.equal(line.client, 'dohle', said)
      assert.ok(line.records > 0 && line.recordsPerSecond > 0 && line.cpuMicrosPerRecord > 0, said)
      assert.ok(line.peakRssMb > 10 && line.threads > 1, said)
    }
    const ran = new Set(lines.map(({ scenario }) => scenario))
    assert.deepEqual(
      names.filter(name => !ran.has(name) && name !== 'codecs'),
      [],
      'scenarios that did not run',
    )
    const packed = lines.filter(({ scenario, codec }) => scenario === 'consume' && codec !== 'lz4')
    assert.deepEqual(
      [...new Set(packed.map(({ codec, recordBytes }) => `${codec} ${recordBytes}`))].sort(),
      ['gzip 100', 'gzip 1024', 'none 100', 'none 1024', 'snappy 100', 'snappy 1024', 'zstd 100', 'zstd 1024'],
      'codecs and sizes',
    )
    const latency = lines.find(({ scenario }) => scenario === 'produce-sequential')
    assert.ok(latency!.p50Micros! > 0, 'a latency where one is measured')
  })

  test('names what it does not know', async () => {
    for (const [args, said] of [
      [['produces'], /no scenario produces; there are: produce, /],
      [['produce', '--clients', 'dole'], /no client dole; there are: dohle, /],
      [['produce', '--bytes', '99'], /--bytes 99: one of 100, 1024, 10240/],
      [['produce', '--rounds', '0'], /--rounds 0: a whole number above 0/],
    ] as const) {
      await assert.rejects(bench(...args), (error: { stderr: string }) => said.test(error.stderr))
    }
  })
})
