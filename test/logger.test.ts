import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Broker } from '../ts/broker.ts'
import { Kafka, type Logger } from '../ts/index.ts'

interface Line {
  level: string
  message: string
  fields: Record<string, unknown>
}

function collector(): { logger: Logger; lines: Line[]; until(found: (line: Line) => boolean): Promise<Line> } {
  const lines: Line[] = []
  const waiting: { found: (line: Line) => boolean; resolve: (line: Line) => void }[] = []
  const take = (level: string) => (message: string, fields: Record<string, unknown>) => {
    const line = { level, message, fields }
    lines.push(line)
    for (const { found, resolve } of waiting) if (found(line)) resolve(line)
  }
  return {
    lines,
    logger: { error: take('error'), warn: take('warn'), info: take('info'), debug: take('debug') },
    until: found =>
      new Promise(resolve => {
        const there = lines.find(found)
        if (there === undefined) waiting.push({ found, resolve })
        else resolve(there)
      }),
  }
}

/** A port where nobody listens. */
const NOWHERE = '127.0.0.1:1'

describe('the logger of a client', () => {
  test('gets warnings with their fields, and no more than its level', async () => {
    const { logger, lines, until } = collector()
    const kafka = new Kafka({ brokers: NOWHERE, clientId: 'talks', logger, defaultApiTimeoutMs: 500 })
    await assert.rejects(kafka.admin().describeCluster())
    const line = await until(({ message }) => message.includes('cannot connect'))
    assert.equal(line.level, 'warn')
    assert.equal(line.fields.clientId, 'talks')
    assert.equal(line.fields.node, -1)
    assert.match(String(line.fields.error), /cannot be reached/)
    assert.deepEqual(new Set(lines.map(({ level }) => level)), new Set(['warn']))
    await kafka.close()
  })

  test('tells of a broker that stays away once, not at each attempt', async () => {
    const { logger, lines } = collector()
    const kafka = new Kafka({ brokers: NOWHERE, logger, defaultApiTimeoutMs: 700, reconnectBackoffMs: 10 })
    await assert.rejects(kafka.admin().describeCluster())
    await kafka.close()
    assert.equal(lines.filter(({ message }) => message.includes('cannot connect')).length, 1, JSON.stringify(lines))
  })

  test('tells once of a broker that hangs up on who does not log in', async () => {
    await using broker = await Broker.start({ sasl: { users: [{ name: 'alice', password: 'a' }] } })
    const { logger, lines, until } = collector()
    await using kafka = new Kafka({ brokers: broker.address, logger, retryBackoffMs: 10, retryBackoffMaxMs: 50 })
    await using producer = kafka.producer({ maxBlockMs: 60_000 })
    const sent = producer.send({ topic: 't', value: 'v' })
    sent.catch(() => {}) // by close
    const line = await until(({ message }) => message.includes('no metadata of the cluster'))
    assert.equal(line.level, 'warn')
    assert.match(String(line.fields.error), /a listener that wants SASL does this/)
    await sleep(500) // ten more attempts
    assert.equal(lines.filter(({ message }) => message.includes('no metadata')).length, 1, JSON.stringify(lines))
    await producer.close({ timeout: 1 }).catch(() => {})
  })

  test('tells once of a subscribed topic that gives nothing, where nobody listens to events', async () => {
    for (const groupProtocol of ['classic', 'consumer'] as const) {
      await using broker = await Broker.start({ autoCreateTopics: false })
      const { logger, lines, until } = collector()
      await using kafka = new Kafka({ brokers: broker.address, logger, metadataMaxAgeMs: 50 })
      await using consumer = kafka.consumer({ groupId: 'g', groupProtocol })
      await consumer.subscribe('nowhere')
      const loop = (async () => {
        for await (const message of consumer) assert.fail(message.topic)
      })()
      const line = await until(({ message }) => message.includes('no records come'))
      assert.equal(line.level, 'warn')
      assert.match(String(line.fields.error), /topic nowhere is subscribed and does not exist/)
      await sleep(500) // ten more looks at the metadata
      await consumer.close()
      await loop
      assert.equal(lines.filter(({ message }) => message.includes('no records come')).length, 1, JSON.stringify(lines))
    }
  })

  test('gets what helps to find a fault at debug, and nothing of other clients', async () => {
    const [own, other] = [collector(), collector()]
    const kafka = new Kafka({ brokers: NOWHERE, logger: own.logger, logLevel: 'debug', defaultApiTimeoutMs: 300 })
    const silent = new Kafka({ brokers: NOWHERE, logger: other.logger, logLevel: 'off', defaultApiTimeoutMs: 300 })
    await Promise.all([assert.rejects(kafka.admin().listTopics()), assert.rejects(silent.admin().listTopics())])
    await own.until(({ level }) => level === 'debug')
    await Promise.all([kafka.close(), silent.close()])
    assert.deepEqual(other.lines, [])
  })

  test('is stderr when none is given, and only when something is wrong', () => {
    const program = (brokers: string, logLevel: string) => `
      import { Broker } from './ts/broker.ts'
      import { Kafka } from './ts/index.ts'
      const broker = await Broker.start({ port: 0 })
      const kafka = new Kafka({ brokers: ${brokers}, logLevel: '${logLevel}', defaultApiTimeoutMs: 300 })
      await kafka.admin().listTopics().catch(() => {})
      await kafka.close()
      await broker.stop()`
    const run = (brokers: string, logLevel = 'warn') => {
      const args = ['--import', 'tsx', '--input-type=module', '-e', program(brokers, logLevel)]
      const { stderr, stdout, status } = spawnSync(process.execPath, args, { encoding: 'utf8' })
      assert.deepEqual([stdout, status], ['', 0], stderr)
      return stderr
    }
    assert.equal(run('broker.address'), '', 'nothing is wrong')
    assert.match(run(`'${NOWHERE}'`), /^\S+Z dohle WARN \[dohle\] cannot connect; trying again error='.*' node=-1\n$/)
    assert.equal(run(`'${NOWHERE}'`, 'off'), '')
  })

  test('must have a function for each level', () => {
    const some = { warn: () => {} } as never
    assert.throws(() => new Kafka({ brokers: NOWHERE, logger: some }), /logger\.error: is undefined, not a function/)
    assert.throws(() => new Kafka({ brokers: NOWHERE, logLevel: 'loud' as never }), /log(Level|\.level)/)
    assert.doesNotThrow(() => new Kafka({ brokers: NOWHERE, logger: console }))
  })
})
