/**
 * Admin operations on groups that consumers of ours are never in: share groups (KIP-932), with a Java member, and streams
 * groups (KIP-1071), with a member that speaks their protocol.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { jars, javaArgs, javaCommand } from '../../scripts/kafka.mjs'
import { administered, code, filled } from './administered.ts'
import { becomes, eventually, unique } from './servers.ts'

/** A member in Java, until it is told to go. */
class Member {
  readonly lines: string[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>

  static async start(file: string, ...args: string[]): Promise<Member> {
    const program = fileURLToPath(new URL(`./peers/${file}`, import.meta.url))
    return new Member(spawn(javaCommand, javaArgs(await jars(), program, args), { stdio: ['pipe', 'pipe', 'inherit'] }))
  }

  constructor(child: ChildProcess) {
    this.#child = child
    this.#exited = once(child, 'exit')
    let rest = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n')
      rest = parts.pop() ?? ''
      this.lines.push(...parts)
    })
  }

  /** Waits until it has printed so many lines that begin like this. */
  async printed(prefix: string, count = 1): Promise<string[]> {
    for (;;) {
      const found = this.lines.filter(line => line.startsWith(prefix))
      if (found.length >= count) return found
      assert.equal(this.#child.exitCode, null, `it ended after ${JSON.stringify(this.lines)}`)
      await sleep(20)
    }
  }

  async leave(): Promise<void> {
    this.#child.stdin?.end('\n')
    await this.#exited
  }
}

