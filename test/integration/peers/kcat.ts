/** kcat: an older librdkafka, and a program that people have at hand. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Codec, codecs, command, type Job, type Peer, type Received } from './peer.ts'

const separator = '<|k4711|>'
const lineEnd = '<|e4711|>'

export const kcat: Peer = {
  name: 'kcat',
  codecs,
  setsTimestamps: false,
  binaryHeaders: false,
  // Key and headers are arguments of the program: text without zero bytes, and names without "=".
  canWrite({ key, value, headers }) {
    const texts = [key, ...headers.map(([, bytes]) => bytes)]
    return (
      texts.every(bytes => bytes === null || (isText(bytes) && !bytes.includes(0))) &&
      headers.every(([name, bytes]) => name !== '' && bytes !== null) &&
      !(key === null && (value === null || value.length === 0))
    )
  },
  async write(bootstrap, jobs) {
    const folder = mkdtempSync(join(tmpdir(), 'dohle-kcat-'))
    try {
      for (const job of jobs) await writeJob(bootstrap, job, join(folder, 'value'))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
  async read(bootstrap, topics) {
    const all: Received[] = []
    for (const { topic } of topics) {
      const args = ['-q', '-C', '-b', bootstrap, '-t', topic, '-o', 'beginning', '-e', '-X', 'check.crcs=true']
      const text = await command('kcat', [...args, '-f', '%p %o %T %K %S %h\n%k%s\n'])
      all.push(...parse(topic, text))
    }
    return all
  },
}

/** One run per record: key and headers are the same for all records of a run. */
async function writeJob(bootstrap: string, { topic, codec, records }: Job, file: string): Promise<void> {
  for (const { partition, key, value, headers } of records) {
    const args = [
      '-P',
      '-b',
      bootstrap,
      '-t',
      topic,
      '-p',
      String(partition),
      '-z',
      codec satisfies Codec,
      '-X',
      'acks=all',
    ]
    for (const [name, bytes] of headers) args.push('-H', `${name}=${bytes}`)
    if (value === null) args.push('-Z')
    if (value === null || value.length === 0 || key?.length === 0) {
      // A file must have content and an argument too: such records are written as "key<separator>value" on stdin.
      await command('kcat', [...args, '-K', separator, '-D', lineEnd], `${key}${separator}${value ?? ''}${lineEnd}`)
    } else {
      writeFileSync(file, value)
      await command('kcat', [...args, ...(key === null ? [] : ['-k', key.toString()]), file])
    }
  }
}

/** Reads what the format above prints: a line of numbers and headers, then key and value of the stated lengths. */
function parse(topic: string, text: Buffer): Received[] {
  const records: Received[] = []
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf(10, at)
    const line = text.subarray(at, end)
    const fields = /^(\d+) (\d+) (-?\d+) (-?\d+) (-?\d+) (.*)$/s.exec(line.toString())
    if (!fields) throw new Error(`kcat printed ${line}`)
    const [partition, offset, timestamp, keyLength, valueLength] = fields.slice(1, 6).map(Number) as [
      number,
      number,
      number,
      number,
      number,
    ]
    const keyAt = end + 1
    const valueAt = keyAt + Math.max(0, keyLength)
    at = valueAt + Math.max(0, valueLength) + 1
    records.push({
      topic,
      partition,
      offset,
      timestamp,
      key: keyLength < 0 ? null : text.subarray(keyAt, valueAt),
      value: valueLength < 0 ? null : text.subarray(valueAt, at - 1),
      headers: headersOf(fields[6] as string),
    })
  }
  return records
}

/** kcat prints headers as a=b,c=d: good enough where no value has a comma or bytes that are no text. */
function headersOf(text: string): Received['headers'] {
  if (text === '') return []
  if (text.includes('\ufffd')) return undefined
  return text.split(',').map(pair => {
    const at = pair.indexOf('=')
    const value = pair.slice(at + 1)
    return [pair.slice(0, at), value === 'NULL' ? null : Buffer.from(value)] as const
  })
}

const isText = (bytes: Buffer): boolean => Buffer.from(bytes.toString()).equals(bytes)
