/**
 * How programs use kafkajs, with its types: after its documentation. It is compiled here as it stands, and by `types.test.ts` with
 * nothing but the import changed. Never run.
 */
import {
  type Admin,
  type Assigner,
  AssignerProtocol,
  type Batch,
  CompressionCodecs,
  CompressionTypes,
  ConfigResourceTypes,
  type Consumer,
  type ConsumerConfig,
  type ConsumerSubscribeTopics,
  type EachBatchPayload,
  type EachMessagePayload,
  type ICustomPartitioner,
  type IHeaders,
  Kafka,
  type KafkaConfig,
  KafkaJSConnectionError,
  KafkaJSError,
  KafkaJSNumberOfRetriesExceeded,
  KafkaJSProtocolError,
  type KafkaMessage,
  type LogEntry,
  type logCreator,
  logLevel,
  type Message,
  type PartitionAssigner,
  PartitionAssigners,
  Partitioners,
  type Producer,
  type ProducerBatch,
  type ProducerRecord,
  type RecordMetadata,
  type SASLOptions,
  type TopicMessages,
  type Transaction,
} from 'kafkajs'

const toWinstonLogLevel = (level: logLevel): string => {
  switch (level) {
    case logLevel.ERROR:
    case logLevel.NOTHING:
      return 'error'
    case logLevel.WARN:
      return 'warn'
    case logLevel.INFO:
      return 'info'
    case logLevel.DEBUG:
      return 'debug'
  }
}

const creator: logCreator = level => {
  const name = toWinstonLogLevel(level)
  return ({ namespace, level, label, log }: LogEntry) => {
    const { message, ...extra } = log
    console.log(name, namespace, level, label, message, extra)
  }
}

const sasl: SASLOptions = { mechanism: 'scram-sha-256', username: 'u', password: 'p' }
const config: KafkaConfig = {
  clientId: 'my-app',
  brokers: async () => ['kafka1:9092', 'kafka2:9092'],
  ssl: { rejectUnauthorized: false, ca: ['PEM'], key: 'PEM', cert: 'PEM' },
  sasl,
  connectionTimeout: 3000,
  requestTimeout: 25000,
  enforceRequestTimeout: false,
  retry: { initialRetryTime: 100, retries: 8 },
  logLevel: logLevel.ERROR,
  logCreator: creator,
}
const kafka = new Kafka(config)
const oauth = new Kafka({
  brokers: ['kafka1:9092'],
  ssl: true,
  sasl: { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: 'token' }) },
})
kafka.logger().namespace('Mine', logLevel.DEBUG).info('text', { extra: 1 })
CompressionCodecs[CompressionTypes.Snappy] = () => ({ compress: async () => {}, decompress: async () => {} })

const MyPartitioner: ICustomPartitioner = () => {
  return ({ topic, partitionMetadata, message }) =>
    (topic.length + (message.key?.length ?? 0)) % partitionMetadata.length
}

class ProducerFactory {
  private producer: Producer
  constructor() {
    this.producer = kafka.producer({ createPartitioner: Partitioners.LegacyPartitioner, idempotent: true })
  }
  async start(): Promise<void> {
    try {
      await this.producer.connect()
    } catch (error) {
      console.log('error connecting the producer: ', error)
    }
  }
  async sendBatch(messages: Array<{ a: string }>): Promise<RecordMetadata[]> {
    const kafkaMessages: Array<Message> = messages.map(message => ({ value: JSON.stringify(message) }))
    const topicMessages: TopicMessages = { topic: 'producer-topic', messages: kafkaMessages }
    const batch: ProducerBatch = { topicMessages: [topicMessages], compression: CompressionTypes.GZIP, acks: -1 }
    return await this.producer.sendBatch(batch)
  }
}

export async function transaction(producer: Producer): Promise<void> {
  const transaction: Transaction = await producer.transaction()
  try {
    const record: ProducerRecord = { topic: 't', messages: [{ key: Buffer.from('k'), value: null, timestamp: '1' }] }
    const [{ baseOffset, partition, errorCode } = {} as RecordMetadata] = await transaction.send(record)
    console.log(baseOffset?.length, partition.toFixed(), errorCode)
    const topics = [{ topic: 't', partitions: [{ partition: 0, offset: '1' }] }]
    await transaction.sendOffsets({ consumerGroupId: 'g', topics })
    await transaction.commit()
  } catch {
    if (transaction.isActive()) await transaction.abort()
  }
}

