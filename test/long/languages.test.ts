/** Each language produces and consumes for minutes: the memory of its process, its threads and its files stay what they are. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { Broker } from 'dohle/broker'
import { chosenLanguages, driverOf } from '../conformance/run.ts'
import type { Session } from '../conformance/session.ts'

const seconds = Number(process.env.DOHLE_LANGUAGE_SECONDS ?? 20)
const MB = 2 ** 20

interface Usage {
  rss: number
  threads: number
  files: number
}

const open: Session[] = []
after(async () => {
  for (const session of open) await session.close()
})

describe('languages', { concurrency: 1 }, () => {
  for (const language of chosenLanguages) {
    test(`${language.title} produces and consumes for ${seconds} s in memory that does not grow`, async context => {
      const session = await driverOf(language)
      if (session === undefined) return context.skip('the machine lacks something')
      open.push(session)
      const broker = await Broker.start({ partitions: 3, retentionBytes: 64 * MB })
      const ask = async (request: Record<string, unknown>) => {
        const answer = await session.ask(request)
        if ('error' in answer) throw new Error(`${request.do}: ${JSON.stringify(answer.error)}\n${session.said}`)
        return answer.result
      }
      const usage = async () => (await ask({ do: 'usage' })) as unknown as Usage
      const client = { 'bootstrap.servers': broker.address }
      try {
        await ask({ do: 'producer', name: 'p', client, options: { 'compression.type': 'lz4' } })
        await ask({ do: 'consumer', name: 'c', client, options: { 'group.id': 'g', 'auto.offset.reset': 'earliest' } })
        await ask({ do: 'subscribe', of: 'c', topics: ['t'] })
        const headers = [['trace', '4bf92f35']]
        const records = Array.from({ length: 100 }, (_, n) => ({
          topic: 't',
          key: `k${n}`,
          value: { noise: n + 1, bytes: 1000 },
          headers,
        }))
        let sent = 0
        let read = 0
        const round = async () => {
          const [produced, consumed] = await Promise.all([
            ask({ do: 'produce', of: 'p', records, times: 20 }),
            ask({ do: 'consume', of: 'c', count: 2000, ms: 300_000, quiet: true }),
          ])
          assert.deepEqual(produced, { count: 2000, errors: [] })
          sent += 2000
          read += Number(consumed.count)
        }
        const until = async (end: number) => {
          const seen: Usage[] = []
          while (performance.now() < end) {
            for (let n = 0; n < 10; n++) await round()
            seen.push(await usage())
          }
          return seen
        }
        const begun = performance.now()
        // What allocators and compilers keep, they take in the first third.
        const before = await until(begun + (seconds * 1000) / 3)
        const late = await until(begun + seconds * 1000)
        assert.equal(read, sent)
        const most = (list: Usage[], what: keyof Usage) => Math.max(...list.map(one => one[what]))
        const median = (list: Usage[]) => list.map(({ rss }) => rss).sort((a, b) => a - b)[list.length >> 1] ?? 0
        const [first, last] = [most(before, 'rss') / MB, median(late.slice(-Math.ceil(late.length / 3))) / MB]
        context.diagnostic(
          `${sent} records; ${first.toFixed()} MB at most in the first third, ${last.toFixed()} at the end`,
        )
        assert.ok(last <= first + 16, `memory: ${first} MB, then ${last} MB`)
        assert.ok(most(late, 'threads') <= most(before, 'threads') + 1, 'threads')
        assert.ok(most(late, 'files') <= most(before, 'files') + 1, 'files')
        await ask({ do: 'reset' })
      } finally {
        await broker.stop()
      }
    })
  }
})
