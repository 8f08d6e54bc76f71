/**
 * The engine's consumer behind a run of kafkajs', as a member of its group: what it subscribes to, where it begins, what is
 * paused, what it commits, and the events that tell of it.
 */
import type { Consumer, Kafka, KafkaError, OffsetToCommit, TopicPartition } from '../index.ts'
import { concerning } from '../internal/partitions.ts'
import { assignor, PartitionAssigners } from './assigners.ts'
import type { Connection } from './connection.ts'
import { consumerEvents as events, type Instrumentation } from './instrumentation.ts'
import { ResolvedOffsets } from './offsets.ts'
import { consumerOptions } from './options.ts'
import type { Pauses, Selection } from './pauses.ts'
import type { Logger } from './types/client.ts'
import type { ConsumerConfig, ConsumerRunConfig } from './types/consumer.ts'
import type { TopicOffsets } from './types/records.ts'

/** What outlives a run. */
export interface Subscribed {
  /** Topics, and whether each is read from its beginning where the group has committed nothing. */
  topics: ReadonlyMap<string, { fromBeginning: boolean }>
  pauses: Pauses
  /** Where to go on in partitions that are not assigned yet. */
  seeks: Map<string, TopicPartition & { offset: number | 'earliest' | 'latest' }>
}

interface Setting {
  connection: Connection
  config: ConsumerConfig
  subscribed: Subscribed
  run: ConsumerRunConfig
  instrumentation: Instrumentation
  logger: Logger
}

/** The engine's errors of commits that another generation of the group makes good. */
const REBALANCING = ['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID', 'NOT_COORDINATOR']

/** See the module. */
export class Membership {
  readonly consumer: Consumer
  readonly offsets = new ResolvedOffsets()
  onMoved: (topic: string, partition: number) => void = () => {}
  onLost: (concerns: ReturnType<typeof concerning>) => void = () => {}
  readonly #setting: Setting
  readonly #groupProtocol: string
  #leads = false
  #joining = Date.now()
  #heartbeats: NodeJS.Timeout | undefined
  #leaving: Promise<void> | undefined

  constructor(kafka: Kafka, setting: Setting) {
    this.#setting = setting
    const { config, subscribed, run, logger } = setting
    const { partitionAssigners = [PartitionAssigners.roundRobin], groupId } = config
    const topics = [...subscribed.topics.keys()]
    const leads = () => {
      this.#leads = true
    }
    const strategies = partitionAssigners.map(create => assignor(create, { kafka, groupId, logger, topics, leads }))
    this.#groupProtocol = strategies[0]!.name
    this.consumer = kafka.consumer({
      ...consumerOptions(config),
      partitionAssignmentStrategy: strategies,
      autoOffsetReset: this.#fromBeginning ? 'earliest' : 'latest',
      enableAutoCommit: run.autoCommit ?? true,
      ...(run.autoCommitInterval ? { autoCommitIntervalMs: run.autoCommitInterval } : {}),
    })
    this.#listen()
  }

  /** Subscribes. Resolves when the group has given partitions, or none. */
  async subscribe(): Promise<void> {
    const joined = new Promise<void>(resolve => this.consumer.once('joined', () => resolve()))
    await this.consumer.subscribe([...this.#setting.subscribed.topics.keys()], {
      onAssigned: partitions => this.#assigned(partitions),
      onRevoked: partitions => this.#revoked(partitions),
      onLost: partitions => this.onLost(concerning(partitions)),
    })
    await joined
  }

