/** kcat as a driver of the cases: one run of the program, or several, for each. It runs in the process of the tests. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { command } from '../../integration/peers/peer.ts'
import type { Session } from '../session.ts'
import { T0 } from '../table.ts'
import { type Cases, records, run, text, until } from './kit.ts'

/** What kcat -J prints of a record. */
interface Row {
  offset: number
  tstype: string
  ts: number
  headers?: string[]
  key: string | null
  payload: string | null
}

const separator = '<|k|>'
const recordEnd = '<|e|>'

export function kcat(bootstrap: string): Session {
  const all = cases(bootstrap)
  return { run: (id, name) => run(all, id, name), close: async () => {} }
}

const cases = (bootstrap: string): Cases => {
  const at = ['-b', bootstrap]

  async function read(topic: string, ...args: string[]): Promise<Row[]> {
    const lines = await command('kcat', ['-C', ...at, '-t', topic, '-q', '-e', '-J', '-X', 'check.crcs=true', ...args])
    return `${lines}`.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line) as Row]))
  }

  /** The offset of a time: −1 for the end, −2 for the beginning. */
  async function offset(topic: string, partition: number, time: number): Promise<number> {
    const line = await command('kcat', ['-Q', ...at, '-t', `${topic}:${partition}:${time}`])
    const [, found] = / offset (-?\d+)/.exec(`${line}`) ?? []
    if (found === undefined) throw new Error(`kcat printed ${line}`)
    return Number(found)
  }

  /** A value of a file: a line of standard input cannot be as long as it likes. */
  async function sendFile(topic: string, value: string, ...args: string[]): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'dohle-kcat-'))
    try {
      writeFileSync(join(folder, 'value'), value)
      await command('kcat', ['-P', ...at, '-t', topic, '-p', '0', ...args, join(folder, 'value')])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  return {
    async codec(topic, name) {
      for (const { key, value, headers } of records) {
        const args = ['-z', name, '-X', 'acks=all']
        for (const [header, given] of Object.entries(headers)) {
          for (const one of [given].flat()) args.push('-H', `${header}=${one}`)
        }
        if (value) await sendFile(topic, value, ...args, ...(key === null ? [] : ['-k', key]))
        else {
          // A file must have content: such a record is a line of standard input.
          const nulls = value === null ? ['-Z'] : []
          const input = `${key}${separator}${value ?? ''}${recordEnd}`
          const line = ['-P', ...at, '-t', topic, '-p', '0', ...args, ...nulls, '-K', separator, '-D', recordEnd]
          await command('kcat', line, input)
        }
      }
      const rows = await read(topic, '-p', '0', '-o', 'beginning')
      return {
        records: rows.map(({ offset, key, payload, headers = [] }) => ({
          offset,
          key: text(key),
          value: text(payload),
          headers: headers.flatMap((header, i) => (i % 2 === 0 ? [[header, headers[i + 1]]] : [])),
        })),
      }
    },

    async 'too-large'(topic) {
      const refused = await sendFile(topic, 'x'.repeat(20_000)).then(
        () => 0,
        (error: Error) => (/Broker: Message size too large/.test(error.message) ? 10 : error.message),
      )
      await sendFile(topic, 'small')
      const [row] = await read(topic, '-p', '0', '-o', 'beginning')
      return { error: refused, offset: row?.offset, end: await offset(topic, 0, -1) }
    },

    async 'append-time'(topic) {
      await sendFile(topic, 'v')
      const [row] = await read(topic, '-p', '0', '-o', 'beginning')
      const type = { logappend: 'LogAppendTime', create: 'CreateTime' }[row?.tstype ?? '']
      return { type, brokersClock: Math.abs(Date.now() - (row?.ts ?? 0)) < 3_600_000 }
    },

    async 'auto-create'(name) {
      const topic = `${name}-auto`
      await command('kcat', ['-P', ...at, '-t', topic, '-X', 'topic.metadata.propagation.max.ms=60000'], 'v\n')
      const [row] = await read(topic, '-o', 'beginning')
      const found = JSON.parse(`${await command('kcat', ['-L', ...at, '-t', topic, '-J'])}`) as {
        topics: { partitions: unknown[] }[]
      }
      return { offset: row?.offset, partitions: found.topics[0]?.partitions.length }
    },

    async fetch(topic) {
      const rows = await read(topic, '-p', '1', '-o', '4')
      const [reset] = await read(topic, '-p', '1', '-o', '100', '-X', 'auto.offset.reset=earliest')
      const ends = (time: number) => Promise.all([0, 1].map(partition => offset(topic, partition, time)))
      return {
        values: rows.map(({ payload }) => payload),
        offsets: rows.map(row => row.offset),
        earliest: await ends(-2),
        latest: await ends(-1),
        reset: reset?.offset,
      }
    },

    async 'seek-by-time'(topic) {
      const offsets: (number | null)[] = []
      for (const after of [-1, 4_500, 5_000, 9_001]) {
        const found = await offset(topic, 0, T0 + after)
        offsets.push(found < 0 ? null : found)
      }
      const rows = await read(topic, '-p', '0', '-o', `s@${T0 + 4_500}`)
      return { offsets, values: rows.map(({ payload }) => payload) }
    },

    async 'list-offsets'(topic) {
      const [earliest, latest, byTime] = [-2, -1, T0 + 1].map(time => offset(topic, 0, time))
      return { earliest: await earliest, latest: await latest, byTime: await byTime }
    },

    async 'group-classic'(topic) {
      const member = () => new Member(bootstrap, topic, [])
      const one = member()
      const members = [one]
      try {
        const steps: number[][] = []
        const settle = async (want: number[], read = () => true) => {
          const counts = () => members.map(({ places }) => places.length)
          await until(`${want}`, () => `${counts()}` === `${want}` && read())
          steps.push(counts())
        }
        await settle([4])
        const two = member()
        members.push(two)
        await settle([2, 2])
        await one.end()
        members.shift()
        // It commits when it loses partitions and when it ends: the one that is left reads the others' rest, and whoever comes
        // after has nothing to read.
        const read = () => new Set([...one.read, ...two.read]).size
        await settle([4], () => read() === 40)
        await two.end()
        const again = await command('kcat', [...two.args.slice(0, -1), '-e', topic])
        return { steps, read: read(), details: { again: `${again}` } }
      } finally {
        for (const left of members) await left.end()
      }
    },

    async 'static-member'(topic) {
      const open: Member[] = []
      const join = (name: string) => {
        const member = new Member(bootstrap, topic, [`group.instance.id=${name}`])
        open.push(member)
        return member
      }
      try {
        const [one, two] = [join('one'), join('two')]
        const settled = (...members: Member[]) =>
          until(
            'one partition each',
            () => members.every(({ places }) => places.length === 1) && `${one.places}` !== `${two.places}`,
          )
        await settled(one, two)
        const [before, { revoked }] = [`${one.places}`, two]
        await one.end() // a static member does not leave
        const back = join('one')
        await until('it is back', () => back.places.length === 1)
        const result = { steps: [1, two.places.length], same: `${back.places}` === before }
        const undisturbed = two.revoked === revoked
        join('one')
        await until('the one before is fenced', () => /fenced/i.test(back.said))
        return { ...result, undisturbed, fenced: 82 }
      } finally {
        for (const member of open) await member.end()
      }
    },
  }
}

