/** What clients log in with, made and used against a real Apache Kafka: SCRAM passwords of any script, and delegation tokens. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { inspect } from 'node:util'
import { type Admin, Kafka, type KafkaError, type SaslOptions } from 'dohle'
import { SecureKafka } from '../../scripts/kafka-secure.mjs'
import { eventually, unique } from './servers.ts'

describe('credentials on Apache Kafka', () => {
  let server: SecureKafka
  let dir: string
  let kafka: Kafka
  let admin: Admin

  before(async () => {
    server = await SecureKafka.start({ properties: { 'delegation.token.secret.key': 'a secret of this test' } })
    dir = mkdtempSync(join(tmpdir(), 'dohle-credentials-'))
    kafka = as({ mechanism: 'SCRAM-SHA-512', username: 'alice', password: server.users.alice! })
    admin = kafka.admin()
  })

  after(async () => {
    await kafka?.close()
    await server?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const as = (sasl: SaslOptions) => new Kafka({ brokers: server.address.SASL_PLAINTEXT!, sasl })

  /** Whether the broker lets somebody in: null, or the code of its refusal. */
  async function refusal(sasl: SaslOptions): Promise<string | null> {
    await using client = as(sasl)
    return await client
      .admin()
      .listTopics()
      .then(
        () => null,
        (error: KafkaError) => error.code,
      )
  }

  const mechanisms = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const

  // What SASLprep would change: compatibility forms, a no-break space, a soft hyphen, a letter and its accent as two.
  const passwords = ['pässwörd ªⅨ', 'a\u00a0b\u00adc', 'a\u0308']

  /** A file of Java properties. */
  function properties(name: string, settings: Record<string, string>): string {
    const escaped = (text: string) =>
      text.replaceAll('\\', '\\\\').replace(/[^ -~]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    const lines = Object.entries(settings).map(([key, value]) => `${key}=${escaped(value)}\n`)
    const file = join(dir, name)
    writeFileSync(file, lines.join(''))
    return file
  }

  test("a password of any script that is set here lets us in, and Kafka's own client", async () => {
    for (const password of passwords) {
      const username = unique('user=,')
      for (const mechanism of mechanisms) {
        await admin.alterUserScramCredentials([{ user: username, mechanism, password }])
        await eventually(
          () => refusal({ mechanism, username, password }),
          code => code === null,
        )
        const wrong = password.normalize('NFKC').replace('\u00ad', '')
        assert.notEqual(wrong, password)
        assert.equal(await refusal({ mechanism, username, password: wrong }), 'SASL_AUTHENTICATION_FAILED')
      }
      const login = 'org.apache.kafka.common.security.scram.ScramLoginModule'
      const config = properties('client.properties', {
        'security.protocol': 'SASL_PLAINTEXT',
        'sasl.mechanism': 'SCRAM-SHA-256',
        'sasl.jaas.config': `${login} required username="${username}" password="${password}";`,
      })
      const args = ['--bootstrap-server', server.address.SASL_PLAINTEXT!, '--command-config', config, '--list']
      await server.kafka.tool('TopicCommand', args)
    }
  })

  test("a password of any script that is set with Kafka's own tool lets us in", async () => {
    for (const [index, password] of passwords.entries()) {
      const username = unique('user')
      const mechanism = mechanisms[index % 2]!
      const file = properties('user.properties', { [mechanism]: `iterations=4096,password=${password}` })
      const who = ['--entity-type', 'users', '--entity-name', username]
      const args = ['--bootstrap-server', '@broker', '--alter', ...who, '--add-config-file', file]
      await server.kafka.tool('ConfigCommand', args)
      await eventually(
        () => refusal({ mechanism, username, password }),
        code => code === null,
      )
    }
  })

  test('a delegation token is made, found, renewed and ended, and who has it logs in with it until then', async () => {
    const renewers = [{ type: 'User', name: 'bob' }]
    const token = await admin.createDelegationToken({ renewers: [{ name: 'bob' }], lifetimeMs: 3_600_000 })
    assert.deepEqual(token.owner, { type: 'User', name: 'alice' })
    assert.deepEqual(token.renewers, renewers)
    assert.equal(token.expiresFinally, token.issued + 3_600_000)
    const find = async () => (await admin.describeDelegationTokens()).find(of => of.tokenId === token.tokenId)
    assert.deepEqual(await eventually(find, found => found !== undefined), token)
    const of = (name: string) => admin.describeDelegationTokens({ owners: [{ name }] })
    assert.deepEqual([(await of('bob')).length, (await of('dave')).length], [1, 0])

    const login = { username: token.tokenId, password: Buffer.from(token.hmac).toString('base64') }
    for (const mechanism of mechanisms) {
      assert.equal(await refusal({ mechanism, ...login, delegationToken: true }), null)
      assert.equal(await refusal({ mechanism, ...login }), 'SASL_AUTHENTICATION_FAILED', 'without saying what it is')
      const guess = { ...login, password: Buffer.alloc(64).toString('base64') }
      assert.equal(await refusal({ mechanism, ...guess, delegationToken: true }), 'SASL_AUTHENTICATION_FAILED')
    }

    const renewed = await admin.renewDelegationToken(token.hmac, { periodMs: 1_800_000 })
    assert.ok(renewed > token.issued && renewed < token.expiresFinally)
    await eventually(find, found => found?.expires === renewed)
    const ends = await admin.expireDelegationToken(token.hmac, { periodMs: 60_000 })
    assert.ok(ends < renewed)
    await eventually(find, found => found?.expires === ends)
    await admin.expireDelegationToken(token.hmac)
    await eventually(find, found => found === undefined)
    const gone = { mechanism: 'SCRAM-SHA-256', ...login, delegationToken: true } as const
    assert.equal(await refusal(gone), 'SASL_AUTHENTICATION_FAILED')
    await assert.rejects(admin.renewDelegationToken(token.hmac), { code: 'DELEGATION_TOKEN_NOT_FOUND' })
  })

  test('records are sent and read by who logged in with a token, whose work is that of its owner', async () => {
    const token = await admin.createDelegationToken({ owner: { name: 'carol' } })
    assert.deepEqual([token.owner.name, token.requester?.name], ['carol', 'alice'])
    const password = Buffer.from(token.hmac).toString('base64')
    const sasl = { mechanism: 'SCRAM-SHA-512', username: token.tokenId, password, delegationToken: true } as const
    await eventually(
      () => refusal(sasl),
      code => code === null,
    )
    await using client = as(sasl)
    const topic = unique('token')
    await using producer = client.producer()
    await producer.send({ topic, value: 'a' })
    await using consumer = client.consumer({ groupId: topic, autoOffsetReset: 'earliest' })
    await consumer.subscribe(topic)
    for await (const message of consumer) {
      assert.equal(message.text(), 'a')
      break
    }
    // A token makes no tokens (KIP-48).
    const again = client.admin().createDelegationToken()
    await assert.rejects(again, { code: 'DELEGATION_TOKEN_REQUEST_NOT_ALLOWED' })
  })

  test('the secret of a token is there for who asks for it, and not in what is printed of a token', async () => {
    const token = await admin.createDelegationToken()
    const hmac = Buffer.from(token.hmac)
    assert.equal(hmac.length, 64)
    const told = await eventually(
      () => admin.describeDelegationTokens(),
      all => all.some(of => hmac.equals(of.hmac)),
    )
    const forms = [hmac.toString('base64'), hmac.toString('hex'), [...hmac].join(','), hmac.toString('hex', 0, 16)]
    const spaced = [...hmac].map(byte => byte.toString(16).padStart(2, '0')).join(' ')
    for (const value of [token, told, { ...token }, token.hmac]) {
      const printed = [
        inspect(value, { depth: 9, showHidden: true, getters: true }),
        JSON.stringify(value),
        JSON.stringify(value, null, 1).replace(/\s+/g, ''),
      ]
      for (const text of printed) {
        assert.match(text, /\[secret\]/)
        for (const form of [...forms, spaced.slice(0, 60)]) assert.ok(!text.includes(form), text)
      }
    }
  })
})
