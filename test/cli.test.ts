import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Kafka } from '../ts/index.ts'

const cli = new URL('../ts/cli.ts', import.meta.url).pathname

/** The command, with what it writes. */
function run(args: string[]) {
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), cli, ...args])
  const written = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', text => (written.stdout += text))
  child.stderr.setEncoding('utf8').on('data', text => (written.stderr += text))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...written }))
  const address = async () => {
    while (!written.stdout.includes('\n')) {
      const [done] = await Promise.race([once(child.stdout, 'data'), ended.then(result => [result] as const)])
      if (typeof done === 'object') throw new Error(JSON.stringify(done))
    }
    return written.stdout.split('\n')[0] as string
  }
  return { child, ended, address }
}

describe('dohle broker', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'dohle-cli-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const file = (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  }

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`serves what its file and its arguments say, and stops cleanly at ${signal}`, async () => {
      const config = file('good.properties', 'listeners=PLAINTEXT://127.0.0.1:0\nnum.io.threads=3\nnum.partitions=2\n')
      const { child, ended, address } = run(['broker', '-c', config, '-v', '--override', 'log.retention.ms=1234567'])
      const kafka = new Kafka({ brokers: await address() })
      const producer = kafka.producer()
      await producer.send({ topic: 'made', value: 'hello' })
      const consumer = kafka.consumer({ groupId: 'g', autoOffsetReset: 'earliest' })
      await consumer.subscribe('made')
      for await (const message of consumer) {
        assert.equal(message.text(), 'hello')
        break
      }
      const admin = kafka.admin()
      assert.equal((await admin.describeTopics(['made']))[0]?.partitions.length, 2)
      const [described] = await admin.describeConfigs([{ type: 'TOPIC', name: 'made', keys: ['retention.ms'] }])
      assert.equal(described?.configs[0]?.value, '1234567')
      await kafka.close()
      child.kill(signal)
      const { code, stderr } = await ended
      assert.equal(code, 0, stderr)
      assert.match(stderr, /INFO .*line 2: num.io.threads has no effect here/)
      assert.match(stderr, /INFO embedded broker started/)
    })
  }

  test('--port goes before the file, and nothing is logged unless asked', async () => {
    const config = file(
      'port.properties',
      'listeners=PLAINTEXT://127.0.0.1:1\nadvertised.listeners=PLAINTEXT://localhost:1\n',
    )
    const { child, ended, address } = run(['broker', '-c', config, '--port', '0'])
    const listening = await address()
    assert.match(listening, /^127\.0\.0\.1:\d{2,}$/)
    await using kafka = new Kafka({ brokers: listening })
    const { brokers } = await kafka.admin().describeCluster()
    assert.deepEqual(
      brokers.map(({ host, port }) => `${host}:${port}`),
      [listening],
    )
    child.kill('SIGTERM')
    assert.deepEqual(await ended.then(({ code, stderr }) => [code, stderr]), [0, ''])
  })

  test('what is wrong is told with its line, and nothing is started', async () => {
    const config = file('bad.properties', '# bad\nnum.partition=3\nlog.retention.ms=soon\n')
    const { code, stdout, stderr } = await run(['broker', '-c', config]).ended
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /line 2: Unknown broker config name: num.partition; did you mean num.partitions\?/)
    assert.match(stderr, /line 3: Invalid value soon for configuration log.retention.ms: Not a number of type LONG/)
    for (const [args, exit, said] of [
      [['broker', '--prot', '1'], 2, /--prot/],
      [['broker', '--port', 'x'], 2, /--port x: it must be 0 to 65535/],
      [['broker', '--override', 'a'], 2, /--override a: it must be KEY=VALUE/],
      [['broker', '--override', 'ssl.cipher.suites=x'], 1, /not served here/],
      [['broker', '-c', join(folder, 'none')], 1, /ENOENT/],
      [['brocker'], 2, /the commands are broker, replay FILE and export FILE/],
    ] as const) {
      const result = await run([...args]).ended
      assert.equal(result.code, exit, result.stderr)
      assert.match(result.stderr, said)
    }
  })

  test('help and version are printed', async () => {
    assert.match((await run(['--help']).ended).stdout, /--override KEY=VALUE/)
    assert.match((await run(['--version']).ended).stdout, /^dohle \d+\.\d+\.\d+\n$/)
  })
})
