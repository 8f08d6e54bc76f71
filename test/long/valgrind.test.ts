/** The driver of C does the table of behaviour under valgrind: no memory is misused, and none is lost. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chapters } from '../conformance/cases/index.ts'
import { embedded, perform } from '../conformance/harness.ts'
import { languages } from '../conformance/languages.ts'
import { Session } from '../conformance/session.ts'
import { unique } from '../integration/servers.ts'

/** Too much for a machine that is thirty times slower. */
const heavy = /10,000|leaves no thread|slow holds|every kind/
const c = languages.find(({ id }) => id === 'c')!
// Of values that are not set, valgrind tells where optimized Rust looks at the length of an Option<&str> before it looks whether there is one.
const valgrind = [
  'valgrind',
  '-q',
  '--leak-check=full',
  '--undef-value-errors=no',
  '--error-exitcode=99',
  '--fair-sched=yes',
]
const leaks = ['--errors-for-leak-kinds=definite,indirect', '--show-leak-kinds=definite,indirect']
let session: Session

before(async () => {
  const { command } = await c.setUp()
  session = new Session({ command: [...valgrind, ...leaks, ...command], env: { RUST_BACKTRACE: '0' } })
})
after(() => c.tearDown?.())

for (const [title, cases] of chapters) {
  test(`under valgrind: ${title}`, async () => {
    for (const of of cases.filter(({ name }) => !heavy.test(name))) {
      const place = await embedded(of)
      try {
        await perform(of, session, place, unique('valgrind'))
      } finally {
        await place.broker?.stop()
      }
    }
  })
}

test('valgrind has found nothing', async () => {
  const status = await session.close()
  assert.equal(status, 0, session.said)
})
