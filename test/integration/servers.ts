/** The brokers that the tests run against: a real Apache Kafka and the embedded one. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Broker } from 'dohle/broker'
import { KafkaServer } from '../../scripts/kafka.mjs'

/** A broker for the length of a test file. */
export interface Server {
  readonly bootstrap: string
  stop(): Promise<void>
}

/** The real Kafka of this test run (DOHLE_KAFKA); run by hand, a test file starts its own. */
export async function realKafka(): Promise<Server> {
  const given = process.env.DOHLE_KAFKA
  if (given) return { bootstrap: given, stop: async () => {} }
  const server = await KafkaServer.start()
  return { bootstrap: server.bootstrap, stop: () => server.stop() }
}

/** An embedded broker of this test's own, with as many partitions for new topics as the real one. */
export async function embedded(properties: Record<string, string> = {}): Promise<Server> {
  const broker = await Broker.start({ port: 0, partitions: 3, properties })
  return { bootstrap: broker.address, stop: () => broker.close() }
}

/** Both, by name: most tests run against each. */
export const servers: readonly (readonly [name: string, start: () => Promise<Server>])[] = [
  ['Apache Kafka', realKafka],
  ['the embedded broker', () => embedded()],
]

/** Waits until `read` gives what `check` wants: what a controller has decided reaches the brokers a little later. */
export async function eventually<T>(read: () => Promise<T>, check: (value: T) => boolean): Promise<T> {
  const end = Date.now() + 60_000 // for what never comes, not for what is slow
  for (;;) {
    const value = await read()
    if (check(value)) return value
    if (Date.now() > end) throw new Error(`it is still ${JSON.stringify(value)}`)
    await sleep(50)
  }
}

let counter = 0
const run = `${Date.now().toString(36)}${process.pid.toString(36)}`

/** A name that no other test uses. */
export function unique(what: string): string {
  return `${what}-${run}-${++counter}`
}
