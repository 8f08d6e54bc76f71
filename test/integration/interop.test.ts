import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Kafka } from 'dohle'
import { partitions, records, type TableRecord } from '../conformance/table.ts'
import { sameRecords, type Window } from './compare.ts'
import { confluent } from './peers/confluent.ts'
import { dohle } from './peers/dohle.ts'
import { consoleConsumer, javaClient } from './peers/java.ts'
import { kafkajs } from './peers/kafkajs.ts'
import { kcat } from './peers/kcat.ts'
import type { Codec, Peer, Received } from './peers/peer.ts'
import { created, type Server, servers, unique } from './servers.ts'

const others: readonly Peer[] = [kcat, confluent, javaClient, consoleConsumer, kafkajs]

/** What a writer has put into one topic. */
interface Written {
  readonly topic: string
  readonly codec: Codec
  readonly records: readonly TableRecord[]
  window: Window
}

for (const [name, start] of servers) {
  describe(`through ${name}`, () => {
    let server: Server
    before(async () => {
      server = await start()
    })
    after(() => server?.stop())

    /** Writes the table with one client, one topic per codec. */
    async function write(writer: Peer): Promise<Written[]> {
      const sent = records.filter(record => writer.canWrite(record))
      assert.ok(sent.length >= records.length / 2, `${writer.name} can write most of the table`)
      const jobs = writer.codecs.map(codec => ({ topic: unique(`interop-${codec}`), codec, records: sent }))
      const kafka = new Kafka({ brokers: server.bootstrap })
      await created(
        kafka.admin(),
        jobs.map(({ topic }) => ({ topic, partitions })),
      )
      await kafka.close()
      const from = Date.now()
      await writer.write(server.bootstrap, jobs)
      return jobs.map(job => ({ ...job, window: { from: from - 1, to: Date.now() + 1 } }))
    }

    /** Reads topics with one client; kept as a promise, so that each client runs once for all codecs. */
    function read(reader: Peer, topics: readonly Written[]): Promise<Received[]> {
      const readable = topics.filter(({ codec }) => reader.codecs.includes(codec))
      const result = reader.read(
        server.bootstrap,
        readable.map(({ topic, records }) => ({ topic, count: records.length })),
      )
      result.catch(() => {}) // each test that needs it reports it
      return result
    }

    function compare(writer: Peer, reader: Peer, { topic, records, window }: Written, all: Received[]): void {
      const found = all.filter(record => record.topic === topic)
      sameRecords(records, found, window, { timestamps: writer.setsTimestamps, binaryHeaders: reader.binaryHeaders })
    }

    describe('what dohle writes', () => {
      let written: Written[] = []
      const reading = new Map<Peer, Promise<Received[]>>()
      before(async () => {
        written = await write(dohle)
      })
      for (const reader of [dohle, ...others]) {
        for (const codec of reader.codecs) {
          test(`${reader.name} reads byte by byte, ${codec}`, async () => {
            if (!reading.has(reader)) reading.set(reader, read(reader, written))
            const all = (await reading.get(reader)) as Received[]
            compare(dohle, reader, written.find(topic => topic.codec === codec) as Written, all)
          })
        }
      }
    })

    for (const writer of others.filter(peer => peer !== consoleConsumer)) {
      describe(`what ${writer.name} writes`, () => {
        let written: Written[] = []
        let all: Promise<Received[]>
        before(async () => {
          written = await write(writer)
          all = read(dohle, written)
        })
        for (const codec of writer.codecs) {
          test(`dohle reads byte by byte, ${codec}`, async () => {
            compare(writer, dohle, written.find(topic => topic.codec === codec) as Written, await all)
          })
        }
      })
    }
  })
}
