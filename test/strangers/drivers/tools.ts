/** Kafka's shell tools as a driver of the cases. They run in one JVM (java/Tools.java); what they print is read here. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Session } from '../session.ts'
import { T0 } from '../table.ts'
import { type Cases, records, run, text } from './kit.ts'
import { otherTools } from './tools-other.ts'

/** Runs a tool to its end, and gives what it printed; it throws unless the tool ends as expected. */
export type Tool = (
  name: string,
  args: readonly string[],
  options?: { input?: string; fails?: boolean },
) => Promise<string>

const tools = 'org.apache.kafka.tools'
const classes: Record<string, string> = {
  ConfigCommand: 'kafka.admin.ConfigCommand',
  ConsoleConsumer: `${tools}.consumer.ConsoleConsumer`,
  ConsumerGroupCommand: `${tools}.consumer.group.ConsumerGroupCommand`,
  ReassignPartitionsCommand: `${tools}.reassign.ReassignPartitionsCommand`,
}
const separator = '<|>'
const none = '<none>'

/** The tools over a session of Tools.java. */
export function shellTools(java: Session): Session {
  const tool: Tool = async (name, args, { input = '', fails = false } = {}) => {
    const call = JSON.stringify({ args, input })
    const { status, text } = await java.run(classes[name] ?? `${tools}.${name}`, call)
    if ((status !== 0) !== fails) throw new Error(`${name} ${args.join(' ')}: status ${status}\n${text}`)
    return text as string
  }
  const all = { ...cases(tool), ...otherTools(tool) }
  return { run: (id, name) => run(all, id, name), close: () => java.close() }
}

/** The numbers of what tools say in words. */
const said: readonly (readonly [RegExp, number])[] = [
  [/already exists/, 36],
  [/Topic name is invalid/, 17],
  [/Unable to replicate the partition 3 time/, 38],
  [/currently has 3 partition/, 37],
  [/UnknownTopicOrPartitionException|does not exist as expected/, 3],
  [/OffsetOutOfRangeException/, 1],
  [/InvalidConfigurationException|Unknown topic config name/, 40],
  [/GroupNotEmptyException|is not empty/, 68],
  [/GroupIdNotFoundException/, 69],
]
const code = (text: string) => said.find(([words]) => words.test(text))?.[1] ?? text

const on = ['--bootstrap-server', '@broker']