  /** Leaves the group; commits what is resolved, if that is automatic. */
  leave(): Promise<void> {
    clearInterval(this.#heartbeats)
    this.#leaving ??= this.consumer.close()
    return this.#leaving
  }

  /** Commits what is resolved, or these. */
  async commit(given?: readonly OffsetToCommit[]): Promise<void> {
    const topics = given === undefined ? this.offsets.uncommitted() : byTopic(given)
    if (topics.length > 0) {
      try {
        await (given === undefined ? this.consumer.commit() : this.consumer.commit(given))
      } catch (error) {
        const { code, retriable } = error as KafkaError
        if (given !== undefined || !(retriable || REBALANCING.includes(code) || code === 'CLOSED')) {
          throw this.#setting.connection.theirs(error)
        }
        // The engine commits what is resolved before a partition is given up, and at the latest when it is due again.
        this.#setting.logger.warn(`Offsets were not committed, which is tried again: ${(error as Error).message}`)
        return
      }
      this.#emit(events.COMMIT_OFFSETS, { ...this.#identity(), topics })
    }
    this.offsets.committed(topics)
  }

  /** Goes on elsewhere, at once or when the partition is assigned. */
  seek(to: TopicPartition & { offset: number | 'earliest' | 'latest' }): void {
    const { topic, partition } = to
    if (!this.#has(to)) {
      this.#setting.subscribed.seeks.set(`${partition}/${topic}`, to)
      return
    }
    this.#move(to)
  }

  #move(to: TopicPartition & { offset: number | 'earliest' | 'latest' }): void {
    const { topic, partition, offset } = to
    this.onMoved(topic, partition)
    this.offsets.forget([to])
    this.consumer.seek(to)
    if (typeof offset !== 'number' || !(this.#setting.run.autoCommit ?? true)) return
    // As kafkajs: where a program goes on is where its group goes on.
    this.commit([{ topic, partition, offset }]).catch(error => this.#setting.logger.error(error.message))
  }

  /** What a handler has left is to be read again. */
  putBack(topic: string, partition: number, offset: number): void {
    if (this.#has({ topic, partition })) this.consumer.seek({ topic, partition, offset })
  }

  /** Pauses a partition; what is returned ends that. */
  pauseOne(topic: string, partition: number): () => void {
    this.pause([{ topic, partitions: [partition] }])
    return () => this.resume([{ topic, partitions: [partition] }])
  }

  pause(selection: Selection): void {
    this.#setting.subscribed.pauses.pause(selection)
    this.#applyPauses()
  }

  resume(selection: Selection): void {
    this.#setting.subscribed.pauses.resume(selection)
    this.#applyPauses()
  }

  /** What is assigned and paused, by topic. */
  paused(): { topic: string; partitions: number[] }[] {
    return byNumber(this.#assignment().filter(one => this.#setting.subscribed.pauses.has(one)))
  }

  get #fromBeginning(): boolean {
    return [...this.#setting.subscribed.topics.values()].some(({ fromBeginning }) => fromBeginning)
  }

  #assignment(): TopicPartition[] {
    return this.#leaving === undefined ? this.consumer.assignment() : []
  }

  #has({ topic, partition }: TopicPartition): boolean {
    return this.#assignment().some(one => one.topic === topic && one.partition === partition)
  }

  #applyPauses(): void {
    const { pauses } = this.#setting.subscribed
    const now = this.#leaving === undefined ? this.consumer.paused() : []
    const isPaused = ({ topic, partition }: TopicPartition) =>
      now.some(one => one.topic === topic && one.partition === partition)
    const assignment = this.#assignment()
    const pause = assignment.filter(one => pauses.has(one) && !isPaused(one))
    const resume = assignment.filter(one => !pauses.has(one) && isPaused(one))
    if (pause.length > 0) this.consumer.pause(pause)
    if (resume.length > 0) this.consumer.resume(resume)
  }

  async #assigned(partitions: TopicPartition[]): Promise<void> {
    this.offsets.forget(partitions)
    await this.#begin(partitions)
    const { seeks } = this.#setting.subscribed
    for (const { topic, partition } of partitions) {
      const to = seeks.get(`${partition}/${topic}`)
      if (to === undefined) continue
      seeks.delete(`${partition}/${topic}`)
      this.#move(to)
    }
    this.#applyPauses()
  }

  /** Topics that begin elsewhere than the rest: the engine has one place for all of a consumer. */
  async #begin(partitions: TopicPartition[]): Promise<void> {
    const { topics } = this.#setting.subscribed
    const fromBeginning = this.#fromBeginning
    const others = partitions.filter(({ topic }) => (topics.get(topic)?.fromBeginning ?? false) !== fromBeginning)
    if (others.length === 0) return
    for (const { topic, partition, offset } of await this.consumer.committed(others)) {
      if (offset === null) this.consumer.seek({ topic, partition, offset: fromBeginning ? 'latest' : 'earliest' })
    }
  }

  #revoked(partitions: TopicPartition[]): void {
    this.#joining = Date.now()
    this.offsets.forget(partitions)
    if (this.#leaving === undefined) {
      const { groupId, memberId } = this.#identity()
      this.#emit(events.REBALANCING, { groupId, memberId })
    }
  }

  #listen(): void {
    const { consumer } = this
    const { config, logger } = this.#setting
    const { groupId, heartbeatInterval = 3_000 } = config
    consumer.on('joined', ({ memberId, partitions }) => {
      const isLeader = this.#leads
      this.#leads = false
      const memberAssignment = Object.fromEntries(
        byNumber(partitions).map(({ topic, partitions }) => [topic, partitions]),
      )
      const payload = {
        groupId,
        memberId,
        leaderId: isLeader ? memberId : '',
        isLeader,
        memberAssignment,
        groupProtocol: this.#groupProtocol,
        duration: Date.now() - this.#joining,
      }
      this.#emit(events.GROUP_JOIN, payload)
      logger.info('Consumer has joined the group', payload)
    })
    consumer.on('retrying', error => logger.debug(error.message, { groupId }))
    consumer.on('commitFailed', error => logger.warn(error.message, { groupId }))
    consumer.on('maxPollExceeded', error => logger.error(error.message, { groupId }))
    consumer.on('lost', () => logger.warn('Partitions were taken away, joining the group again', { groupId }))
    this.#heartbeats = setInterval(() => this.#heartbeat(), heartbeatInterval)
    this.#heartbeats.unref()
  }

  /** The engine's own heartbeats are not told one by one: while it is a member, it is alive. */
  #heartbeat(): void {
    const identity = this.#identity()
    if (identity.memberId !== '') this.#emit(events.HEARTBEAT, identity)
  }

  #identity(): { groupId: string; memberId: string; groupGenerationId: number } {
    const { groupId } = this.#setting.config
    if (this.#leaving !== undefined) return { groupId, memberId: '', groupGenerationId: -1 }
    const { memberId, generation } = this.consumer.groupMetadata()
    return { groupId, memberId: memberId ?? '', groupGenerationId: generation ?? -1 }
  }

  #emit(type: string, payload: object): void {
    this.#setting.instrumentation.emit(type, payload)
  }
}

function byTopic(offsets: readonly OffsetToCommit[]): TopicOffsets[] {
  const topics = new Map<string, TopicOffsets>()
  for (const { topic, partition, offset } of offsets) {
    const of = topics.get(topic) ?? { topic, partitions: [] }
    of.partitions.push({ partition, offset: String(offset) })
    topics.set(topic, of)
  }
  return [...topics.values()]
}

function byNumber(partitions: readonly TopicPartition[]): { topic: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>()
  for (const { topic, partition } of partitions) topics.set(topic, [...(topics.get(topic) ?? []), partition])
  return [...topics].map(([topic, list]) => ({ topic, partitions: list.sort((a, b) => a - b) }))
}
