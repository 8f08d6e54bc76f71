/** The driver of TypeScript: does what the harness asks, line by line, with `dohle`. The protocol is in ../README.md. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  type Acl,
  type AclFilter,
  type Admin,
  type ConfigChange,
  type Consumer,
  Kafka,
  KafkaError,
  type KafkaOptions,
  type Message,
  type NewTopic,
  type OffsetToCommit,
  type Producer,
  type TopicMessage,
  type TopicPartition,
  type Transaction,
} from 'dohle'
import { Broker } from 'dohle/broker'
import { type ByteSpec, bytes } from '../table.ts'

type Start = number | 'earliest' | 'latest'
type Json = Record<string, unknown>

interface Record_ {
  topic: string
  partition?: number
  key?: ByteSpec
  value?: ByteSpec
  headers?: [string, ByteSpec][]
  timestamp?: number
}

/** All members that some request has; the protocol says which. */
interface Request {
  id: number
  do: string
  of: string
  name: string
  client: KafkaOptions
  options: Json
  partitions: number & { topic: string; partition: number; offset: Start }[]
  ms?: number
  request: number
  count: number
  records: Record_[]
  times?: number
  consumer: string
  /** Of `alterGroupOffsets` their offsets are decimal strings. */
  offsets?: OffsetToCommit[]
  topics: string[] & NewTopic[]
  pattern?: string
  quiet?: boolean
  topic: string
  partition: number
  offset: Start
  timestamp: number
  validateOnly?: boolean
  type: string
  changes: ConfigChange[]
  group: string
  groups: string[]
  acls: Acl[]
  filter: AclFilter
  entity: Record<string, string>
  value: number | string | null
  user: string
  mechanism: string
  iterations: number
  password: string | null
  salt: string | null
}

/** Something with a name: what it is, and the client that was made for it. */
interface Made {
  kafka?: Kafka
  broker?: Broker
  producer?: Producer
  transaction?: Transaction | undefined
  consumer?: Consumer
  admin?: Admin
  events: Json[]
}

const made = new Map<string, Made>()
/** Of `consume`s under way. */
const cancels = new Map<number, AbortController>()

function the<Kind extends keyof Made>(kind: Kind, name: string): NonNullable<Made[Kind]> {
  const found = made.get(name)?.[kind]
  if (found === undefined || found === null) throw new Error(`there is no ${kind} ${name}`)
  return found
}

const producer = ({ of }: Request) => the('producer', of)
const consumer = ({ of }: Request) => the('consumer', of)
const admin = ({ of }: Request) => the('admin', of)

/** Makes something with a client of its own. */
function make(name: string, client: KafkaOptions, what: (kafka: Kafka) => Partial<Made>): Json {
  const kafka = new Kafka(client)
  try {
    made.set(name, { kafka, events: [], ...what(kafka) })
  } catch (error) {
    kafka.close()
    throw error
  }
  return {}
}

async function close({ kafka, broker }: Made, ms?: number): Promise<void> {
  await kafka?.close(ms === undefined ? {} : { timeout: ms })
  await broker?.stop()
}

function message({ topic, partition, key, value, headers, timestamp }: Record_): TopicMessage {
  return {
    topic,
    partition,
    key: bytes(key ?? null),
    value: bytes(value ?? null),
    headers: headers?.map(([name, value]): [string, Buffer | null] => [name, bytes(value)]),
    timestamp,
  }
}

async function produce({ of, records, times }: Request): Promise<Json> {
  const messages = records.map(message)
  const owner = made.get(of)
  const sender = owner?.transaction ?? the('producer', of)
  const send = () =>
    messages.map(one =>
      sender.send(one).then(
        ({ partition, offset }): Json => ({ partition, offset }),
        (error): Json => ({ error: told(error) }),
      ),
    )
  if (times === undefined) return { results: await Promise.all(send()) }
  const results: Promise<Json>[] = []
  for (let round = 0; round < times; round++) {
    await owner?.producer?.ready()
    results.push(...send())
  }
  const errors = (await Promise.all(results)).filter(({ error }) => error)
  return { count: results.length - errors.length, errors: errors.slice(0, 3).map(({ error }) => error) }
}

async function consume(request: Request): Promise<Json> {
  const { id, count, ms = 0, quiet } = request
  const cancel = new AbortController()
  cancels.set(id, cancel)
  const late = AbortSignal.timeout(ms)
  const records: Json[] = []
  let read = 0
  try {
    for await (const one of consumer(request).messages({ signal: AbortSignal.any([cancel.signal, late]) })) {
      one.done()
      if (!quiet) records.push(seen(one))
      if (++read >= count) break
    }
  } catch (error) {
    if (!late.aborted || cancel.signal.aborted || (error as KafkaError).code !== 'ABORTED') throw error
  } finally {
    cancels.delete(id)
  }
  return quiet ? { count: read } : { records }
}