const cases = (tool: Tool): Cases => {
  const send = (topic: string, input: string, ...args: string[]) =>
    tool('ConsoleProducer', [...on, '--topic', topic, ...args], { input })

  /** Rows of timestamp, partition, offset, headers, key and value. */
  async function read(topic: string, count: number, ...args: string[]): Promise<string[][]> {
    const shown = ['timestamp', 'partition', 'offset', 'headers', 'key', 'value'].map(name => `print.${name}=true`)
    const settings = [...shown, `key.separator=${separator}`, `null.literal=${none}`]
    const printed = await tool('ConsoleConsumer', [
      ...on,
      ...['--topic', topic, '--max-messages', `${count}`, '--timeout-ms', '60000'],
      ...settings.flatMap(setting => ['--formatter-property', setting]),
      ...args,
    ])
    return printed.split('\n').flatMap(line => (line.includes(separator) ? [line.split(separator)] : []))
  }
  const offset = (row: string[] | undefined) => Number(row?.[2]?.replace('Offset:', ''))
  const fromStart = ['--partition', '0', '--offset', 'earliest']

  /** Offsets by partition; null where there is none. */
  async function offsets(topic: string, time: string | number): Promise<(number | null)[]> {
    const printed = await tool('GetOffsetShell', [...on, '--topic', topic, '--time', `${time}`])
    const found = [...printed.matchAll(/:(\d+):(\d*)$/gm)].map(([, at, offset]) => [Number(at), offset] as const)
    return found.sort(([a], [b]) => a - b).map(([, offset]) => (offset ? Number(offset) : null))
  }

  return {
    async codec(topic, name) {
      const lines = records.map(({ key, value, headers }) => {
        const list = Object.entries(headers).flatMap(([header, given]) => [given].flat().map(one => `${header}:${one}`))
        return [list.join(',') || none, key ?? none, value ?? none].join('\t')
      })
      const settings = ['parse.key=true', 'parse.headers=true', `null.marker=${none}`]
      const properties = settings.flatMap(setting => ['--reader-property', setting])
      await send(topic, `${lines.join('\n')}\n`, '--compression-codec', name, ...properties)
      const rows = await read(topic, records.length, ...fromStart)
      return {
        records: rows.map(row => {
          const [, , , headers = '', key, value] = row
          const list = headers === 'NO_HEADERS' ? [] : headers.split(',')
          return {
            offset: offset(row),
            key: key === none ? null : text(key),
            value: value === none ? null : text(value),
            headers: list.map(pair => [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1)]),
          }
        }),
      }
    },

    async 'append-time'(topic) {
      await send(topic, 'v\n')
      const [row] = await read(topic, 1, ...fromStart)
      const [type, time] = (row?.[0] ?? '').split(':')
      return { type, brokersClock: Math.abs(Date.now() - Number(time)) < 3_600_000 }
    },

    async 'auto-create'(name) {
      const topic = `${name}-auto`
      await send(topic, 'v\n')
      const [row] = await read(topic, 1, '--from-beginning')
      const described = await tool('TopicCommand', [...on, '--describe', '--topic', topic])
      return { offset: offset(row), partitions: Number(/PartitionCount: (\d+)/.exec(described)?.[1]) }
    },

    async fetch(topic) {
      const rows = await read(topic, 6, '--partition', '1', '--offset', '4')
      const again = ['--command-property', 'auto.offset.reset=earliest']
      const [reset] = await read(topic, 1, '--partition', '1', '--offset', '100', ...again)
      return {
        values: rows.map(row => row[5]),
        offsets: rows.map(offset),
        earliest: await offsets(topic, 'earliest'),
        latest: await offsets(topic, 'latest'),
        reset: offset(reset),
      }
    },

    async 'seek-by-time'(topic) {
      const found: (number | null | undefined)[] = []
      for (const after of [-1, 4_500, 5_000, 9_001]) found.push((await offsets(topic, T0 + after))[0] ?? null)
      const rows = await read(topic, 5, '--partition', '0', '--offset', `${found[1]}`)
      return { offsets: found, values: rows.map(row => row[5]) }
    },

    async 'list-offsets'(topic) {
      const times = { earliest: 'earliest', latest: 'latest', byTime: T0 + 1, largest: 'max-timestamp' }
      const result: Record<string, unknown> = {}
      for (const [name, time] of Object.entries(times)) result[name] = (await offsets(topic, time))[0]
      return result
    },

    async 'admin-topics'(name) {
      const topic = `${name}-new`
      const create = (topic: string, partitions = 2, factor = 1, fails = true) => {
        const args = [
          '--create',
          '--topic',
          topic,
          '--partitions',
          `${partitions}`,
          '--replication-factor',
          `${factor}`,
        ]
        return tool('TopicCommand', [...on, ...args], { fails })
      }
      const grow = (count: number, fails: boolean) =>
        tool('TopicCommand', [...on, '--alter', '--topic', topic, '--partitions', `${count}`], { fails })
      const describe = () => tool('TopicCommand', [...on, '--describe', '--topic', topic])
      const list = async () => (await tool('TopicCommand', [...on, '--list'])).split('\n')
      await create(topic, 2, 1, false)
      const described = await describe()
      const ids = (what: string) =>
        [...described.matchAll(new RegExp(`${what}: ([\\d,]+)`, 'g'))].map(([, ids = '']) => ids.split(',').map(Number))
      const leaders = ids('Leader').flat()
      const messages = [await create(topic), await create(`${name} spaces`), await create(`${name}-wide`, 1, 3)]
      const [again, badName, badReplication] = messages.map(code)
      const listed = (await list()).includes(topic)
      await grow(3, false)
      const grown = Number(/PartitionCount: (\d+)/.exec(await describe())?.[1])
      const shrunk = code(await grow(1, true))
      await tool('TopicCommand', [...on, '--delete', '--topic', topic])
      const unknown = await tool('TopicCommand', [...on, '--delete', '--topic', `${name}-none`], { fails: true })
      const versions = await tool('BrokerApiVersionsCommand', on)
      return {
        brokers: [...versions.matchAll(/\(id: (\d+) rack/g)].map(([, id]) => Number(id)),
        described: { partitions: leaders.length, leaders, replicas: ids('Replicas'), isr: ids('Isr') },
        ...{ again, badName, badReplication, listed, grown, shrunk },
        deleted: !(await list()).includes(topic),
        unknown: code(unknown),
      }
    },

    async 'delete-records'(topic) {
      const folder = mkdtempSync(join(tmpdir(), 'dohle-tools-'))
      const remove = async (offset: number) => {
        const file = join(folder, 'offsets.json')
        writeFileSync(file, JSON.stringify({ version: 1, partitions: [{ topic, partition: 0, offset }] }))
        const printed = await tool('DeleteRecordsCommand', [...on, '--offset-json-file', file])
        const low = /low_watermark: (\d+)/.exec(printed)?.[1]
        return low === undefined ? code(printed) : Number(low)
      }
      try {
        const low = await remove(4)
        const [earliest] = await offsets(topic, 'earliest')
        return { low, earliest, beyond: await remove(11), all: await remove(-1) }
      } finally {
        rmSync(folder, { recursive: true })
      }
    },

    async 'admin-configs'(topic) {
      const entity = ['--entity-type', 'topics', '--entity-name']
      const alter = (topic: string, change: string[], fails = true) =>
        tool('ConfigCommand', [...on, '--alter', ...entity, topic, ...change], { fails })
      const described = async (...names: string[]) => {
        const printed = await tool('ConfigCommand', [...on, '--describe', '--all', ...entity, topic])
        return Object.fromEntries(
          names.map(name => {
            const [, value, source] =
              new RegExp(`^  ${name}=(\\S*) sensitive=\\S+ synonyms={(\\w*)`, 'm').exec(printed) ?? []
            return [name, [value, source || 'DEFAULT_CONFIG']]
          }),
        )
      }
      const before = await described('retention.ms', 'cleanup.policy')
      const set = 'retention.bytes=1000,cleanup.policy=[delete,compact]'
      await alter(topic, ['--add-config', set, '--delete-config', 'retention.ms'], false)
      const broker = ['--entity-type', 'brokers', '--entity-name', '1']
      const own = await tool('ConfigCommand', [...on, '--describe', '--all', ...broker])
      return {
        before,
        after: await described('retention.ms', 'retention.bytes', 'cleanup.policy'),
        badValue: code(await alter(topic, ['--add-config', 'retention.bytes=much'])),
        unknownName: code(await alter(topic, ['--add-config', 'no.such.name=1'])),
        unknownTopic: code(await alter(`${topic}-none`, ['--add-config', 'retention.bytes=1'])),
        broker: /num\.partitions=(\S+)/.exec(own)?.[1],
      }
    },

    async 'admin-groups'(name) {
      const [empty, live] = [`${name}-group`, `${name}-live`]
      const list = async () => (await tool('ConsumerGroupCommand', [...on, '--list'])).split('\n')
      const before = await list()
      const state = async (group: string) => {
        const printed = await tool('ConsumerGroupCommand', [...on, '--describe', '--state', '--group', group])
        const [, found, members] = /\s(Empty|Stable)\s+(\d+)\s*$/m.exec(printed) ?? []
        return [found?.toUpperCase(), Number(members)]
      }
      const remove = (group: string) => tool('ConsumerGroupCommand', [...on, '--delete', '--group', group])
      const result = {
        listed: before.includes(empty) && before.includes(live),
        described: await state(empty),
        live: await state(live),
        notEmpty: code(await remove(live)),
        unknown: code(await remove(`${name}-none`)),
      }
      await remove(empty)
      return { ...result, deleted: !(await list()).includes(empty) }
    },

    async 'admin-offsets'(name) {
      const group = ['--group', `${name}-group`]
      const now = async () => {
        const printed = await tool('ConsumerGroupCommand', [...on, '--describe', '--offsets', ...group])
        const rows = [...printed.matchAll(new RegExp(`\\s${name}\\s+(\\d+)\\s+(\\d+|-)\\s`, 'g'))]
        const offset = (partition: number) => rows.find(([, at]) => Number(at) === partition)?.[2] ?? '-'
        return [0, 1].map(partition => (offset(partition) === '-' ? null : Number(offset(partition))))
      }
      const before = await now()
      await tool('ConsumerGroupCommand', [
        ...on,
        '--reset-offsets',
        ...group,
        '--topic',
        `${name}:0`,
        '--to-offset',
        '1',
        '--execute',
      ])
      const altered = await now()
      await tool('ConsumerGroupCommand', [...on, '--delete-offsets', ...group, '--topic', `${name}:1`])
      return { before, altered, deleted: await now() }
    },

    async 'admin-acls'(name) {
      const [alice, bob] = [`User:${name}-alice`, `User:${name}-bob`]
      const acls = (...args: string[]) => tool('AclCommand', [...on, ...args])
      const topic = ['--topic', name]
      const group = ['--group', name, '--resource-pattern-type', 'prefixed']
      await acls('--add', '--allow-principal', alice, '--operation', 'Read', ...topic)
      await acls('--add', '--deny-principal', bob, '--deny-host', '10.0.0.1', '--operation', 'Describe', ...group)
      const find = async (...args: string[]) => rules(await acls('--list', ...args))
      const longer = ['--group', `${name}-longer`, '--resource-pattern-type']
      const result = {
        alice: await find('--principal', alice, '--resource-pattern-type', 'any', ...topic),
        bob: await find('--principal', bob, '--resource-pattern-type', 'any', '--group', name),
        matchTopic: await find(...topic, '--resource-pattern-type', 'match'),
        matchGroup: await find(...longer, 'match'),
        literalGroup: await find(...longer, 'literal'),
      }
      await acls('--remove', '--force', '--allow-principal', alice, '--operation', 'Read', ...topic)
      const gone = await find(...topic)
      return { ...result, deleted: gone.length === 0 ? result.alice : gone, left: await find(...group) }
    },
  }
}

/** The rules of a listing: a heading per resource, a line per rule. */
function rules(printed: string): string[] {
  const found: string[] = []
  let resource = ''
  for (const line of printed.split('\n')) {
    const heading = /resourceType=(\w+), name=(\S+), patternType=(\w+)/.exec(line)
    if (heading) resource = `${heading[1]}:${heading[3]}:${heading[2]}`
    const rule = /principal=(\S+), host=(\S+), operation=(\w+), permissionType=(\w+)/.exec(line)
    if (rule) found.push(`${resource}:${rule.slice(1).join(':')}`)
  }
  return [...new Set(found)].sort()
}
