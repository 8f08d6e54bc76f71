/** Admin operations that need a Kafka of their own settings: access rules, quotas, SCRAM users, tokens, log folders. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Admin, Kafka, KafkaError } from 'dohle'
import { KafkaServer } from '../../scripts/kafka.mjs'
import { embedded, eventually, type Server, unique } from './servers.ts'

/** For `assert.rejects`: an error of this code. */
const code = (expected: string) => (error: unknown) => error instanceof KafkaError && error.code === expected

const dirs: string[] = []

const properties = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'super.users': 'User:ANONYMOUS',
  'delegation.token.secret.key': 'a secret of this test',
}

/** One with an authorizer, tokens and two log folders. */
async function kafkaOfItsOwn(): Promise<KafkaServer> {
  const dir = mkdtempSync(join(tmpdir(), 'dohle-admin-'))
  dirs.push(dir)
  const folders = ['one', 'two'].map(name => join(dir, 'logs', name))
  return KafkaServer.start({
    properties: {
      ...properties,
      'log.dirs': folders.join(','),
    },
  })
}

const both: readonly (readonly [name: string, start: () => Promise<Server | KafkaServer>])[] = [
  ['Apache Kafka', kafkaOfItsOwn],
  ['the embedded broker', () => embedded(properties)],
]

