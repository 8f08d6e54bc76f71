/** The table of behaviour (test/conformance), in every language, on the embedded broker. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { Broker } from 'dohle/broker'
import { across } from '../conformance/across.ts'
import { cases } from '../conformance/cases/index.ts'
import { embedded } from '../conformance/harness.ts'
import { file, report } from '../conformance/report.ts'
import { languagesDo } from '../conformance/run.ts'

let broker: Broker
before(async () => {
  broker = await Broker.start()
})
after(() => broker?.stop())

test('no two cases have one name, and docs/conformance.md is current', () => {
  const names = cases.map(({ name }) => name)
  assert.deepEqual(
    names.filter((name, at) => names.indexOf(name) !== at),
    [],
  )
  assert.equal(readFileSync(file, 'utf8'), report(), 'node --import=tsx test/conformance/report.ts writes it')
})

languagesDo(cases, embedded)
across(() => broker.address)
