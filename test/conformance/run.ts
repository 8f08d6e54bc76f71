/** Registers the table as tests: every chosen language does every chosen case. */
import { after, before, describe, test } from 'node:test'
import { ci } from '../../scripts/lib/paths.mjs'
import { available } from '../../scripts/lib/tools.mjs'
import { unique } from '../integration/servers.ts'
import type { Command } from '../line-program.ts'
import { type Case, NotOffered, type Place, perform } from './harness.ts'
import { type Language, languages } from './languages.ts'
import { Session } from './session.ts'

const say = (line: string) => console.log(`conformance: ${line}`)
const listed = process.env.DOHLE_CONFORMANCE?.split(',')
const words = process.env.DOHLE_CASES?.toLowerCase().split(',')

/** The languages of this run: all, or those that DOHLE_CONFORMANCE names. */
export const chosenLanguages = languages.filter(({ id }) => listed?.includes(id) ?? true)

for (const id of listed ?? [])
  if (!languages.some(one => one.id === id)) throw new Error(`DOHLE_CONFORMANCE: there is no language ${id}`)

/** Of these the cases of this run: all, or those that have a word of DOHLE_CASES. */
export const chosenCases = (cases: readonly Case[]) =>
  cases.filter(({ name }) => words?.some(word => name.toLowerCase().includes(word)) ?? true)

const commands = new Map<Language, Promise<Command | undefined>>()
after(() => {
  for (const language of commands.keys()) language.tearDown?.()
})

/** A driver of the language, which is built by the first call; none where the machine lacks something, which in CI is a failure. */
export async function driverOf(language: Language): Promise<Session | undefined> {
  const building = commands.get(language) ?? built(language)
  commands.set(language, building)
  const command = await building
  return command && new Session(command)
}

async function built({ title, needs, setUp }: Language): Promise<Command | undefined> {
  for (const tool of needs) {
    if (await available(tool, say)) continue
    const why = `${title} is not tried: ${tool} is missing on this machine`
    if (ci) throw new Error(why)
    say(why)
    return undefined
  }
  return await setUp()
}

/** All chosen languages, some at a time: they mostly wait. `place` gives each case its broker. */
export function languagesDo(cases: readonly Case[], place: (of: Case) => Promise<Place>): void {
  describe('in every language', { concurrency: 3 }, () => {
    for (const language of chosenLanguages) tests(language, cases, place)
  })
}

/** One test per case, for one language. */
function tests(language: Language, cases: readonly Case[], place: (of: Case) => Promise<Place>): void {
  describe(language.title, { concurrency: 1 }, () => {
    let session: Session | undefined
    before(async () => {
      session = await driverOf(language)
    })
    for (const of of chosenCases(cases)) {
      test(of.name, async context => {
        if (session === undefined) return context.skip('the machine lacks something')
        const at = await place(of)
        try {
          await performed(of, language, session, at)
        } finally {
          await at.broker?.stop()
        }
      })
    }
    test('the driver ends by itself', async context => {
      if (session === undefined) return context.skip('the machine lacks something')
      const status = await session.close()
      if (status !== 0) throw new Error(`it ended with ${status}\n${session.said}`)
    })
  })
}

/** A case, of which a language may lack what its row says, and nothing else. */
async function performed(of: Case, { id, lacks }: Language, session: Session, at: Place): Promise<void> {
  try {
    await perform(of, session, at, unique(`cf-${id}`))
  } catch (error) {
    if (!(error instanceof NotOffered) || !(error.operation in lacks || of.name in lacks)) throw error
    return
  }
  if (of.name in lacks) throw new Error(`it is offered, and languages.ts says that it is not: ${lacks[of.name]}`)
}