function seen({ topic, partition, offset, timestamp, key, value, headers }: Message): Json {
  const pairs = [...headers].map(([name, value]) => [name, shown(value)])
  return { topic, partition, offset, timestamp, key: shown(key), value: shown(value), headers: pairs }
}

function shown(given: Buffer | null): Json | null {
  if (given === null) return null
  if (given.length <= 4096) return { base64: given.toString('base64') }
  return { sha256: createHash('sha256').update(given).digest('hex'), length: given.length }
}

async function churn({ client, count }: Request): Promise<Json> {
  for (let n = 0; n < count; n++) {
    const kafka = new Kafka(client)
    if (n % 3 === 0) kafka.producer()
    else if (n % 3 === 1) kafka.consumer({ groupId: 'churn' })
    else kafka.admin()
    await kafka.close()
  }
  return {}
}

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

function usage(): Json {
  gc()
  const count = (what: string) => readdirSync(`/proc/self/${what}`).length
  const kb = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
  return { rss: kb * 1024, threads: count('task'), files: count('fd') }
}

const listening = (events: Json[], revoked: () => Promise<void>) => {
  const note = (event: string) => (partitions: TopicPartition[]) => void events.push({ event, partitions })
  const onRevoked = (partitions: TopicPartition[]) => {
    note('revoked')(partitions)
    return revoked()
  }
  return { onAssigned: note('assigned'), onRevoked, onLost: note('lost') }
}

const entity = (of: Record<string, string>) => Object.entries(of).map(([type, name]) => ({ type, name }))
const number = (value: number | string) => Number(value)
const double = (value: number) => (Number.isFinite(value) ? value : String(value))

