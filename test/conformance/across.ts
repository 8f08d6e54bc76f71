/** What one language has written, every other one reads, byte for byte: registered as tests. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Peer, Received } from '../integration/peers/peer.ts'
import { known, unique } from '../integration/servers.ts'
import { fromStart, keyed, places, sent, sure } from './cases/records.ts'
import { mismatch, readBack, told } from './expect.ts'
import { chosenLanguages, driverOf } from './run.ts'
import type { Session } from './session.ts'
import { bytes, partitions, records } from './table.ts'

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

/** Asks, and demands a result. */
async function ask(session: Session, request: Record<string, unknown>): Promise<Record<string, unknown>> {
  const answer = await session.ask(request)
  if ('error' in answer) throw new Error(`${request.do}: ${JSON.stringify(answer.error)}\n${session.said}`)
  return answer.result
}

const renamed = (list: readonly object[], topic: string) => list.map(one => ({ ...one, topic }))

/** What another client has read, as drivers tell it. */
const asTold = (list: readonly Received[]) =>
  list.map(({ key, value, headers = [], ...one }) => ({
    ...one,
    key: told(key),
    value: told(value),
    headers: headers.map(([name, value]) => [name, told(value)]),
  }))

/** Every chosen language writes one topic per codec, and every one reads all of them; with `peer`, so does a client of somebody else's. */
export function across(bootstrap: () => string, peer?: Peer): void {
  describe('what one language writes, each other reads', { concurrency: 1 }, () => {
    const sessions = new Map<string, Session>()
    const topics: { writer: string; codec: string; topic: string }[] = []
    before(async () => {
      for (const language of chosenLanguages) {
        const session = await driverOf(language)
        if (session !== undefined) sessions.set(language.id, session)
      }
    })
    after(async () => {
      for (const session of sessions.values()) await session.close()
    })
    const client = () => ({ 'bootstrap.servers': bootstrap() })
    const create = async (session: Session, topic: string, count: number) => {
      const made = { topic, partitions: count, replicationFactor: 1, configs: { 'retention.ms': '-1' } }
      await ask(session, { do: 'admin', name: `a-${topic}`, client: client() })
      await ask(session, { do: 'createTopics', of: `a-${topic}`, topics: [made] })
      await known(bootstrap(), { [topic]: count })
    }

    for (const { id, title } of chosenLanguages) {
      test(`${title} writes with every codec`, async context => {
        const session = sessions.get(id)
        if (session === undefined) return context.skip('the machine lacks something')
        for (const codec of codecs) {
          const topic = unique(`across-${id}-${codec}`)
          await create(session, topic, partitions)
          await ask(session, { do: 'producer', name: topic, client: client(), options: { 'compression.type': codec } })
          const { results } = await ask(session, { do: 'produce', of: topic, records: renamed(sent(records), topic) })
          assert.equal(mismatch(results, places(records)), undefined)
          await ask(session, { do: 'reset' })
          topics.push({ writer: title, codec, topic })
        }
      })
    }
    if (peer !== undefined) {
      test(`${peer.name} writes with every codec`, async context => {
        const [session] = sessions.values()
        if (session === undefined) return context.skip('the machine lacks something')
        const jobs = codecs.map(codec => ({ topic: unique(`across-peer-${codec}`), codec, records }))
        for (const { topic } of jobs) await create(session, topic, partitions)
        await peer.write(bootstrap(), jobs)
        for (const { topic, codec } of jobs) topics.push({ writer: peer.name, codec, topic })
      })
    }
    for (const { id, title } of chosenLanguages) {
      test(`${title} reads what all have written`, async context => {
        const session = sessions.get(id)
        if (session === undefined) return context.skip('the machine lacks something')
        for (const { writer, codec, topic } of topics) {
          await ask(session, { do: 'consumer', name: topic, client: client(), options: {} })
          await ask(session, { do: 'assign', of: topic, partitions: renamed(fromStart(partitions), topic) })
          const found = await ask(session, { do: 'consume', of: topic, count: records.length, ms: sure })
          assert.equal(mismatch(found.records, readBack(records)), undefined, `of ${writer}, with ${codec}`)
          await ask(session, { do: 'reset' })
        }
      })
    }
    if (peer !== undefined) {
      test(`${peer.name} reads what all have written`, async () => {
        const asked = topics.map(({ topic }) => ({ topic, count: records.length }))
        const found = asTold(await peer.read(bootstrap(), asked))
        for (const { writer, codec, topic } of topics) {
          const own = found.filter(one => one.topic === topic)
          assert.equal(mismatch(own, readBack(records)), undefined, `of ${writer}, with ${codec}`)
        }
      })
    }
    /** Where another client puts the keys. */
    const partitioned = async (peer: Peer, session: Session): Promise<number[]> => {
      const topic = unique('keys-peer')
      await create(session, topic, 6)
      const list = keyed.map(({ key }) => ({ name: '', partition: -1, key: bytes(key), value: null, headers: [], timestamp: undefined })) // biome-ignore format: one row
      await peer.write(bootstrap(), [{ topic, codec: 'none', records: list }])
      const read = await peer.read(bootstrap(), [{ topic, count: list.length }])
      const places = new Map(read.map(({ key, partition }) => [key?.toString('base64'), partition]))
      return list.map(({ key }) => places.get(key?.toString('base64')) ?? -1)
    }

    test('a key lands in the same partition, whoever sends it', async () => {
      const found = new Map<string, unknown>()
      for (const [id, session] of sessions) {
        const topic = unique(`keys-${id}`)
        await create(session, topic, 6)
        await ask(session, { do: 'producer', name: topic, client: client(), options: {} })
        const { results } = await ask(session, { do: 'produce', of: topic, records: renamed(keyed, topic) })
        found.set(
          id,
          (results as { partition: number }[]).map(({ partition }) => partition),
        )
        await ask(session, { do: 'reset' })
      }
      const [session] = sessions.values()
      if (peer !== undefined && session !== undefined) found.set(peer.name, await partitioned(peer, session))
      const [[first, expected] = ['', []], ...others] = [...found]
      for (const [id, partitions] of others) assert.deepEqual(partitions, expected, `${id} and ${first}`)
    })
  })
}
