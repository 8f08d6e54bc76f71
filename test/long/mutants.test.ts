/** Every case of the table of behaviour can fail: with each of three expectations made wrong it does. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chapters } from '../conformance/cases/index.ts'
import { embedded, perform } from '../conformance/harness.ts'
import { languages } from '../conformance/languages.ts'
import { mutants } from '../conformance/mutants.ts'
import { Session } from '../conformance/session.ts'
import { unique } from '../integration/servers.ts'

let session: Session
before(async () => {
  session = new Session(await languages[0]!.setUp())
})
after(() => session?.close())

for (const [title, cases] of chapters) {
  test(`no wrong expectation goes unseen: ${title}`, async context => {
    let count = 0
    for (const mutant of cases.flatMap(mutants)) {
      const place = await embedded(mutant)
      count++
      try {
        await assert.rejects(perform(mutant, session, place, unique('mutant'), 1_500), /step \d/, mutant.name)
      } finally {
        await place.broker?.stop()
      }
    }
    context.diagnostic(`${count} tried`)
  })
}
