import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { prebuild, root } from '../../scripts/lib/paths.mjs'
import { nodeBinary, nodeVersions, type Project, project, succeed } from './project.ts'

let installed: Project
before(async () => {
  installed = await project()
})
after(() => installed?.remove())

const inPackage = (...path: string[]): string => join(installed.folder, 'node_modules', 'dohle', ...path)

const roundTrip = `
const broker = await Broker.start()
const kafka = new Kafka({ brokers: broker.address })
const producer = kafka.producer()
await producer.send({ topic: 't', value: 'round trip' })
const consumer = kafka.consumer({ groupId: 'g', autoOffsetReset: 'earliest' })
await consumer.subscribe('t')
for await (const message of consumer) { console.log(message.text()); break }
await kafka.close()
await broker.close()
`

test('the tarball has what runs, and nothing of the workshop', () => {
  for (const file of [
    'dist/index.js',
    'dist/index.d.ts',
    'dist/broker.js',
    'dist/broker.d.ts',
    'dist/kafkajs/index.js',
    'dist/kafkajs/index.d.ts',
    'dist/otel.js',
    'dist/otel.d.ts',
    'native.cjs',
    prebuild(),
    'LICENSE',
    'NOTICE', // of kafkajs, whose names dohle/kafkajs has
    'README.md',
    'docs/configuration.md', // errors point at it
    'docs/errors.md',
    'docs/observability.md',
    'docs/strangers.md',
  ]) {
    assert.ok(existsSync(inPackage(file)), file)
  }
  const files = readdirSync(inPackage(), { recursive: true }).map(String)
  for (const file of files) {
    assert.doesNotMatch(file, /^(native\/|ts\/|test\/|scripts\/|\.ci)|\.rs$|\.tsbuildinfo$|^dist\/demo/)
  }
})

test('what README and the documents in the tarball link to is in it', () => {
  const documents = readdirSync(inPackage(), { recursive: true })
    .map(String)
    .filter(file => file.endsWith('.md') && !file.startsWith('node_modules'))
  assert.ok(documents.length > 10, documents.join())
  for (const file of documents) {
    const text = readFileSync(inPackage(file), 'utf8')
    for (const [, link] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g))
      assert.ok(existsSync(inPackage(file, '..', link!)), `${file}: ${link}`)
  }
})

test('there is no install script, neither ours nor of a dependency', () => {
  const manifests = readdirSync(installed.folder, { recursive: true })
    .map(String)
    .filter(file => /node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(file))
  assert.ok(manifests.length >= 2, 'dohle and node-gyp-build')
  for (const file of manifests) {
    const { scripts = {} } = JSON.parse(readFileSync(join(installed.folder, file), 'utf8'))
    for (const name of ['preinstall', 'install', 'postinstall'])
      assert.equal(scripts[name], undefined, `${file}: ${name}`)
  }
  assert.ok(!existsSync(inPackage('binding.gyp')), 'npm would compile')
})

for (const [version, variable] of nodeVersions) {
  test(`a record goes out and comes back on Node ${version}, imported and required`, async () => {
    const binary = await nodeBinary(version, variable)
    assert.equal((await succeed(binary, ['--version'], installed.folder)).trim(), `v${version}`)
    const imported = "import { Kafka } from 'dohle'\nimport { Broker } from 'dohle/broker'\n"
    writeFileSync(join(installed.folder, 'imported.mjs'), imported + roundTrip)
    assert.equal(await succeed(binary, ['imported.mjs'], installed.folder), 'round trip\n')
    const required = "const { Kafka } = require('dohle')\nconst { Broker } = require('dohle/broker')\n"
    writeFileSync(join(installed.folder, 'required.cjs'), `${required}async function main() {${roundTrip}}\nmain()`)
    assert.equal(await succeed(binary, ['required.cjs'], installed.folder), 'round trip\n')
  })
}

test('dohle/kafkajs can be imported, by default too, and required', async () => {
  const program = `console.log([kafkajs, named].map(({ Kafka, CompressionTypes }) => typeof Kafka + CompressionTypes.GZIP).join())`
  writeFileSync(join(installed.folder, 'kafkajs.mjs'), `import kafkajs, * as named from 'dohle/kafkajs'\n${program}\n`)
  assert.equal(await succeed(process.execPath, ['kafkajs.mjs'], installed.folder), 'function1,function1\n')
  const required = `const named = require('dohle/kafkajs')\nconst kafkajs = named.default\n${program}\n`
  writeFileSync(join(installed.folder, 'kafkajs.cjs'), required)
  assert.equal(await succeed(process.execPath, ['kafkajs.cjs'], installed.folder), 'function1,function1\n')
})

for (const [module, moduleResolution] of [
  ['NodeNext', 'NodeNext'],
  ['ESNext', 'Bundler'],
] as const) {
  test(`the types are right under tsc --strict, without skipLibCheck (${moduleResolution})`, async () => {
    const types = join(installed.folder, 'node_modules', '@types')
    if (!existsSync(types)) {
      mkdirSync(types)
      for (const name of ['@types/node', 'undici-types']) {
        symlinkSync(join(root, 'node_modules', name), join(installed.folder, 'node_modules', name))
      }
    }
    writeFileSync(
      join(installed.folder, 'typed.mts'),
      `import { Kafka, KafkaError, type Message, type ProducerMessage } from 'dohle'
import { Broker } from 'dohle/broker'
import kafkajs, { CompressionTypes, type ProducerRecord } from 'dohle/kafkajs'
const old = new kafkajs.Kafka({ brokers: ['localhost:9092'], logLevel: kafkajs.logLevel.NOTHING })
const record: ProducerRecord = { topic: 't', messages: [{ value: 'v' }], compression: CompressionTypes.ZSTD }
console.log((await old.producer().send(record))[0]?.baseOffset)
const kafka: Kafka = new Kafka({ brokers: ['localhost:9092'] })
const producer = kafka.producer({ compression: 'zstd', lingerMs: 5 })
const message: ProducerMessage = { key: 'k', value: new Uint8Array(1), headers: { a: 'b' } }
const { offset }: { offset: number } = await producer.send({ topic: 't', ...message })
const consumer = kafka.consumer({ groupId: 'g' })
for await (const read of consumer) { const one: Message = read; const text: string | null = one.text(); console.log(text, offset) }
for await (const batch of consumer.batches()) for (const one of batch) console.log(one.offset.toFixed())
try { await kafka.close() } catch (error) { if (error instanceof KafkaError) console.log(error.code, error.retriable, error.fatal) }
const broker: Broker = await Broker.start({ port: 0 })
console.log(broker.address.length)
// @ts-expect-error: a value is needed
await producer.send({ topic: 't' })
// @ts-expect-error: not a codec
kafka.producer({ compression: 'brotli' })
`,
    )
    const options = [
      '--noEmit',
      '--strict',
      '--exactOptionalPropertyTypes',
      '--target',
      'es2022',
      '--lib',
      'es2023,esnext.disposable',
    ]
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const how = ['--module', module, '--moduleResolution', moduleResolution, '--types', 'node', '--ignoreConfig']
    await succeed(process.execPath, [tsc, ...options, ...how, 'typed.mts'], installed.folder)
  })
}
