/** librdkafka, an old one in kcat and the current one in confluent-kafka, at the embedded broker as older releases of Kafka. */
import { after, before, describe, test } from 'node:test'
import type { Broker } from 'dohle/broker'
import { unique } from '../integration/servers.ts'
import { asExpected } from './compare.ts'
import { atBroker, embedded, lacks } from './runner.ts'
import type { Session } from './session.ts'
import { strangers } from './strangers.ts'
import { cases } from './table.ts'

// 4.3 is in strangers.test.ts.
const releases = ['2.1', '2.8', '3.9'] as const

/** Cases that need a newer Kafka than 2.1, and the first of these releases that has what they need. */
const since: Readonly<Record<string, (typeof releases)[number] | '4.3'>> = {
  'static-member': '2.8', // KIP-345, Kafka 2.3
  'admin-configs': '2.8', // KIP-339, Kafka 2.3
  'list-offsets': '3.9', // KIP-734, Kafka 3.0
  'group-848': '4.3',
}

/** One codec of those that Kafka has had for ever, and the one that came with 2.1. */
const others = ['codec-none', 'codec-snappy', 'codec-lz4']

for (const asVersion of releases) {
  const chosen = cases.filter(({ id, only }) => !only && !others.includes(id) && (since[id] ?? '2.1') <= asVersion)
  describe(`as Kafka ${asVersion}`, { concurrency: 2 }, () => {
    for (const stranger of strangers.filter(({ id }) => id === 'kcat' || id === 'confluent')) {
      describe(stranger.title, { concurrency: 1 }, () => {
        let broker: Broker
        let session: Session
        let lacking: string | undefined
        before(async () => {
          lacking = await lacks(stranger)
          if (lacking) return
          broker = await embedded({ asVersion })
          session = (await stranger.setUp())(broker.address)
        })
        after(async () => {
          await session?.close()
          await broker?.close()
        })
        for (const each of chosen.filter(({ id }) => !stranger.cannot[id])) {
          test(`${each.id}: ${each.proves}`, async context => {
            if (lacking) return context.skip(lacking)
            const name = unique(`${stranger.id}-${each.id}`)
            asExpected(each, stranger, await atBroker(session, broker.address, each, name), `Kafka ${asVersion}`)
          })
        }
      })
    }
  })
}
