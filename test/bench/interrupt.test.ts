// Ctrl-C leaves nothing behind: no topic on a cluster that is not the benchmark's own, no program that goes on.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Broker } from '../../ts/broker.ts'
import { Kafka } from '../../ts/index.ts'

const program = (brokers: string) => `
  import { measure } from './bench/lib/measure.mjs'
  import { casesOf } from './bench/lib/scenarios.mjs'
  const context = { say: line => console.error(line), prebuilt: true, alone: true, nodeCommand: process.execPath }
  const cases = casesOf('produce-sequential', { records: 100_000_000 })
  await measure({ cases, names: ['dohle'], rounds: 1, brokers: '${brokers}', json: true, context })`

describe('the benchmark', () => {
  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`deletes its topics on ${signal}, and ends`, async () => {
      await using broker = await Broker.start()
      await using kafka = new Kafka({ brokers: broker.address })
      const admin = kafka.admin()
      const child = spawn(process.execPath, ['--input-type=module', '-e', program(broker.address)], {
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      let said = ''
      child.stderr.on('data', bytes => {
        said += bytes
      })
      const ended = once(child, 'exit')
      const written = async () => {
        const [topic] = await admin.listTopics()
        if (topic === undefined) return false
        await using consumer = kafka.consumer()
        await consumer.assign(
          [0, 1, 2, 3, 4, 5].map(partition => ({ topic: topic.topic, partition, offset: 'earliest' })),
        )
        for await (const _ of consumer) break
        return true
      }
      while (child.exitCode === null && !(await written().catch(() => false))) await sleep(20)
      child.kill(signal)
      assert.deepEqual(await ended, [exitCode, null], said)
      assert.match(said, /interrupted: the topics are deleted/)
      assert.deepEqual(await admin.listTopics(), [])
    })
  }
})
