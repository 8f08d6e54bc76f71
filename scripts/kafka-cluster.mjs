// Several brokers of a real Apache Kafka, each a controller too, for tests that kill them. Not for production.
// One broker alone, and Kafka's tools: kafka.mjs.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clusterId, freePorts, isPortTaken, jars, KafkaServer } from './kafka.mjs'

/** Small: a test's cluster shares a machine with the test. */
const HEAP = '256m'

/** A running cluster. It ends with this process at the latest. */
export class KafkaCluster {
  /** The brokers; the first has node id 1. */
  servers
  #dir

  constructor(dir, servers) {
    this.#dir = dir
    this.servers = servers
  }

  /**
   * Starts `brokers` brokers and returns when each knows all. What they replicate is on up to three of them, and
   * acknowledged when two have it.
   */
  static async start({ brokers = 3, properties = {}, say } = {}) {
    const lib = await jars(say)
    for (let attempt = 1; ; attempt++) {
      const dir = mkdtempSync(join(tmpdir(), 'dohle-kafkas-'))
      const ports = await freePorts(2 * brokers)
      const ids = Array.from({ length: brokers }, (_, index) => index + 1)
      const controller = id => ports[brokers + id - 1]
      const voters = ids.map(id => `${id}@127.0.0.1:${controller(id)}`).join(',')
      const cluster = clusterId()
      const replicas = Math.min(3, brokers)
      const replicated = {
        'default.replication.factor': replicas,
        'min.insync.replicas': Math.min(2, brokers),
        'offsets.topic.replication.factor': replicas,
        'transaction.state.log.replication.factor': replicas,
        'transaction.state.log.min.isr': Math.min(2, brokers),
        ...properties,
      }
      const servers = ids.map(id => new KafkaServer({ dir: join(dir, `${id}`), port: ports[id - 1], lib }))
      const whole = new KafkaCluster(dir, servers)
      try {
        await Promise.all(
          ids.map(id =>
            servers[id - 1].configure({ controller: controller(id), properties: replicated, id, voters, cluster }),
          ),
        )
        // All at once: none answers before the controllers have a majority.
        await Promise.all(servers.map(server => server.launch({ heap: HEAP, brokers })))
        return whole
      } catch (error) {
        const taken = isPortTaken(error)
        await whole.stop({ keep: !taken })
        if (attempt === 3 || !taken) throw error
      }
    }
  }

  /** `host:port,…` for clients. */
  get bootstrap() {
    return this.servers.map(server => server.bootstrap).join(',')
  }

  /** Where data and logs are. */
  get dir() {
    return this.#dir
  }

  /** Starts a broker that was killed, with its data, and returns when it is back among the others. */
  async restart(server) {
    await server.launch({ heap: HEAP, brokers: this.servers.length })
  }

  /** Runs one of Kafka's tools against the cluster. `@broker` stands for its addresses. */
  tool(name, args = []) {
    return this.servers[0].tool(
      name,
      args.map(arg => (arg === '@broker' ? this.bootstrap : arg)),
    )
  }

  /** Stops all brokers and removes their data, unless `keep`. */
  async stop({ keep = false } = {}) {
    // Killed: a broker that leaves in order waits for controllers, which leave too.
    await Promise.all(this.servers.map(server => server.kill()))
    if (!keep) rmSync(this.#dir, { recursive: true, force: true })
  }
}
