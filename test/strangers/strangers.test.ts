/** The table of cases with each stranger, against the embedded broker and Apache Kafka: the same result, and the right one. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { Broker } from 'dohle/broker'
import { KafkaServer } from '../../scripts/kafka.mjs'
import { coordinated, type Server, unique } from '../integration/servers.ts'
import { asExpected, same } from './compare.ts'
import { file, report } from './report.ts'
import { atBroker, embedded, lacks, properties, say } from './runner.ts'
import type { Session } from './session.ts'
import { strangers } from './strangers.ts'
import { cases } from './table.ts'

/** Only these, by id: for who works on one. */
const only = process.env.DOHLE_STRANGERS?.split(',')
const chosen = strangers.filter(({ id }) => only?.includes(id) ?? true)

describe('strangers', { concurrency: 3 }, () => {
  let kafka: Server
  let broker: Broker
  before(async () => {
    ;[kafka, broker] = await Promise.all([realKafka(), embedded()])
    await coordinated(kafka.bootstrap)
  })
  after(async () => {
    await broker?.close()
    await kafka?.stop()
  })

  for (const stranger of chosen) {
    describe(stranger.title, { concurrency: 1 }, () => {
      let sessions: Record<'ours' | 'theirs', Session>
      let lacking: string | undefined
      before(async () => {
        lacking = await lacks(stranger)
        if (lacking) return
        const connect = await stranger.setUp()
        sessions = { ours: connect(broker.address), theirs: connect(kafka.bootstrap) }
      })
      after(async () => {
        await Promise.all([sessions?.ours.close(), sessions?.theirs.close()])
      })
      for (const each of cases) {
        if (stranger.cannot[each.id] || (each.only && each.only !== stranger.id)) continue
        test(`${each.id}: ${each.proves}`, async context => {
          if (lacking) return context.skip(lacking)
          const name = `${stranger.id}-${each.id}`
          const [ours, theirs] = await both(
            atBroker(sessions.ours, broker.address, each, unique(name)),
            atBroker(sessions.theirs, kafka.bootstrap, each, unique(name)),
          )
          asExpected(each, stranger, theirs, 'Apache Kafka')
          asExpected(each, stranger, ours, 'the embedded broker')
          same(each, ours, theirs)
        })
      }
    })
  }
})

test('every case is done by three strangers or more, and every limit of one is of a case', () => {
  for (const { id, only } of cases) {
    if (only) continue
    const able = strangers.filter(({ cannot }) => !cannot[id])
    assert.ok(able.length >= 3, `${id}: ${able.map(({ title }) => title)}`)
  }
  const known = cases.map(({ id }) => id)
  for (const { cannot, blind = {} } of strangers) {
    for (const id of [...Object.keys(cannot), ...Object.keys(blind)]) assert.ok(known.includes(id), id)
  }
})

test('the table of docs/strangers.md is current', () => {
  assert.equal(readFileSync(file, 'utf8'), report(), 'node --import=tsx test/strangers/report.ts writes it')
})

/** One of this file's own, or (by hand) the one of DOHLE_STRANGERS_KAFKA, which must have these properties. */
async function realKafka(): Promise<Server> {
  const given = process.env.DOHLE_STRANGERS_KAFKA
  if (given) return { bootstrap: given, stop: async () => {} }
  return KafkaServer.start({ properties, heap: '768m', say })
}

/** Waits for both, so that nothing of a failed case goes on during the next; a failure names its broker. */
async function both<T>(ours: Promise<T>, theirs: Promise<T>): Promise<[T, T]> {
  const [one, other] = await Promise.allSettled([ours, theirs])
  if (one.status === 'fulfilled' && other.status === 'fulfilled') return [one.value, other.value]
  const told = (what: PromiseSettledResult<T>) =>
    what.status === 'fulfilled' ? JSON.stringify(what.value) : what.reason
  throw new Error(`the embedded broker: ${told(one)}\nApache Kafka: ${told(other)}`)
}