const MyAssigner: PartitionAssigner = ({ cluster, groupId, logger }): Assigner => ({
  name: 'MyAssigner',
  version: 1,
  async assign({ members, topics }) {
    logger.debug(groupId, { topics })
    const partitions = topics.flatMap(topic => cluster.findTopicPartitionMetadata(topic).map(p => p.partitionId))
    return members.map(({ memberId, memberMetadata }) => {
      const decoded = AssignerProtocol.MemberMetadata.decode(memberMetadata)
      const assignment = { [decoded?.topics[0] ?? 't']: partitions }
      const userData = Buffer.alloc(0)
      return {
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 1, assignment, userData }),
      }
    })
  },
  protocol({ topics }) {
    const metadata = { version: this.version, topics, userData: Buffer.from('{}') }
    return { name: this.name, metadata: AssignerProtocol.MemberMetadata.encode(metadata) }
  },
})

const consumerConfig: ConsumerConfig = {
  groupId: 'consumer-group',
  partitionAssigners: [MyAssigner, PartitionAssigners.roundRobin],
  retry: { restartOnFailure: async error => error.message !== 'stop' },
}

export async function consuming(): Promise<void> {
  const consumer: Consumer = kafka.consumer(consumerConfig)
  const topics: ConsumerSubscribeTopics = { topics: ['a', /b.*/], fromBeginning: false }
  await consumer.connect()
  await consumer.subscribe(topics)
  await consumer.run({
    partitionsConsumedConcurrently: 3,
    autoCommitInterval: 5000,
    autoCommitThreshold: null,
    eachMessage: async ({ topic, partition, message, heartbeat, pause }: EachMessagePayload) => {
      const headers: IHeaders | undefined = message.headers
      console.log(topic, partition.toFixed(), message.offset.length, message.value?.toString(), headers?.a?.toString())
      await heartbeat()
      const resume = pause()
      setTimeout(resume, 10)
    },
  })
  await consumer.run({
    eachBatchAutoResolve: true,
    eachBatch: async (payload: EachBatchPayload) => {
      const { batch, resolveOffset, heartbeat, commitOffsetsIfNecessary, uncommittedOffsets, isRunning, isStale } =
        payload
      const own: Batch = batch
      for (const message of own.messages as KafkaMessage[]) {
        if (!isRunning() || isStale()) break
        resolveOffset(message.offset)
        await commitOffsetsIfNecessary(uncommittedOffsets())
        await heartbeat()
      }
    },
  })
  consumer.pause([{ topic: 'a' }, { topic: 'b', partitions: [1] }])
  consumer.resume(consumer.paused())
  consumer.seek({ topic: 'a', partition: 0, offset: '12384' })
  await consumer.commitOffsets([{ topic: 'a', partition: 0, offset: '31004', metadata: null }])
  const { HEARTBEAT, CRASH, GROUP_JOIN } = consumer.events
  const remove = consumer.on(HEARTBEAT, e => console.log(`heartbeat at ${e.timestamp}`, e.payload.memberId))
  consumer.on(CRASH, ({ payload: { error, restart } }) => console.log(error.message, restart))
  consumer.on(GROUP_JOIN, ({ payload }) => console.log(Object.keys(payload.memberAssignment)))
  remove()
  const { state, members } = await consumer.describeGroup()
  console.log(
    state === 'Stable',
    members.map(({ memberId, memberMetadata }) => [memberId, memberMetadata.length]),
  )
}

export async function administering(): Promise<void> {
  const admin: Admin = kafka.admin({ retry: { retries: 2 } })
  const topics = [{ topic: 'a', numPartitions: 3, configEntries: [{ name: 'cleanup.policy', value: 'compact' }] }]
  const made: boolean = await admin.createTopics({ validateOnly: false, waitForLeaders: true, timeout: 5000, topics })
  const { topics: described } = await admin.fetchTopicMetadata({ topics: ['a'] })
  console.log(made, described[0]?.partitions[0]?.isr)
  for (const { partition, offset, high, low } of await admin.fetchTopicOffsets('a'))
    console.log(partition, offset, high, low)
  await admin.setOffsets({ groupId: 'g', topic: 'a', partitions: [{ partition: 0, offset: '35' }] })
  await admin.resetOffsets({ groupId: 'g', topic: 'a', earliest: true })
  const configs = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: 'a' }],
  })
  console.log(configs.resources[0]?.configEntries[0]?.configValue)
  const { groups } = await admin.listGroups()
  const { groups: full } = await admin.describeGroups(groups.map(({ groupId }) => groupId))
  for (const { groupId, errorCode } of await admin.deleteGroups(full.map(({ groupId }) => groupId)))
    console.log(groupId, errorCode)
}

export function told(error: unknown): string {
  if (error instanceof KafkaJSNumberOfRetriesExceeded) return `${error.retryCount} ${error.cause?.message}`
  if (error instanceof KafkaJSConnectionError) return error.broker
  if (error instanceof KafkaJSProtocolError) return `${error.type} ${error.code.toFixed()}`
  return error instanceof KafkaJSError && error.retriable ? error.name : 'unknown'
}

export { MyPartitioner, oauth, ProducerFactory }
