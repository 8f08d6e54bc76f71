import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type ConsumerOptions, Kafka } from 'dohle'
import { mixedGroup } from './mixed.ts'
import { type Server, servers } from './servers.ts'

// Groups with members of ours and of the Java client, under a stream of records: members of both come and go, and every
// record is read once.

for (const [serverName, startServer] of servers)
  describe(`a group of ours and of Java members at ${serverName}`, () => {
    let server: Server
    let kafka: Kafka
    before(async () => {
      server = await startServer()
      kafka = new Kafka({ brokers: server.bootstrap })
    })
    after(async () => {
      await kafka?.close()
      await server?.stop()
    })

    const assignor = (name: string) => `partition.assignment.strategy=org.apache.kafka.clients.consumer.${name}`
    const cooperative: [ConsumerOptions, string[]] = [
      { partitionAssignmentStrategy: ['cooperative-sticky'], heartbeatIntervalMs: 300 },
      [assignor('CooperativeStickyAssignor'), 'heartbeat.interval.ms=300'],
    ]
    const kip848: [ConsumerOptions, string[]] = [{ groupProtocol: 'consumer' }, ['group.protocol=consumer']]
    const protocols: Record<string, [ConsumerOptions, string[]]> = {
      range: [
        { partitionAssignmentStrategy: ['range'], heartbeatIntervalMs: 300 },
        [assignor('RangeAssignor'), 'heartbeat.interval.ms=300'],
      ],
      sticky: [
        { partitionAssignmentStrategy: ['sticky'], heartbeatIntervalMs: 300 },
        [assignor('StickyAssignor'), 'heartbeat.interval.ms=300'],
      ],
      'cooperative-sticky': cooperative,
      'KIP-848': kip848,
    }
    for (const [name, [options, settings]] of Object.entries(protocols)) {
      test(`members of both come and go, and every record is read once (${name})`, async () => {
        const { ours, theirs, shared, finish } = await mixedGroup(server.bootstrap, kafka)
        const [first, own] = [theirs(settings), await ours(options)]
        await shared('3,3', first, own)
        const second = await ours(options)
        await shared('2,2,2', first, own, second)
        await first.leave()
        await shared('3,3', own, second)
        const third = theirs(settings)
        await shared('2,2,2', own, second, third)
        await own.leave()
        await shared('3,3', second, third)
        await second.leave()
        await shared('6', third)
        const last = await ours(options)
        await shared('3,3', third, last)
        await third.leave()
        await shared('6', last)
        await finish(last)
      })
    }

    test('a group goes from the classic protocol to KIP-848 and back, and every record is read once', async () => {
      const { ours, theirs, shared, finish, groupId } = await mixedGroup(server.bootstrap, kafka)
      const type = async () => (await kafka.admin().listGroups()).find(group => group.groupId === groupId)?.type
      const [first, second] = [theirs(cooperative[1]), await ours(cooperative[0])]
      await shared('3,3', first, second)
      assert.equal(await type(), 'classic')
      const third = await ours(kip848[0])
      await shared('2,2,2', first, second, third)
      assert.equal(await type(), 'consumer')
      await first.leave()
      const fourth = theirs(kip848[1])
      await shared('2,2,2', second, third, fourth)
      await second.leave()
      await shared('3,3', third, fourth)

      const fifth = await ours(cooperative[0])
      await shared('2,2,2', third, fourth, fifth)
      await third.leave()
      await shared('3,3', fourth, fifth)
      const sixth = theirs(cooperative[1])
      await shared('2,2,2', fourth, fifth, sixth)
      await fourth.leave()
      await shared('3,3', fifth, sixth)
      assert.equal(await type(), 'classic')
      await sixth.leave()
      await shared('6', fifth)
      await finish(fifth)
    })
  })