describe('admin operations on share and streams groups on Apache Kafka', () => {
  const context = administered('admin-other-groups')

  const described = (groupId: string) =>
    eventually(
      async () => (await context.admin.describeGroups([groupId]))[0],
      of => of?.state === 'Stable' && of.members.some(member => member.assignment.length + member.tasks.length > 0),
    )

  const starts = async (groupId: string) => {
    const [group] = await context.admin.listShareGroupOffsets([{ groupId }])
    assert.ok(group)
    assert.equal(group.error, null)
    return group.offsets.map(of => [of.topic, of.partition, of.startOffset]).sort()
  }

  test('a share group is listed, described, and read from where it is told', async () => {
    const [topic, groupId] = [await filled(context.kafka, 'shared', 5), unique('share')]
    const earliest = [{ name: 'share.auto.offset.reset', value: 'earliest' }]
    await context.admin.incrementalAlterConfigs([{ type: 'GROUP', name: groupId, configs: earliest }])
    const reset = [{ type: 'GROUP' as const, name: groupId, keys: [earliest[0]!.name] }]
    await becomes(async () => (await context.admin.describeConfigs(reset))[0]?.configs[0]?.value, 'earliest')
    const member = await Member.start('ShareMember.java', context.bootstrap, topic, groupId)
    await member.printed('read', 10)

    const group = await described(groupId)
    assert.deepEqual([group?.error, group?.type, group?.protocolType], [null, 'share', null])
    assert.ok(group?.assignor && group.epoch !== null && group.assignmentEpoch !== null && group.coordinator !== null)
    const [only, ...others] = group.members
    assert.deepEqual([only?.clientId, only?.subscribedTopics, others], ['share-member', [topic], []])
    assert.ok(only?.epoch)
    assert.deepEqual(only.assignment.map(of => [of.topic, of.partition]).sort(), [
      [topic, 0],
      [topic, 1],
    ])
    const listed = (await context.admin.listGroups({ types: ['share'] })).find(of => of.groupId === groupId)
    assert.deepEqual([listed?.type, listed?.state], ['share', 'Stable'])
    assert.ok(!(await context.admin.listGroups({ types: ['consumer'] })).some(of => of.groupId === groupId))
    const [allowed] = await context.admin.describeGroups([groupId], { includeAuthorizedOperations: true })
    assert.ok(allowed?.authorizedOperations?.includes('READ'))
    // In use: it stays where it is.
    await assert.rejects(
      context.admin.alterShareGroupOffsets(groupId, [{ topic, partition: 0, offset: 2 }]),
      code('NON_EMPTY_GROUP'),
    )
    await assert.rejects(context.admin.deleteShareGroupOffsets(groupId, [topic]), code('NON_EMPTY_GROUP'))

    await member.leave()
    await eventually(
      async () => (await context.admin.describeGroups([groupId]))[0]?.state,
      state => state === 'Empty',
    )
    // Kafka moves the start when it writes the next time; what is left to deliver it knows at once.
    await eventually(
      async () => (await context.admin.listShareGroupOffsets([{ groupId }]))[0]?.offsets,
      all => all?.map(of => of.lag).join() === '0,0',
    )
    const [one] = await context.admin.listShareGroupOffsets([{ groupId, partitions: [{ topic, partition: 1 }] }])
    assert.deepEqual(
      one?.offsets.map(of => [of.topic, of.partition, of.lag, of.error]),
      [[topic, 1, 0, null]],
    )

    await context.admin.alterShareGroupOffsets(groupId, [{ topic, partition: 1, offset: 3 }])
    assert.deepEqual((await starts(groupId)).at(-1), [topic, 1, 3])
    const again = await Member.start('ShareMember.java', context.bootstrap, topic, groupId)
    assert.deepEqual(await again.printed('read', 2), ['read 1:3', 'read 1:4'])
    await again.leave()

    await eventually(
      async () => (await context.admin.describeGroups([groupId]))[0]?.state,
      state => state === 'Empty',
    )
    await context.admin.deleteShareGroupOffsets(groupId, [topic])
    assert.deepEqual(await starts(groupId), [])
    await context.admin.deleteGroups([groupId])
    const [gone] = await context.admin.describeGroups([groupId])
    assert.equal(gone?.error?.code, 'GROUP_ID_NOT_FOUND')
  })

  test('what cannot be told or changed of a share group is said of each', async () => {
    const [topic, groupId] = [await filled(context.kafka, 'shared', 5), unique('share')]
    const missing = unique('missing')
    // Nobody was ever in it: the offsets make it.
    await context.admin.alterShareGroupOffsets(groupId, [{ topic, partition: 0, offset: 4 }])
    assert.deepEqual(await starts(groupId), [[topic, 0, 4]])
    const both = [
      { topic: missing, partition: 0, offset: 0 },
      { topic, partition: 0, offset: 1 },
    ]
    await assert.rejects(context.admin.alterShareGroupOffsets(groupId, both), code('UNKNOWN_TOPIC_OR_PARTITION'))
    assert.deepEqual(await starts(groupId), [[topic, 0, 1]], 'the other was changed')
    await assert.rejects(context.admin.deleteShareGroupOffsets(groupId, [missing]), code('UNKNOWN_TOPIC_OR_PARTITION'))
    const unknown = unique('nobody')
    const [first, second] = await context.admin.listShareGroupOffsets([{ groupId: unknown }, { groupId }])
    assert.deepEqual(
      [first?.groupId, first?.offsets],
      [unknown, []],
      'Kafka tells no error of a group that is not there',
    )
    assert.deepEqual([second?.groupId, second?.error, second?.offsets.length], [groupId, null, 1])
    await assert.rejects(context.admin.deleteShareGroupOffsets(unknown, [topic]), code('GROUP_ID_NOT_FOUND'))
    await context.admin.deleteGroups([groupId])
  })

  test('a streams group is listed, described with its tasks, and deleted', async () => {
    const [topic, groupId] = [await filled(context.kafka, 'streamed', 5), unique('streams')]
    const member = await Member.start('StreamsMember.java', context.bootstrap, topic, groupId)
    await member.printed('active 2')
    const group = await described(groupId)
    assert.deepEqual([group?.error, group?.type, group?.protocolType], [null, 'streams', null])
    assert.ok(group?.epoch && group.assignmentEpoch && group.coordinator !== null)
    const [only, ...others] = group.members
    assert.deepEqual([only?.clientId, others], ['streams-member', []])
    assert.deepEqual(
      only?.tasks.map(of => [of.role, of.subtopology, [...of.partitions].sort()]),
      [['active', 'reader', [0, 1]]],
    )
    const listed = (await context.admin.listGroups({ types: ['streams'] })).find(of => of.groupId === groupId)
    assert.deepEqual([listed?.type, listed?.state], ['streams', 'Stable'])
    assert.ok(!(await context.admin.listGroups({ types: ['share', 'consumer'] })).some(of => of.groupId === groupId))
    await assert.rejects(context.admin.deleteGroups([groupId]), code('NON_EMPTY_GROUP'))

    await member.leave()
    await eventually(
      async () => (await context.admin.describeGroups([groupId]))[0]?.state,
      state => state === 'Empty',
    )
    // Its offsets are those of consumer groups.
    await context.admin.alterConsumerGroupOffsets(groupId, [{ topic, partition: 0, offset: 3 }])
    const [offsets] = await context.admin.listConsumerGroupOffsets([{ groupId }])
    assert.deepEqual(
      offsets?.offsets.map(of => [of.partition, of.offset]),
      [[0, 3]],
    )
    await context.admin.deleteConsumerGroupOffsets(groupId, [{ topic, partition: 0 }])
    await context.admin.deleteGroups([groupId])
    const [gone] = await context.admin.describeGroups([groupId])
    assert.equal(gone?.error?.code, 'GROUP_ID_NOT_FOUND')
  })
})