for (const [name, start] of both) {
  describe(`admin operations on who may do what on ${name}`, () => {
    let server: Server | KafkaServer
    let kafka: Kafka
    let admin: Admin
    before(async () => {
      server = await start()
      kafka = new Kafka({ brokers: server.bootstrap })
      admin = kafka.admin()
    })
    after(async () => {
      await kafka?.close()
      await server?.stop()
      for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true })
    })

    test('access rules are made, found by filters, and deleted', async () => {
      const [prefix, topic] = [unique('prefix'), unique('topic')]
      const rule = { principal: 'User:alice', host: '*', permission: 'ALLOW', resourceType: 'TOPIC' }
      const literal = { ...rule, resourceName: topic, patternType: 'LITERAL', operation: 'READ' }
      const prefixed = { ...rule, resourceName: prefix, patternType: 'PREFIXED', operation: 'WRITE' }
      await admin.createAcls([literal, prefixed])
      const found = await eventually(
        () => admin.describeAcls({ principal: 'User:alice' }),
        all => all.length === 2,
      )
      const byName = (a: { resourceName: string }, b: { resourceName: string }) =>
        a.resourceName.localeCompare(b.resourceName)
      assert.deepEqual(found.sort(byName), [literal, prefixed].sort(byName))
      const match = { resourceType: 'TOPIC', resourceName: `${prefix}-and-more` }
      assert.deepEqual(await admin.describeAcls({ ...match, patternType: 'MATCH' }), [prefixed])
      assert.deepEqual(await admin.describeAcls({ ...match, patternType: 'LITERAL' }), [])
      assert.deepEqual(await admin.describeAcls({ operation: 'READ', principal: 'User:alice' }), [literal])
      if (server instanceof KafkaServer) {
        // Kafka's own tool sees the same.
        const told = await server.tool('AclCommand', ['--bootstrap-server', '@broker', '--list', '--topic', topic])
        assert.match(`${told}`, /principal=User:alice, host=\*, operation=READ, permissionType=ALLOW/)
      }

      assert.deepEqual(await admin.deleteAcls([{ resourceName: topic }]), [literal])
      assert.deepEqual(await admin.deleteAcls([{ principal: 'User:alice' }]), [prefixed])
      await eventually(
        () => admin.describeAcls({ principal: 'User:alice' }),
        all => all.length === 0,
      )
      await assert.rejects(admin.createAcls([{ ...literal, operation: 'LOOK' }]), /acls\[0\]\.operation: is none of/)
      await assert.rejects(admin.createAcls([{ ...literal, principal: 'alice' }]), code('INVALID_REQUEST'))
    })

    test('quotas are set, found and removed', async () => {
      const user = unique('user')
      const entity = [{ type: 'user', name: user }]
      await admin.alterClientQuotas([{ entity, set: { producer_byte_rate: 1000, request_percentage: 50.5 } }])
      const find = () => admin.describeClientQuotas([{ type: 'user', name: user }])
      const [found] = await eventually(find, all => all.length === 1)
      assert.deepEqual(found?.entity, entity)
      const plain = Object.fromEntries(found?.quotas.map(of => [of.name, of.value]) ?? [])
      assert.deepEqual(plain, { producer_byte_rate: 1000, request_percentage: 50.5 })
      await admin.alterClientQuotas([{ entity, remove: ['producer_byte_rate'] }], { validateOnly: true })
      assert.equal((await find())[0]?.quotas.length, 2)
      await admin.alterClientQuotas([{ entity, remove: ['producer_byte_rate'] }])
      await eventually(find, all => all[0]?.quotas.length === 1)
      await admin.alterClientQuotas([{ entity: [{ type: 'user' }], set: { consumer_byte_rate: 1e9 } }])
      const byDefault = () => admin.describeClientQuotas([{ type: 'user', byDefault: true }])
      assert.deepEqual((await eventually(byDefault, all => all.length === 1))[0]?.entity, [
        { type: 'user', name: null },
      ])
      await assert.rejects(
        admin.alterClientQuotas([{ entity, set: { producer_bite_rate: 1 } }]),
        code('INVALID_REQUEST'),
      )
    })

    test('users that log in with SCRAM are made, described and deleted, and their passwords never show', async () => {
      const user = unique('user')
      const password = 'correct-horse-battery'
      await admin.alterUserScramCredentials([
        { user, mechanism: 'SCRAM-SHA-256', password, iterations: 8192 },
        { user: `${user}-2`, mechanism: 'SCRAM-SHA-512', password },
      ])
      const find = () => admin.describeUserScramCredentials({ users: [user, `${user}-2`] })
      const told = await eventually(find, all => all.every(of => of.error === null))
      assert.deepEqual(
        told.map(of => [of.user, of.credentials]),
        [
          [user, [{ mechanism: 'SCRAM-SHA-256', iterations: 8192 }]],
          [`${user}-2`, [{ mechanism: 'SCRAM-SHA-512', iterations: 4096 }]],
        ],
      )
      await admin.alterUserScramCredentials([{ user, mechanism: 'SCRAM-SHA-256' }])
      const [gone] = await eventually(
        () => admin.describeUserScramCredentials({ users: [user] }),
        all => all[0]?.error !== null,
      )
      assert.equal(gone?.error?.code, 'RESOURCE_NOT_FOUND')
      const few = admin.alterUserScramCredentials([{ user, mechanism: 'SCRAM-SHA-256', password, iterations: 5 }])
      await assert.rejects(few, error => {
        assert.match(`${error}`, /iterations: 5 of user .* is not in 4096 to 16384/)
        assert.ok(!`${(error as Error).stack}`.includes(password))
        return true
      })
    })

    test('the time limit of a call includes the hashing of passwords', async () => {
      const users = Array.from({ length: 3_000 }, () => unique('many'))
      const change = (user: string) =>
        ({ user, mechanism: 'SCRAM-SHA-512', password: 'p', iterations: 16_384 }) as const
      await assert.rejects(
        admin.alterUserScramCredentials(users.map(change), { timeoutMs: 300 }),
        code('REQUEST_TIMED_OUT'),
      )
      const known = new Set((await admin.describeUserScramCredentials()).map(({ user }) => user))
      assert.ok(users.every(user => !known.has(user)))
    })

    test('a client that has not logged in gets no token', async () => {
      // Tokens are for those who log in: Kafka refuses all four to others, which shows that they reach it.
      await assert.rejects(admin.createDelegationToken(), code('DELEGATION_TOKEN_REQUEST_NOT_ALLOWED'))
      await assert.rejects(admin.describeDelegationTokens(), code('DELEGATION_TOKEN_REQUEST_NOT_ALLOWED'))
      const hmac = Buffer.from('none')
      await assert.rejects(admin.renewDelegationToken(hmac), code('DELEGATION_TOKEN_REQUEST_NOT_ALLOWED'))
      await assert.rejects(admin.expireDelegationToken(hmac), code('DELEGATION_TOKEN_REQUEST_NOT_ALLOWED'))
    })

    test('log folders are described, and a log moves to another', async () => {
      const topic = unique('moved')
      await admin.createTopics([{ topic, partitions: 1 }])
      const producer = kafka.producer()
      await producer.send({ topic, value: 'x'.repeat(1_000) })
      await producer.close()
      const partitions = [{ topic, partition: 0 }]
      const { brokers } = await admin.describeCluster()
      const broker = brokers[0]?.id as number
      const nowhere = admin.alterReplicaLogDirs([{ broker, topic, partition: 0, path: '/nowhere' }])
      await assert.rejects(nowhere, code('LOG_DIR_NOT_FOUND'))
      if (!(server instanceof KafkaServer)) {
        const [only] = await admin.describeLogDirs({ partitions })
        assert.equal(only?.logDirs.length, 1)
        const [replica] = only.logDirs[0]?.replicas ?? []
        assert.ok(replica?.topic === topic && (replica.size as number) > 1_000 && !replica.future)
        return
      }
      const place = async () => {
        const [broker] = await admin.describeLogDirs({ partitions })
        assert.equal(broker?.error, null)
        assert.equal(broker?.logDirs.length, 2)
        assert.ok(broker.logDirs.every(of => (of.totalBytes as number) > 0))
        return broker.logDirs
      }
      const dirs = await place()
      const from = dirs.find(of => of.replicas.length === 1)
      const to = dirs.find(of => of.replicas.length === 0)
      assert.ok(from && to && (from.replicas[0]?.size as number) > 0)
      await admin.alterReplicaLogDirs([{ broker, topic, partition: 0, path: to.path }])
      await eventually(place, now => now.some(of => of.path === to.path && of.replicas[0]?.future === false))
    })
  })
}
