/** The embedded broker with the listeners, certificates and users that `scripts/kafka-secure.mjs` gives to a real Apache Kafka. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Broker } from 'dohle/broker'
import { Authority, certificates, listeners, settings, USERS } from '../scripts/kafka-secure.mjs'

export class SecureBroker {
  readonly broker: Broker
  readonly authority: Authority
  readonly ca: string
  readonly client: { cert: string; key: string }
  readonly users: Record<string, string> = USERS
  readonly address: Record<string, string>
  readonly bootstrap: string

  private constructor(broker: Broker, authority: Authority, client: { cert: string; key: string }) {
    this.broker = broker
    this.authority = authority
    this.ca = authority.read('ca.pem')
    this.client = client
    this.address = Object.fromEntries(broker.listeners.map(({ name, address }) => [name, address]))
    this.bootstrap = this.address.PLAINTEXT!
  }

  static async start({ properties = {} }: { properties?: Record<string, string> } = {}): Promise<SecureBroker> {
    const authority = new Authority(mkdtempSync(join(tmpdir(), 'dohle-tls-')))
    const client = await certificates(authority)
    const names = { PLAINTEXT: 'PLAINTEXT', ...listeners }
    const users = Object.entries(USERS).map(([name, password]) => ({ name, password }))
    const broker = await Broker.start({
      sasl: { users },
      properties: {
        ...settings(authority),
        listeners: Object.keys(names)
          .map(name => `${name}://127.0.0.1:0`)
          .join(','),
        'listener.security.protocol.map': Object.entries(names)
          .map(([name, protocol]) => `${name}:${protocol}`)
          .join(','),
        ...properties,
      },
    })
    return new SecureBroker(broker, authority, client)
  }

  async stop(): Promise<void> {
    await this.broker.close()
    rmSync(this.authority.dir, { recursive: true, force: true })
  }
}