/** What each request does. */
const does: Record<string, (request: Request) => Json | Promise<Json>> = {
  async broker({ name, partitions }) {
    const broker = await Broker.start({ partitions })
    made.set(name, { broker, events: [] })
    return { address: broker.address }
  },
  producer: ({ name, client, options }) => make(name, client, kafka => ({ producer: kafka.producer(options) })),
  consumer: ({ name, client, options }) => make(name, client, kafka => ({ consumer: kafka.consumer(options) })),
  admin: ({ name, client }) => make(name, client, kafka => ({ admin: kafka.admin() })),
  async close({ of, ms }) {
    const one = made.get(of)
    if (one === undefined) throw new Error(`there is no ${of}`)
    await close(one, ms)
    return {}
  },
  cancel({ request }) {
    cancels.get(request)?.abort()
    return {}
  },
  churn,
  async reset() {
    const open = [...made.values()]
    made.clear()
    await Promise.all(open.map(one => close(one, 0).catch(() => {})))
    return { open: open.length }
  },
  usage,

  produce,
  flush: async request => nothing(await producer(request).flush()),
  async begin(request) {
    const transaction = await producer(request).beginTransaction()
    Object.assign(made.get(request.of)!, { transaction })
    return {}
  },
  async sendOffsets({ of, consumer, offsets = [] }) {
    await the('transaction', of).commitOffsets({ group: the('consumer', consumer).groupMetadata(), offsets })
    return {}
  },
  commitTransaction: request => end(request, async transaction => await transaction.commit()),
  async abortTransaction(request) {
    // A commit that has failed has ended it.
    if (made.get(request.of)?.transaction === undefined) return {}
    return await end(request, async transaction => await transaction.abort())
  },

  async subscribe(request) {
    const { topics, pattern, offsets } = request
    const it = consumer(request)
    const listeners = listening(made.get(request.of)?.events ?? [], async () => {
      if (offsets) await it.commit(offsets)
    })
    return nothing(await it.subscribe(pattern ? new RegExp(pattern) : topics, listeners))
  },
  assign: async request => nothing(await consumer(request).assign(request.partitions)),
  unsubscribe: async request => nothing(await consumer(request).unsubscribe()),
  consume,
  seek: request => nothing(consumer(request).seek(request)),
  pause: request => nothing(consumer(request).pause(request.partitions)),
  resume: request => nothing(consumer(request).resume(request.partitions)),
  assignment: request => ({ partitions: consumer(request).assignment() }),
  position: request => ({ offset: consumer(request).position(request) }),
  commit: async request => nothing(await consumer(request).commit(request.offsets)),
  committed: async request => ({ offsets: await consumer(request).committed(request.partitions) }),
  async offsetAt(request) {
    const { topic, partition, timestamp } = request
    const [found] = await consumer(request).offsetsAt([{ topic, partition, offset: { timestamp } }])
    return { offset: found?.offset }
  },
  async ends(request) {
    const { topic, partition } = request
    const at = (offset: 'earliest' | 'latest') => consumer(request).offsetsAt([{ topic, partition, offset }])
    const [low, high] = [await at('earliest'), await at('latest')]
    return { low: low[0]?.offset, high: high[0]?.offset }
  },
  events: ({ of }) => ({ events: made.get(of)?.events.splice(0) }),

  async createTopics(request) {
    await admin(request).createTopics(request.topics, { validateOnly: request.validateOnly })
    return {}
  },
  deleteTopics: async request => nothing(await admin(request).deleteTopics(request.topics)),
  createPartitions: async request =>
    nothing(await admin(request).createPartitions([{ topic: request.topic, count: request.count }])),
  listTopics: async request => ({ topics: (await admin(request).listTopics()).map(({ topic }) => topic) }),
  async describeTopics(request) {
    const topics = await admin(request).describeTopics(request.topics)
    return { topics: topics.map(({ topic, partitions }) => ({ topic, partitions: partitions.length })) }
  },
  async describeConfigs(request) {
    const { type, name } = request
    const [{ configs } = { configs: [] }] = await admin(request).describeConfigs([{ type, name }])
    return { configs: Object.fromEntries(configs.map(({ name, value, source }) => [name, { value, source }])) }
  },
  async alterConfigs(request) {
    const { type, name, changes: configs } = request
    return nothing(await admin(request).incrementalAlterConfigs([{ type, name, configs }]))
  },
  async describeCluster(request) {
    const { clusterId, controller, brokers } = await admin(request).describeCluster()
    return { clusterId, controller, brokers: brokers.map(({ id }) => id) }
  },
  async describeGroup(request) {
    const [group] = await admin(request).describeGroups([request.group])
    if (group?.error) throw group.error
    return { state: group?.state, members: group?.members.length }
  },
  listGroups: async request => ({ groups: (await admin(request).listGroups()).map(({ groupId }) => groupId) }),
  deleteGroups: async request => nothing(await admin(request).deleteGroups(request.groups)),
  async groupOffsets(request) {
    const [group] = await admin(request).listConsumerGroupOffsets([{ groupId: request.group }])
    const text = (offset: number | null) => (offset === null ? null : String(offset))
    if (group?.error) throw group.error
    return { offsets: group?.offsets.map(one => ({ ...one, offset: text(one.offset) })) }
  },
  async alterGroupOffsets(request) {
    // 64 bits are a number in this language: what is beyond 2^53 is refused.
    const offsets = (request.offsets ?? []).map(one => ({ ...one, offset: Number(one.offset) }))
    return nothing(await admin(request).alterConsumerGroupOffsets(request.group, offsets))
  },
  async deleteRecords(request) {
    const { topic, partition, offset } = request
    const [done] = await admin(request).deleteRecords([{ topic, partition, beforeOffset: Number(offset) }])
    return { low: done?.lowWatermark }
  },
  createAcls: async request => nothing(await admin(request).createAcls(request.acls)),
  describeAcls: async request => ({ acls: await admin(request).describeAcls(request.filter) }),
  deleteAcls: async request => ({ acls: await admin(request).deleteAcls([request.filter]) }),
  async alterQuota(request) {
    const { name, value } = request
    const change = value === null || value === undefined ? { remove: [name] } : { set: { [name]: number(value) } }
    return nothing(await admin(request).alterClientQuotas([{ entity: entity(request.entity), ...change }]))
  },
  async describeQuota(request) {
    const [found] = await admin(request).describeClientQuotas(entity(request.entity))
    return { values: Object.fromEntries((found?.quotas ?? []).map(({ name, value }) => [name, double(value)])) }
  },
  async alterScram(request) {
    const { user, mechanism, iterations, password, salt: text } = request
    const salt = text ? Buffer.from(text, 'base64') : null
    await admin(request).alterUserScramCredentials([{ user, mechanism, iterations, password, salt }])
    return {}
  },
  async describeScram(request) {
    const [found] = await admin(request).describeUserScramCredentials({ users: [request.user] })
    if (found?.error) throw found.error
    return { credentials: found?.credentials }
  },
}

const nothing = (_: unknown): Json => ({})

async function end({ of }: Request, how: (transaction: Transaction) => Promise<void>): Promise<Json> {
  const transaction = the('transaction', of)
  try {
    await how(transaction)
  } finally {
    if (transaction.ended) Object.assign(made.get(of)!, { transaction: undefined })
  }
  return {}
}

function told(error: unknown): Json {
  if (!(error instanceof KafkaError)) {
    return { code: 'DRIVER', message: error instanceof Error ? error.stack : String(error) }
  }
  const { code, retriable, fatal, abortable, persistence, message, items } = error
  const named = items?.map(({ name, error }) => ({ name, error: told(error) }))
  return { code, class: error.name, retriable, fatal, abortable, persistence, message, items: named }
}

const lines = createInterface({ input: process.stdin })
lines.on('line', async line => {
  const request = JSON.parse(line) as Request
  const { id } = request
  let answer: Json
  try {
    const act = does[request.do]
    answer = act === undefined ? { id, error: { code: 'NOT_OFFERED' } } : { id, result: await act(request) }
  } catch (error) {
    answer = { id, error: told(error) }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
})
lines.on('close', async () => {
  await does.reset?.({} as Request)
})
