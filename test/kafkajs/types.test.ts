/** A program that is written against kafkajs' types compiles when its import is changed. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { root } from '../../scripts/lib/paths.mjs'
import { run } from '../../scripts/lib/run.mjs'

const folder = join(root, 'test', 'kafkajs')
// Beside the original, so that the package finds itself.
const changed = join(folder, `usage-changed-${process.pid}.ts`)
after(() => rmSync(changed, { force: true }))

const strict = [
  '--strict',
  '--exactOptionalPropertyTypes',
  '--noUncheckedIndexedAccess',
  '--erasableSyntaxOnly',
  'false',
]
const how = ['--module', 'NodeNext', '--moduleResolution', 'NodeNext', '--target', 'es2022', '--types', 'node']

for (const options of [strict, ['--strict', 'false']]) {
  test(`it compiles with ${options.join(' ')}`, async () => {
    const text = readFileSync(join(folder, 'usage.ts'), 'utf8')
    const moved = text.replace("from 'kafkajs'", "from 'dohle/kafkajs'")
    assert.notEqual(moved, text)
    writeFileSync(changed, moved)
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    await run(process.execPath, [tsc, '--noEmit', ...options, ...how, '--ignoreConfig', changed], { capture: true })
  })
}

test('a program that is wrong with kafkajs is wrong here', async () => {
  writeFileSync(
    changed,
    `import { CompressionTypes, Kafka, logLevel } from 'dohle/kafkajs'
const kafka = new Kafka({ brokers: ['a:1'], logLevel: logLevel.INFO })
// @ts-expect-error: messages are missing
kafka.producer().send({ topic: 't' })
// @ts-expect-error: not a codec
kafka.producer().send({ topic: 't', messages: [], compression: CompressionTypes.Brotli })
// @ts-expect-error: a group is needed
kafka.consumer({})
// @ts-expect-error: offsets are strings
kafka.consumer({ groupId: 'g' }).seek({ topic: 't', partition: 0, offset: 5 })
// @ts-expect-error: not a level
new Kafka({ brokers: ['a:1'], logLevel: 77 })
`,
  )
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  await run(process.execPath, [tsc, '--noEmit', '--strict', ...how, '--ignoreConfig', changed], { capture: true })
})