/** kcat -G: its assignment from what it says on standard error, what it read from what it prints. */
class Member {
  places: number[] = []
  revoked = 0
  said = ''
  readonly read = new Set<string>()
  readonly args: string[]
  readonly #child
  readonly #ended: Promise<void>

  constructor(bootstrap: string, topic: string, settings: string[]) {
    const own = ['auto.offset.reset=earliest', 'heartbeat.interval.ms=300', 'partition.assignment.strategy=range']
    const options = [...own, ...settings].flatMap(setting => ['-X', setting])
    this.args = ['-G', `${topic}-group`, '-b', bootstrap, '-u', '-f', '%p:%o\n', ...options, topic]
    this.#child = spawn('kcat', this.args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const kill = () => this.#child.kill('SIGKILL')
    process.once('exit', kill)
    this.#ended = new Promise(resolve => {
      this.#child.once('close', () => {
        process.removeListener('exit', kill)
        resolve()
      })
    })
    let line = ''
    this.#child.stdout.on('data', bytes => {
      const lines = `${line}${bytes}`.split('\n')
      line = lines.pop() ?? ''
      for (const place of lines) this.read.add(place)
    })
    this.#child.stderr.on('data', bytes => {
      this.said += bytes
      const changes = [...this.said.matchAll(/rebalanced \(.*?\): (assigned|revoked): (.*)\n/g)]
      this.revoked = changes.filter(([, what]) => what === 'revoked').length
      const [, what, list = ''] = changes.at(-1) ?? []
      this.places = what === 'assigned' ? [...list.matchAll(/\[(\d+)\]/g)].map(found => Number(found[1])) : []
    })
  }

  /** Ends it as Ctrl-C does. */
  end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGINT')
    return this.#ended
  }
}
