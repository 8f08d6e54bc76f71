import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka } from 'dohle'
import { root } from '../../scripts/lib/paths.mjs'
import { execute, type Outcome } from '../packaging/project.ts'
import { becomes, realKafka, type Server } from './servers.ts'

const start = (...args: string[]): Promise<Outcome> =>
  execute(process.execPath, [join(root, 'scripts', 'start.mjs'), ...args], root)

let server: Server
let folder: string
before(async () => {
  server = await realKafka()
  folder = mkdtempSync(join(tmpdir(), 'dohle-start-'))
})
after(async () => {
  rmSync(folder, { recursive: true, force: true })
  await server?.stop()
})

/** The object in the last line of stdout. */
function figures({ stdout, stderr }: Outcome): Record<string, unknown> {
  const line = stdout.trimEnd().split('\n').at(-1) ?? ''
  assert.match(line, /^\{.*\}$/, `${stdout}${stderr}`)
  return JSON.parse(line)
}

const fields = [
  'brokers',
  'records',
  'bytes',
  'produced',
  'consumed',
  'verified',
  'recordsPerSecond',
  'p50Micros',
  'p99Micros',
  'cpuMicrosPerRecord',
  'peakRssMb',
]

test('records go through the embedded broker, and --json ends with exactly the promised fields', async () => {
  const outcome = await start('--records', '50000', '--json')
  const found = figures(outcome)
  assert.deepEqual(Object.keys(found), fields)
  assert.equal(found.verified, true)
  assert.equal(found.produced, 50_000)
  assert.equal(found.consumed, 50_000)
  for (const name of ['bytes', 'recordsPerSecond', 'p50Micros', 'p99Micros', 'cpuMicrosPerRecord', 'peakRssMb']) {
    assert.ok((found[name] as number) > 0, name)
  }
  assert.equal(outcome.code, 0)
})

test('for people there is a table, and in a pipe no progress line', async () => {
  const { code, stdout, stderr } = await start('--records', '20000', '--codec', 'zstd')
  assert.equal(code, 0, stderr)
  for (const said of ['records/s', 'MB/s', 'p50', 'p99', 'µs/record', 'peak memory', 'Try next'])
    assert.ok(stdout.includes(said), said)
  assert.ok(!`${stdout}${stderr}`.includes('\r'), 'no terminal control')
})

test('on a terminal a progress line is rewritten, and gone at the end', async () => {
  // Python, which these tests need anyhow, has terminals.
  const terminal = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))'
  const command = [process.execPath, join(root, 'scripts', 'start.mjs'), '--records', '500000']
  const { code, stdout, stderr } = await execute('python3', ['-c', terminal, ...command], root)
  assert.equal(code, 0, stdout + stderr)
  const lines = stdout.split('\r\u001b[K')
  assert.ok(lines.length > 2, 'it is shown, and cleared')
  for (const line of lines.slice(1, -1)) assert.match(line, /^ {2}produced [\d,]+ {3}consumed [\d,]+ {3}\d+ %$/)
  assert.match(lines.at(-1) as string, /^\s+records +500,000 sent/)
})

for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
  test(`the same against a cluster with ${codec}; its topic is deleted afterwards`, async () => {
    const outcome = await start('--brokers', server.bootstrap, '--records', '20000', '--codec', codec, '--json')
    assert.equal(figures(outcome).verified, true, outcome.stderr)
    assert.equal(outcome.code, 0)
    await noDemoTopics()
  })
}

test('any file comes back byte by byte, from the embedded broker and from a cluster', async () => {
  const path = join(folder, 'any')
  const everyByte = Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 7) & 255))
  const parts = [
    everyByte,
    '\n\n\r\n',
    'κάβκα\n',
    'x'.repeat(1_000_000),
    '\n',
    readFileSync(join(root, 'README.md')),
    'no line end',
  ]
  writeFileSync(path, Buffer.concat(parts.map(part => Buffer.from(part as string))))
  for (const where of [[], ['--brokers', server.bootstrap]]) {
    const outcome = await start('--file', path, '--json', ...where)
    assert.equal(figures(outcome).verified, true, outcome.stderr)
    assert.equal(outcome.code, 0)
  }
})

test('an empty file and a file of one empty line are proven too', async () => {
  for (const [content, records] of [
    ['', 0],
    ['\n', 1],
  ] as const) {
    writeFileSync(join(folder, 'small'), content)
    const outcome = await start('--file', join(folder, 'small'), '--json')
    assert.equal(figures(outcome).records, records)
    assert.equal(outcome.code, 0, outcome.stderr)
  }
})

test('a line of several MB is refused with its number and the limit; exit code 1', async () => {
  writeFileSync(join(folder, 'long'), `short\n${'x'.repeat(3_000_000)}\n`)
  const { code, stderr } = await start('--file', join(folder, 'long'))
  assert.match(stderr, /npm start: --file: .*long, line 2: longer than the limit of 1,048,000 bytes/)
  assert.equal(code, 1)
})

test('an unknown option and a cluster that is not there are said in one line', async () => {
  const unknown = await start('--recrods', '5')
  assert.equal(
    unknown.stderr.trim(),
    'npm start: unknown option --recrods: there are --records, --codec, --file, --brokers, --json, --help (see npm start -- --help)',
  )
  assert.equal(unknown.code, 2)
  const absent = await start('--brokers', '127.0.0.1:1', '--records', '1', '--json')
  assert.match(absent.stderr, /127\.0\.0\.1:1/)
  assert.equal(figures(absent).verified, false)
  assert.equal(absent.code, 1)
})

test('a reader that goes away, as head does, takes nothing from the run', async () => {
  const child = spawn(process.execPath, ['scripts/start.mjs', '--records', '20000'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const ended = new Promise<number | null>(done => child.once('close', code => done(code)))
  let said = ''
  child.stderr.on('data', text => {
    said += text
  })
  child.stdout.once('data', () => child.stdout.destroy())
  assert.equal(await ended, 0, said)
  process.removeListener('exit', kill)
  assert.doesNotMatch(said, /EPIPE|Error/)
})

test('Ctrl-C ends it in good order: exit code 130, and no topic is left behind', async () => {
  const child = spawn(process.execPath, ['scripts/start.mjs', '--brokers', server.bootstrap, '--records', '50000000'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const ended = new Promise<number | null>(done => child.once('close', code => done(code)))
  let said = ''
  child.stdout.on('data', text => {
    said += text
  })
  child.stderr.on('data', text => {
    said += text
  })
  for (let i = 0; !said.includes('JSON records') && i < 1_200; i++) await sleep(50)
  await sleep(1_500)
  child.kill('SIGINT')
  assert.equal(await ended, 130, said)
  process.removeListener('exit', kill)
  assert.match(said, /interrupted/)
  await noDemoTopics()
})

async function noDemoTopics(): Promise<void> {
  const kafka = new Kafka({ brokers: server.bootstrap })
  const names = async () => (await kafka.admin().listTopics()).map(({ topic }) => topic)
  await becomes(async () => (await names()).filter(name => name.startsWith('dohle-demo-')), [])
  await kafka.close()
}
