/** The case of Kafka's other shell tools: what each says of one topic, one group and the cluster. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cases } from './kit.ts'
import type { Tool } from './tools.ts'

const on = ['--bootstrap-server', '@broker']

export const otherTools = (tool: Tool): Cases => ({
  async 'other-tools'(name) {
    const folder = mkdtempSync(join(tmpdir(), 'dohle-tools-'))
    try {
      return {
        ...(await cluster(tool)),
        ...(await partitions(tool, name, folder)),
        ...(await entities(tool, name)),
        ...(await groups(tool, name)),
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
})

/** kafka-features, kafka-metadata-quorum, kafka-cluster, kafka-broker-api-versions. */
async function cluster(tool: Tool) {
  const features = await tool('FeatureCommand', [...on, 'describe'])
  const common = ['group.version', 'metadata.version', 'transaction.version']
  const levels = [...features.matchAll(/Feature: (\S+)\s.*FinalizedVersionLevel: (\S+)/g)]
    .filter(([, feature = '']) => common.includes(feature))
    .map(([, feature, level]) => `${feature} ${level}`)
  const status = await tool('MetadataQuorumCommand', [...on, 'describe', '--status'])
  const replicas = await tool('MetadataQuorumCommand', [...on, 'describe', '--replication'])
  const id = await tool('ClusterTool', ['cluster-id', ...on])
  const downgrade = ['downgrade', '--feature', 'transaction.version=0', '--dry-run']
  return {
    features: levels.sort(),
    downgrade: (await tool('FeatureCommand', [...on, ...downgrade])).trim(),
    quorum: [/LeaderId:\s+(\d+)/, /MaxFollowerLag:\s+(\d+)/].map(what => Number(what.exec(status)?.[1])),
    voters: [...replicas.matchAll(/^(\d+)\s.*\s(Leader|Follower|Observer)\s*$/gm)].map(
      ([, node, role]) => `${node} ${role}`,
    ),
    cluster: /Cluster ID: ([\w-]{22})$/m.test(id),
    unregister: (await tool('ClusterTool', ['unregister', ...on, '--id', '77'], { fails: true })).trim().split('\n')[0],
  }
}

/** kafka-leader-election, kafka-log-dirs, kafka-reassign-partitions, kafka-transactions. */
async function partitions(tool: Tool, name: string, folder: string) {
  const file = join(folder, 'moves.json')
  const move = (replicas: number[]) => {
    writeFileSync(file, JSON.stringify({ version: 1, partitions: [{ topic: name, partition: 0, replicas }] }))
    return [...on, '--execute', '--reassignment-json-file', file]
  }
  const one = ['--topic', name, '--partition', '0']
  const dirs = await tool('LogDirsCommand', [...on, '--describe', '--topic-list', name])
  const described = JSON.parse(dirs.split('\n').find(line => line.startsWith('{')) ?? '{}') as LogDirs
  const lines = (text: string) =>
    text
      .trim()
      .split('\n')
      .filter(line => line !== '')
  const producers = await tool('TransactionsCommand', [...on, 'describe-producers', ...one])
  const hanging = await tool('TransactionsCommand', [...on, 'find-hanging', '--broker-id', '1'])
  const list = await tool('TransactionsCommand', [...on, 'list'])
  return {
    election: lines(await tool('LeaderElectionCommand', [...on, '--election-type', 'preferred', ...one])),
    logDirs: described.brokers?.map(({ broker, logDirs }) => ({
      broker,
      partitions: logDirs
        .flatMap(dir => dir.partitions)
        .map(({ partition, size, ...rest }) => ({ partition, hasBytes: size > 0, ...rest })),
    })),
    reassigning: lines(await tool('ReassignPartitionsCommand', [...on, '--list'])),
    reassigned: lines(await tool('ReassignPartitionsCommand', move([1]))).at(-1),
    elsewhere: lines(await tool('ReassignPartitionsCommand', move([2]), { fails: true }))[0],
    // The one that wrote the records of the topic.
    producers: lines(producers)
      .slice(1)
      .map(line => line.trim().split(/\s+/))
      .map(row => row.slice(1, 3)),
    hanging: lines(hanging).slice(1),
    transactions: lines(list)[0]
      ?.trim()
      .split(/\s{2,}|\t/)
      .map(title => title.trim()),
  }
}

interface LogDirs {
  brokers?: { broker: number; logDirs: { partitions: { partition: string; size: number }[] }[] }[]
}

/** kafka-configs for quotas, users and brokers; kafka-client-metrics. */
async function entities(tool: Tool, name: string) {
  const configs = (...args: string[]) => tool('ConfigCommand', [...on, ...args])
  const user = ['--entity-type', 'users', '--entity-name', name]
  const client = ['--entity-type', 'clients', '--entity-name', name]
  const metrics = (...args: string[]) => tool('ClientMetricsCommand', [...on, ...args, '--name', name])
  await configs('--alter', ...user, '--add-config', 'producer_byte_rate=1000')
  await configs('--alter', ...user, '--add-config', 'SCRAM-SHA-256=[iterations=4096,password=p]')
  await configs('--alter', ...client, '--add-config', 'consumer_byte_rate=2000')
  const users = await configs('--describe', ...user)
  const clients = await configs('--describe', ...client)
  await configs('--alter', ...user, '--delete-config', 'producer_byte_rate')
  await configs('--alter', ...user, '--delete-config', 'SCRAM-SHA-256')
  await configs('--alter', ...client, '--delete-config', 'consumer_byte_rate')
  await metrics('--alter', '--metrics', 'org.apache.kafka.producer.', '--interval', '5000')
  const subscription = await metrics('--describe')
  await metrics('--delete')
  const group = ['--entity-type', 'groups', '--entity-name', `${name}-group`]
  await configs('--alter', ...group, '--add-config', 'consumer.session.timeout.ms=50000')
  const sorted = (text: string) =>
    text
      .trim()
      .split('\n')
      .map(line => line.trim())
      .sort()
  return {
    users: sorted(users),
    clients: sorted(clients),
    after: sorted(await configs('--describe', ...user)),
    subscription: sorted(subscription),
    group: /consumer\.session\.timeout\.ms=50000 .*\{(\w+):/.exec(await configs('--describe', ...group))?.[1],
  }
}

/** kafka-groups, kafka-consumer-groups. */
async function groups(tool: Tool, name: string) {
  const rows = (text: string) =>
    text
      .split('\n')
      .filter(line => line.includes(name))
      .map(line => line.trim().split(/\s+/))
      .sort()
  const all = rows(await tool('GroupsCommand', [...on, '--list']))
  const command = (...args: string[]) =>
    tool('ConsumerGroupCommand', [...on, '--describe', ...args, '--group', `${name}-live`])
  const members = rows(await command('--members', '--verbose'))
  const state = rows(await command('--state'))
  return {
    groups: all,
    // Without consumer id, host and client id.
    members: members.map(row => row.slice(4)),
    state: state.map(([group, coordinator, , ...rest]) => [
      group,
      coordinator?.startsWith('127.0.0.1:') || coordinator?.startsWith('localhost:'),
      ...rest,
    ]),
  }
}
