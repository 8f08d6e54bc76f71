import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, ConsumerOptions, GroupToAssign, PartitionAssignor } from '../ts/index.ts'
import { code, numbers, setUp, take, unique } from './support.ts'

/** Everything to the member whose user data is the largest. */
function winner(seen: GroupToAssign[] = []): Omit<PartitionAssignor, 'userData'> {
  return {
    name: 'winner-takes-all',
    assign(group) {
      seen.push(group)
      const bids = group.members.map(({ memberId, userData }) => ({ memberId, bid: userData?.[0] ?? 0 }))
      const { memberId } = bids.reduce((best, other) => (other.bid > best.bid ? other : best))
      const all = group.topics.flatMap(({ topic, partitions }) =>
        Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
      )
      return [{ memberId, partitions: all }]
    },
  }
}

describe('an assignor of the program', () => {
  const context = setUp()

  async function member(topic: string, options: ConsumerOptions): Promise<Consumer> {
    const quick = { autoOffsetReset: 'earliest', heartbeatIntervalMs: 100 }
    const consumer = context.kafka.consumer({ ...quick, ...options })
    await consumer.subscribe(topic)
    return consumer
  }

  async function until(what: () => boolean): Promise<void> {
    for (let waited = 0; !what(); waited += 20) {
      assert.ok(waited < 60_000, 'never')
      await sleep(20)
    }
  }

  test('decides who gets what, from what the members say of themselves', async () => {
    const topic = await numbers(context.kafka, 1, 4)
    const groupId = unique('group')
    const seen: GroupToAssign[] = []
    const bid = (amount: number): ConsumerOptions => ({
      groupId,
      clientRack: `rack-${amount}`,
      partitionAssignmentStrategy: [{ ...winner(seen), userData: Uint8Array.of(amount) }],
    })
    const one = await member(topic, bid(1))
    assert.equal((await take(one, 4)).length, 4)
    const two = await member(topic, bid(2))
    await until(() => one.assignment().length === 0 && two.assignment().length === 4)
    const { topics, members } = seen.at(-1)!
    assert.deepEqual(topics, [{ topic, partitions: 4 }])
    const said = members.map(({ rack, topics, userData, ownedPartitions, groupInstanceId }) => [
      rack,
      topics,
      userData?.[0],
      ownedPartitions,
      groupInstanceId,
    ])
    assert.deepEqual(said.sort(), [
      ['rack-1', [topic], 1, [], null],
      ['rack-2', [topic], 2, [], null],
    ])
    await two.close()
    await until(() => one.assignment().length === 4)
    await one.close()
  })

  test('that is cooperative moves partitions in two steps, and may be asynchronous', async () => {
    const topic = await numbers(context.kafka, 1, 4)
    const groupId = unique('group')
    const bid = (amount: number): ConsumerOptions => {
      const { name, assign } = winner()
      const slowly = async (group: GroupToAssign) => {
        await sleep(10)
        return assign(group)
      }
      const strategy = { name, assign: slowly, cooperative: true, userData: Uint8Array.of(amount) }
      return { groupId, partitionAssignmentStrategy: [strategy, 'cooperative-sticky'] }
    }
    const one = await member(topic, bid(1))
    await until(() => one.assignment().length === 4)
    const revoked: number[] = []
    one.on('revoked', partitions => revoked.push(partitions.length))
    const two = await member(topic, bid(2))
    await until(() => two.assignment().length === 4)
    assert.deepEqual(revoked, [4])
    await Promise.all([one.close(), two.close()])
  })

  test('that fails, or gives what cannot be, ends the loop of its consumer, and the group goes on', async () => {
    const topic = await numbers(context.kafka, 1, 2)
    const everyone = (partitions: { topic: string; partition: number }[]): PartitionAssignor['assign'] => {
      return ({ members }) => members.map(({ memberId }) => ({ memberId, partitions }))
    }
    const wrong: [PartitionAssignor['assign'], RegExp][] = [
      [() => Promise.reject(new Error('no idea')), /the assignor 'mine': no idea/],
      [everyone([{ topic, partition: 7 }]), /which does not exist/],
      [everyone([{ topic: 'elsewhere', partition: 0 }]), /which does not exist/],
      [() => 5 as never, /the result: is a number, not an array/],
      [() => [{ memberId: 'nobody', partitions: [] }], /'nobody', which the group has not/],
    ]
    for (const [assign, message] of wrong) {
      const groupId = unique('group')
      const broken = await member(topic, { groupId, partitionAssignmentStrategy: [{ name: 'mine', assign }] })
      const ended = assert.rejects(take(broken, 1), code('CALLBACK_FAILED', message))
      await ended
      const { assign: works } = winner()
      const next = await member(topic, { groupId, partitionAssignmentStrategy: [{ name: 'mine', assign: works }] })
      assert.equal((await take(next, 2)).length, 2)
      await next.close()
      await broken.close()
    }
  })

  test('is checked when the consumer is made', async () => {
    const { kafka } = context
    const assign = () => []
    const made = (...strategy: unknown[]) => {
      return () => kafka.consumer({ groupId: 'g', partitionAssignmentStrategy: strategy as PartitionAssignor[] })
    }
    assert.throws(made({ name: 'range', assign }), code('INVALID_CONFIG', /'range' is the name of one of Kafka's/))
    assert.throws(
      made({ name: '', assign }),
      code('INVALID_ARGUMENT', /partitionAssignmentStrategy\[0\]\.name: is empty/),
    )
    assert.throws(made('range', { name: 'a' }), code('INVALID_ARGUMENT', /\[1\]\.assign: is undefined/))
    assert.throws(made({ name: 'a', assign }, { name: 'a', assign }), code('INVALID_ARGUMENT', /a is there twice/))
    assert.throws(made({ name: 'a', assign, cooprative: true }), code('INVALID_ARGUMENT', /cooprative/))
    assert.throws(made({ name: 'a', assign, userData: 'x' }), code('INVALID_ARGUMENT', /userData: is a string/))
    assert.throws(made('a'), code('INVALID_CONFIG', /'a' is none of range, roundrobin, sticky, cooperative-sticky/))
    assert.throws(made('range', 'range'), code('INVALID_CONFIG', /'range' is there twice/))
  })
})

describe('the assignors roundrobin and sticky', () => {
  const context = setUp()

  test('share the partitions of a group out, and sticky leaves them where they are', async () => {
    for (const strategy of ['roundrobin', 'sticky'] as const) {
      const topic = await numbers(context.kafka, 1, 6)
      const groupId = unique('group')
      const options: ConsumerOptions = {
        groupId,
        heartbeatIntervalMs: 100,
        partitionAssignmentStrategy: [strategy],
      }
      const members = Array.from({ length: 3 }, () => context.kafka.consumer(options))
      const sizes = () => members.map(member => member.assignment().length)
      const shared = async (...wanted: number[]) => {
        for (let waited = 0; `${sizes()}` !== `${wanted}`; waited += 20) {
          assert.ok(waited < 60_000, `${strategy}: ${sizes()}`)
          await sleep(20)
        }
      }
      await members[0]!.subscribe(topic)
      await shared(6, 0, 0)
      await members[1]!.subscribe(topic)
      await shared(3, 3, 0)
      await members[2]!.subscribe(topic)
      await shared(2, 2, 2)
      const before = members.map(member => member.assignment())
      await members.pop()!.close()
      await shared(3, 3)
      if (strategy === 'sticky') {
        for (const [i, member] of members.entries()) {
          const now = member.assignment().map(({ partition }) => partition)
          assert.ok(before[i]!.every(({ partition }) => now.includes(partition)))
        }
      }
      await Promise.all(members.map(member => member.close()))
    }
  })
})
