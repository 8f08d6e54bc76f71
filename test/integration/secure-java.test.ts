/** Java's client and Kafka's own tools against the embedded broker with TLS, SASL and access rules. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { jars, KafkaServer } from '../../scripts/kafka.mjs'
import { SecureBroker } from '../secure-broker.ts'

let server: SecureBroker
let tools: KafkaServer
let dir: string

before(async () => {
  server = await SecureBroker.start({
    properties: {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:alice',
    },
  })
  dir = mkdtempSync(join(tmpdir(), 'dohle-secure-java-'))
  const port = Number(server.bootstrap.split(':')[1])
  tools = new KafkaServer({ dir, port, lib: await jars(), detached: false, temporary: false, classes: '', env: {} })
})

after(async () => {
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

/** Runs a tool on a listener with these properties of a client. */
async function run(name: string, listener: string, client: Record<string, string>, args: string[]): Promise<string> {
  const file = join(dir, 'client.properties')
  const trust = { 'ssl.truststore.type': 'PEM', 'ssl.truststore.location': server.authority.path('ca.pem') }
  // Refusals are final; nothing is to be waited for.
  const all = { ...trust, 'default.api.timeout.ms': '60000', ...client }
  writeFileSync(
    file,
    Object.entries(all)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  )
  const where = ['--bootstrap-server', server.address[listener]!, '--command-config', file]
  return `${await tools.tool(name, [...where, ...args])}`
}

function scram(mechanism: string, password: string): Record<string, string> {
  const module = 'org.apache.kafka.common.security.scram.ScramLoginModule'
  return {
    'security.protocol': 'SASL_SSL',
    'sasl.mechanism': mechanism,
    'sasl.jaas.config': `${module} required username="alice" password="${password}";`,
  }
}

test('SCRAM over TLS lets a super user make topics and rules, and a wrong password nobody', async () => {
  const alice = scram('SCRAM-SHA-512', server.users.alice!)
  await run('TopicCommand', 'SASL_SSL', alice, ['--create', '--topic', 'open', '--partitions', '2'])
  await run('TopicCommand', 'SASL_SSL', scram('SCRAM-SHA-256', server.users.alice!), ['--create', '--topic', 'closed'])
  const rule = ['--add', '--allow-principal', 'User:CN=client', '--operation', 'Read', '--topic', 'open']
  await run('AclCommand', 'SASL_SSL', alice, rule)
  const listed = await run('TopicCommand', 'SASL_SSL', alice, ['--list'])
  assert.match(listed, /^closed$/m)
  assert.match(listed, /^open$/m)
  const refused = run('TopicCommand', 'SASL_SSL', scram('SCRAM-SHA-512', 'hunter2'), ['--list'])
  await assert.rejects(refused, /SaslAuthenticationException|Authentication failed/)
})

test('a client certificate shows what its rules allow, and nothing else', async () => {
  writeFileSync(join(dir, 'client.pem'), server.client.key + server.client.cert)
  const client = {
    'security.protocol': 'SSL',
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': join(dir, 'client.pem'),
  }
  const listed = await run('TopicCommand', 'MTLS', client, ['--list'])
  assert.match(listed, /^open$/m)
  assert.doesNotMatch(listed, /closed/)
  const create = run('TopicCommand', 'MTLS', client, ['--create', '--topic', 'mine'])
  await assert.rejects(create, /TopicAuthorizationException/)
})
