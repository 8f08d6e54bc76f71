/** Runs a case with a stranger at a broker. */
import { Broker, type BrokerOptions } from 'dohle/broker'
import { ci } from '../../scripts/lib/paths.mjs'
import { available } from '../../scripts/lib/tools.mjs'
import { normalised } from './compare.ts'
import { prepare } from './prepare.ts'
import type { Session, Stranger } from './session.ts'
import type { Case } from './table.ts'

export const say = (line: string) => console.log(`strangers: ${line}`)

/** What both brokers are told, so that access rules can be made. */
export const properties = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'super.users': 'User:ANONYMOUS',
}

/** The embedded broker with these properties. */
export function embedded(options: BrokerOptions = {}): Promise<Broker> {
  return Broker.start({ partitions: 3, ...options, properties })
}

/** What the stranger saw, with `@` for the case's name. */
export async function atBroker(
  session: Session,
  bootstrap: string,
  of: Case,
  name: string,
): Promise<Record<string, unknown>> {
  const clear = await prepare(bootstrap, of, name)
  try {
    return normalised(await session.run(of.id, name), name) as Record<string, unknown>
  } finally {
    await clear()
  }
}

/** Says which program of the machine is missing; in CI that is a failure. */
export async function lacks({ title, needs }: Stranger): Promise<string | undefined> {
  for (const tool of needs) {
    if (await available(tool, say)) continue
    const why = `${title} is not tried: ${tool} is missing on this machine`
    if (ci) throw new Error(why)
    say(why)
    return why
  }
  return undefined
}
