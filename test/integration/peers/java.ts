/** The Java client, and Kafka's own console consumer. */
import { fileURLToPath } from 'node:url'
import { jars, javaArgs, javaCommand } from '../../../scripts/kafka.mjs'
import { codecs, command, fromLines, type Peer, type Received, toLines } from './peer.ts'

const program = fileURLToPath(new URL('./JavaClient.java', import.meta.url))

async function java(main: string, args: string[], input?: string): Promise<Buffer> {
  return command(javaCommand, javaArgs(await jars(), main, args, '512m'), input)
}

export const javaClient: Peer = {
  name: 'kafka-clients (Java)',
  codecs,
  setsTimestamps: true,
  binaryHeaders: true,
  canWrite: () => true,
  async write(bootstrap, jobs) {
    await java(program, ['write', bootstrap], toLines(jobs))
  },
  async read(bootstrap, topics) {
    return fromLines(await java(program, ['read', bootstrap, ...topics.map(({ topic }) => topic)]))
  },
}

// What stands between fields and records must not be in the records of the table.
const field = '<|f4711|>'
const end = '<|e4711|>'
const none = '<|n4711|>'
const header = '<|h4711|>'

/** kafka-console-consumer: reads only. */
export const consoleConsumer: Peer = {
  name: 'the Java console consumer',
  codecs,
  setsTimestamps: false,
  binaryHeaders: true,
  canWrite: () => false,
  write: () => Promise.reject(new Error('the console consumer does not write')),
  async read(bootstrap, topics) {
    const all: Received[] = []
    for (const { topic, count } of topics) {
      const shown = { timestamp: true, partition: true, offset: true, headers: true, key: true, value: true }
      const settings = {
        ...Object.fromEntries(Object.entries(shown).map(([name, value]) => [`print.${name}`, value])),
        'key.separator': field,
        'line.separator': end,
        'headers.separator': header,
        'null.literal': none,
      }
      const args = ['--bootstrap-server', bootstrap, '--topic', topic, '--from-beginning']
      args.push('--max-messages', String(count), '--timeout-ms', '60000')
      for (const [name, value] of Object.entries(settings)) args.push('--formatter-property', `${name}=${value}`)
      const text = await java('org.apache.kafka.tools.consumer.ConsoleConsumer', args)
      all.push(...records(text).map(parts => received(topic, parts)))
    }
    return all
  },
}

function records(text: Buffer): Buffer[][] {
  return split(text, end)
    .slice(0, -1)
    .map(record => split(record, field))
}

function received(topic: string, parts: Buffer[]): Received {
  const [time, partition, offset, headers, key, value] = parts
  if (!time || !partition || !offset || !headers || !key || !value || parts.length !== 6) {
    throw new Error(`the console consumer printed ${Buffer.concat(parts).subarray(0, 300)}`)
  }
  const list = headers.toString() === 'NO_HEADERS' ? [] : split(headers, header)
  return {
    topic,
    timestamp: Number(/^\w+:(-?\d+)$/.exec(time.toString())?.[1]),
    partition: Number(/^Partition:(\d+)$/.exec(partition.toString())?.[1]),
    offset: Number(/^Offset:(\d+)$/.exec(offset.toString())?.[1]),
    key: orNull(key),
    value: orNull(value),
    headers: list.map(pair => {
      const colon = pair.indexOf(':')
      return [pair.subarray(0, colon).toString(), orNull(pair.subarray(colon + 1))] as const
    }),
  }
}

const orNull = (bytes: Buffer): Buffer | null => (bytes.toString() === none ? null : bytes)

function split(text: Buffer, separator: string): Buffer[] {
  const parts: Buffer[] = []
  let at = 0
  for (let found = text.indexOf(separator); found >= 0; found = text.indexOf(separator, at)) {
    parts.push(text.subarray(at, found))
    at = found + separator.length
  }
  parts.push(text.subarray(at))
  return parts
}
