/**
 * kafkajs' assigners on the engine's: its own round robin, under its own name, so that old and new members of a group agree;
 * and those that programs bring.
 */
import type { GroupToAssign, Kafka, MemberAssignment, PartitionAssignor } from '../index.ts'
import { AssignerProtocol } from './assigner-protocol.ts'
import { KafkaJSNonRetriableError } from './errors.ts'
import { partitionsOf } from './topics.ts'
import type { Assigner, BrokerMetadata, Cluster, PartitionAssigner } from './types/assigners.ts'
import type { Logger } from './types/client.ts'
import type { PartitionMetadata } from './types/records.ts'

/** kafkajs' round robin: all partitions of all topics in turn over the members, sorted by id. */
const roundRobin: PartitionAssigner = ({ cluster }) => ({
  name: 'RoundRobinAssigner',
  version: 0,
  async assign({ members, topics }) {
    const ids = members.map(({ memberId }) => memberId).sort()
    const given = new Map<string, { [topic: string]: number[] }>()
    const partitions = topics.flatMap(topic =>
      cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => ({ topic, partitionId })),
    )
    for (const [at, { topic, partitionId }] of partitions.entries()) {
      const id = ids[at % ids.length]!
      const own = given.get(id) ?? {}
      own[topic] = [...(own[topic] ?? []), partitionId]
      given.set(id, own)
    }
    return [...given].map(([memberId, assignment]) => ({
      memberId,
      memberAssignment: AssignerProtocol.MemberAssignment.encode({
        version: this.version,
        assignment,
        userData: Buffer.alloc(0),
      }),
    }))
  },
  protocol({ topics }) {
    const metadata = { version: this.version, topics, userData: Buffer.alloc(0) }
    return { name: this.name, metadata: AssignerProtocol.MemberMetadata.encode(metadata) }
  },
})

/** kafkajs' assigners. */
export const PartitionAssigners: { roundRobin: PartitionAssigner } = { roundRobin }

/** What an assigner is made for. */
export interface AssignerSetting {
  kafka: Kafka
  groupId: string
  logger: Logger
  topics: string[]
  /** This member leads the group, and decides. */
  leads(): void
}

/** The engine's assignor for one of kafkajs'. What it writes as `userData` of an assignment nobody gets to see. */
export function assignor(create: PartitionAssigner, { leads, ...setting }: AssignerSetting): PartitionAssignor {
  const known = new Known(setting.kafka)
  const assigner: Assigner = create({ cluster: known.cluster, groupId: setting.groupId, logger: setting.logger })
  const { name, metadata } = assigner.protocol({ topics: setting.topics })
  const userData = AssignerProtocol.MemberMetadata.decode(metadata)?.userData
  const assign = async (group: GroupToAssign): Promise<MemberAssignment[]> => {
    leads()
    const topics = group.topics.map(({ topic }) => topic)
    await known.read(topics)
    const members = group.members.map(({ memberId, topics, userData }) => ({
      memberId,
      memberMetadata: AssignerProtocol.MemberMetadata.encode({
        version: assigner.version,
        topics,
        userData: userData ?? Buffer.alloc(0),
      }),
    }))
    const given = await assigner.assign({ members, topics })
    return given.map(({ memberId, memberAssignment }) => {
      const { assignment = {} } = AssignerProtocol.MemberAssignment.decode(memberAssignment) ?? {}
      const partitions = Object.entries(assignment).flatMap(([topic, list]) =>
        list.map(partition => ({ topic, partition })),
      )
      return { memberId, partitions }
    })
  }
  return userData === undefined || userData.length === 0 ? { name, assign } : { name, userData, assign }
}

/** What is known of the cluster when partitions are shared out. */
class Known {
  readonly #kafka: Kafka
  #nodes: number[] = []
  #partitions = new Map<string, PartitionMetadata[]>()

  constructor(kafka: Kafka) {
    this.#kafka = kafka
  }

  async read(topics: string[]): Promise<void> {
    const admin = this.#kafka.admin()
    const [described, { brokers }] = await Promise.all([admin.describeTopics(topics), admin.describeCluster()])
    this.#partitions = new Map(described.map(one => [one.topic, partitionsOf(one)]))
    this.#nodes = brokers.map(({ id }) => id)
  }

  readonly cluster: Cluster = {
    getNodeIds: () => this.#nodes,
    isConnected: () => true,
    connect: async () => {},
    disconnect: async () => {},
    removeBroker: () => {},
    refreshMetadata: () => this.read([...this.#partitions.keys()]),
    refreshMetadataIfNecessary: async () => {},
    addTargetTopic: topic => this.read([...this.#partitions.keys(), topic]),
    addMultipleTargetTopics: topics => this.read([...this.#partitions.keys(), ...topics]),
    findTopicPartitionMetadata: topic => this.#partitions.get(topic) ?? [],
    findLeaderForPartitions: (topic, partitions) => this.#leaders(topic, partitions),
    metadata: () => this.#metadata(),
    defaultOffset: ({ fromBeginning }) => (fromBeginning ? -2 : -1),
    findBroker: () => refused('findBroker'),
    findControllerBroker: () => refused('findControllerBroker'),
    findGroupCoordinator: () => refused('findGroupCoordinator'),
    findGroupCoordinatorMetadata: () => refused('findGroupCoordinatorMetadata'),
    fetchTopicsOffset: () => refused('fetchTopicsOffset'),
  }

  #leaders(topic: string, partitions: number[]): { [leader: string]: number[] } {
    const leaders: { [leader: string]: number[] } = {}
    for (const { partitionId, leader } of this.#partitions.get(topic) ?? []) {
      if (partitions.includes(partitionId)) leaders[leader] = [...(leaders[leader] ?? []), partitionId]
    }
    return leaders
  }

  async #metadata(): Promise<BrokerMetadata> {
    const { brokers } = await this.#kafka.admin().describeCluster()
    return {
      brokers: brokers.map(({ id, host, port, rack }) => ({ nodeId: id, host, port, ...(rack ? { rack } : {}) })),
      topicMetadata: [...this.#partitions].map(([topic, partitionMetadata]) => ({
        topicErrorCode: 0,
        topic,
        partitionMetadata,
      })),
    }
  }
}

function refused(name: string): Promise<never> {
  const message = `cluster.${name} is not there: connections are the engine's. Use an admin client of your own`
  return Promise.reject(new KafkaJSNonRetriableError(message))
}
