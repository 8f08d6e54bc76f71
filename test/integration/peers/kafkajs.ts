/** kafkajs 2.2.4: the old client of the Node world; its codecs without add-ons are none and gzip. */
import { CompressionTypes, type IHeaders, Kafka, logLevel } from 'kafkajs'
import type { TableRecord } from '../../conformance/table.ts'
import type { Peer, Received } from './peer.ts'

const client = (bootstrap: string): Kafka =>
  new Kafka({ clientId: 'kafkajs', brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 10 } })

export const kafkajs: Peer = {
  name: 'kafkajs',
  codecs: ['none', 'gzip'],
  setsTimestamps: true,
  binaryHeaders: true,
  // Its headers are an object: no order across names, no null.
  canWrite: ({ headers, timestamp }) =>
    timestamp !== 0 &&
    headers.every(([, bytes]) => bytes !== null) &&
    new Set(headers.map(([name]) => name)).size === headers.length,
  async write(bootstrap, jobs) {
    const producer = client(bootstrap).producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    try {
      for (const { topic, codec, records } of jobs) {
        const compression = codec === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None
        // One call per record keeps each batch below the broker's limit.
        for (const record of records) await producer.send({ topic, compression, acks: -1, messages: [message(record)] })
      }
    } finally {
      await producer.disconnect()
    }
  },
  async read(bootstrap, topics) {
    const want = topics.reduce((sum, { count }) => sum + count, 0)
    const consumer = client(bootstrap).consumer({ groupId: `kafkajs-${Math.random().toString(36).slice(2)}` })
    await consumer.connect()
    const all: Received[] = []
    try {
      await consumer.subscribe({ topics: topics.map(({ topic }) => topic), fromBeginning: true })
      await new Promise<void>((resolve, reject) => {
        if (want === 0) resolve()
        consumer.on('consumer.crash', event => reject(event.payload.error))
        const eachMessage = async ({ topic, partition, message }: Parameters<EachMessage>[0]): Promise<void> => {
          const { offset, timestamp, key, value } = message
          const headers = headersOf(message.headers)
          all.push({ topic, partition, offset: Number(offset), timestamp: Number(timestamp), key, value, headers })
          if (all.length === want) resolve()
        }
        consumer.run({ eachMessage }).catch(reject)
      })
    } finally {
      await consumer.disconnect()
    }
    return all
  },
}

type EachMessage = NonNullable<NonNullable<Parameters<ReturnType<Kafka['consumer']>['run']>[0]>['eachMessage']>

function message({ partition, key, value, headers, timestamp }: TableRecord) {
  return {
    partition,
    key,
    value,
    headers: Object.fromEntries(headers) as IHeaders,
    ...(timestamp === undefined ? {} : { timestamp: String(timestamp) }),
  }
}

/** In the order of the object: only right where no name occurs twice between others. */
function headersOf(headers: IHeaders | undefined): Received['headers'] {
  const entries = Object.entries(headers ?? {})
  if (entries.some(([, value]) => Array.isArray(value))) return undefined
  return entries.map(
    ([name, value]) => [name, value === undefined || value === null ? null : Buffer.from(value as Buffer)] as const,
  )
}
