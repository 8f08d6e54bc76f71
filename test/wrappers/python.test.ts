import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { run } from '../../scripts/lib/run.mjs'
import { Broker } from '../../ts/broker.ts'
import { Kafka } from '../../ts/index.ts'
import { sources, Wheel } from './python/wheel.ts'

let wheel: Wheel

before(async () => {
  wheel = await Wheel.build()
})

after(() => wheel?.end())

/** The blocks of code of the README in a language. */
function blocks(language: string): string[] {
  const readme = readFileSync(join(sources, 'README.md'), 'utf8')
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(match => match[1]!)
}

test('the wheel is one for all CPythons from 3.11 on, with types', async () => {
  assert.match(wheel.file, /dohle-[\d.]+-cp311-abi3-\w+\.whl$/)
  const files = readdirSync(join(await wheel.packages(), 'dohle'))
  assert.ok(['py.typed', '_native.pyi', '_native.abi3.so'].every(name => files.includes(name)))
})

test('the examples of the README run as pasted', async () => {
  const [programs, said] = [blocks('python'), blocks('text')]
  assert.ok(programs.length > 0 && programs.length === said.length)
  for (const [at, program] of programs.entries()) {
    const args = ['-X', 'dev', '-W', 'error', '-c', program]
    assert.equal(await run(await wheel.installed(), args, { capture: true, cwd: wheel.folder }), said[at])
  }
})

test('every test of pytest passes', async t => {
  const cases = await wheel.pytest()
  assert.ok(cases.length > 40)
  for (const { name, failure, skipped } of cases) {
    await t.test(name, { skip: skipped }, () => assert.equal(failure, undefined))
  }
})

test('mypy --strict passes on the package and on the example', async () => {
  await wheel.mypy('-p', 'dohle')
  await wheel.mypy(join(sources, 'examples', 'typed.py'))
})

test('mypy --strict finds wrong use', async () => {
  const wrong = ['import dohle', 'dohle.Producer(linger_ms="soon").produce(7)', ''].join('\n')
  await assert.rejects(wheel.mypy('-c', wrong), /linger_ms.*\n.*[\s\S]*produce/)
})

test('what Python wrote is what TypeScript reads, and the other way round', async () => {
  await using broker = await Broker.start({ partitions: 3 })
  const python = await wheel.installed()
  const pasted = (program: string): Promise<string> => run(python, ['-c', program, broker.address], { capture: true })
  await pasted(`import sys, dohle
with dohle.Producer(bootstrap_servers=sys.argv[1]) as producer:
    for n in range(3000):
        producer.produce("from-python", str(n), key=f"key-{n % 100}", headers=[("from", "Python"), ("none", None)])
`)
  await using kafka = new Kafka({ brokers: broker.address })
  await using consumer = kafka.consumer({ groupId: 'reads', autoOffsetReset: 'earliest' })
  await consumer.subscribe('from-python')
  const keys = new Map<string, number>()
  let read = 0
  for await (const message of consumer) {
    const number = Number(`${message.value}`)
    assert.equal(`${message.key}`, `key-${number % 100}`)
    assert.equal(`${message.headers.get('from')}`, 'Python')
    keys.set(`${message.key}`, message.partition)
    if (++read === 3000) break
  }
  await using producer = kafka.producer()
  const messages = [...keys.keys()].map(key => ({ key, value: 'ü', headers: { a: 'b' } }))
  await producer.sendBatch({ topic: 'from-ts', messages })
  const said: string = await pasted(`import sys, dohle
with dohle.Consumer(bootstrap_servers=sys.argv[1], group_id="py", auto_offset_reset="earliest") as consumer:
    consumer.subscribe(["from-ts"])
    for message in consumer.consume(${keys.size}):
        assert message.value() == "ü".encode() and message.headers() == [("a", b"b")]
        print(message.key().decode(), message.partition())
`)
  const theirs: string[][] = said
    .trim()
    .split('\n')
    .map(line => line.split(' '))
  assert.deepEqual(new Map(theirs.map(([key, partition]) => [key!, Number(partition)])), keys)
})

for (const version of ['3.12', '3.13', '3.14']) {
  const python = other(version)
  const skip = python === undefined && `there is no Python ${version} on this machine`
  test(`the same wheel works in Python ${version}`, { skip }, async () => {
    const [program, said] = [blocks('python')[0]!, blocks('text')[0]!]
    assert.equal(await run(await wheel.installed(python), ['-c', program], { capture: true }), said)
  })
}

/** A Python of a version, where pyenv or the system has it. */
function other(version: string): string | undefined {
  const pyenv = join(process.env.PYENV_ROOT ?? join(homedir(), '.pyenv'), 'versions')
  const found = existsSync(pyenv) ? readdirSync(pyenv).find(name => name.startsWith(`${version}.`)) : undefined
  const places = [
    found && join(pyenv, found, 'bin', 'python'),
    `/usr/bin/python${version}`,
    `/usr/local/bin/python${version}`,
  ]
  return places.find(place => place !== undefined && existsSync(place))
}
