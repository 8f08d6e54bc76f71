import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Lines, longestLine } from '../../ts/demo/lines.ts'
import type { Outgoing } from '../../ts/demo/workload.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dohle-lines-'))
})
after(() => rm(folder, { recursive: true, force: true }))

async function written(content: Uint8Array | string): Promise<string> {
  const path = join(folder, `f${Math.random().toString(36).slice(2)}`)
  await writeFile(path, content)
  return path
}

async function sent(lines: Lines): Promise<Outgoing[]> {
  const all: Outgoing[] = []
  for await (const batch of lines.batches(3)) all.push(...batch)
  return all
}

function back(lines: Lines, records: Outgoing[]): void {
  for (const { value, headers } of records) {
    lines.check({ value: Buffer.from(value), headers: Object.entries(headers ?? {}) })
  }
  lines.finish()
}

const everyByte = Buffer.from(Array.from({ length: 512 }, (_, i) => i & 255))
const cases: [string, Uint8Array | string, number][] = [
  ['an empty file has no lines', '', 0],
  ['a lone line end is one empty line', '\n', 1],
  ['empty lines in the middle and at the end are lines', 'a\n\n\nb\n\n', 5],
  ['a last line without a line end is a line', 'a\nb', 2],
  ['carriage returns belong to the line', 'a\r\nb\r\n', 2],
  ['any bytes are welcome', everyByte, 3],
  [
    'lines across the pieces in which a file is read come back whole',
    `${'x'.repeat(700_000)}\n${'y'.repeat(900_000)}\nz`,
    3,
  ],
  ['a line as long as the limit passes', `${'x'.repeat(longestLine)}\n`, 1],
]

for (const [name, content, count] of cases) {
  test(name, async () => {
    const lines = await Lines.open(await written(content))
    assert.equal(lines.records, count)
    const records = await sent(lines)
    assert.equal(records.length, count)
    back(lines, records)
  })
}

test('a line over the limit is refused with its number and the limit', async () => {
  const path = await written(`a\n${'x'.repeat(longestLine + 1)}\n`)
  await assert.rejects(
    Lines.open(path),
    /, line 2: longer than the limit of 1,048,000 bytes for one record \(max\.request\.size\)$/,
  )
})

test('a file that is not there, and a folder, are refused in words', async () => {
  await assert.rejects(Lines.open(join(folder, 'none')), /--file: .*none: there is no such file/)
  await assert.rejects(Lines.open(folder), /is a folder, not a file/)
  await assert.rejects(Lines.open('/dev/null'), /is not a regular file: it is read twice/)
})

test('a changed byte, a lost line, a swap and a missing last line end are all found', async () => {
  const open = async () => Lines.open(await written('one\ntwo\nthree'))
  const records = await sent(await open())
  const changed = records.map(record => ({ ...record }))
  changed[0] = { key: null, value: 'onE' }
  const swapped = [records[1], records[0], records[2]] as Outgoing[]
  const ended = records.map(({ key, value }) => ({ key, value }))
  for (const wrong of [changed, records.slice(1), swapped, ended]) {
    const lines = await open()
    assert.throws(() => back(lines, wrong), /differs from the file|did not come back/)
  }
  back(await open(), records)
})
