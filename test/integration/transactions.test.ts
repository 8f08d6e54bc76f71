import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type ConsumerOptions, Kafka } from 'dohle'
import { interpreter } from './peers/confluent.ts'
import { created, realKafka, type Server, unique } from './servers.ts'

const program = fileURLToPath(new URL('./peers/transactions.py', import.meta.url))
const rounds = 10
const perRound = 40
const isAborted = (round: number): boolean => round % 3 === 1

/** What one transaction puts into the log, the record without a transaction in its middle included. */
function written(round: number): string[] {
  const values = Array.from({ length: perRound }, (_, index) => `${round}-${index}`)
  values.splice(perRound / 2 + 1, 0, `plain-${round}`)
  return values
}

describe('transactions of another client, on Apache Kafka', () => {
  let server: Server
  let kafka: Kafka
  let writer: ChildProcess | undefined
  before(async () => {
    server = await realKafka()
    kafka = new Kafka({ brokers: server.bootstrap })
  })
  after(async () => {
    writer?.kill('SIGKILL')
    await kafka?.close()
    await server?.stop()
  })

  async function read(topic: string, count: number, options: ConsumerOptions): Promise<string[]> {
    const consumer = kafka.consumer(options)
    await consumer.assign([{ topic, partition: 0, offset: 'earliest' }])
    const values: string[] = []
    for await (const message of consumer) {
      values.push(message.text() ?? '')
      if (values.length === count) break
    }
    await consumer.close()
    return values
  }

  test('read_committed leaves out what was aborted and stops before what is open; without it all is read', async () => {
    const topic = unique('transactions')
    await created(kafka.admin(), [{ topic, partitions: 1 }])
    const args = [program, server.bootstrap, topic, String(rounds), String(perRound)]
    writer = spawn(await interpreter(), args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const exited = once(writer, 'exit')
    const said = createInterface({ input: writer.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
    assert.equal((await said.next()).value, 'open')

    const all = Array.from({ length: rounds }, (_, round) => written(round))
    const uncommitted = all.flat()
    assert.deepEqual(await read(topic, uncommitted.length, { isolationLevel: 'read_uncommitted' }), uncommitted)

    const settled = all.map((values, round) => (isAborted(round) ? [`plain-${round}`] : values))
    // The last transaction is open: its own records and the plain one behind them are not stable yet.
    const stable = settled.slice(0, -1).flat()
    const consumer = kafka.consumer({ isolationLevel: 'read_committed', maxPartitionFetchBytes: 200 })
    await consumer.assign([{ topic, partition: 0, offset: 'earliest' }])
    const values: string[] = []
    for await (const message of consumer) {
      values.push(message.text() ?? '')
      if (values.length === stable.length) {
        assert.deepEqual(values, stable)
        // What is not stable is no lag; the control record at the end of what is comes with a fetch of its own.
        while (consumer.lag({ topic, partition: 0 }) !== 0) await sleep(20)
        ;(writer.stdin as NodeJS.WritableStream).write('commit\n')
      }
      if (values.length === settled.flat().length) break
    }
    assert.deepEqual(values, settled.flat())
    await consumer.close()
    assert.equal((await said.next()).value, 'done')
    assert.deepEqual(await exited, [0, null])
  })
})
