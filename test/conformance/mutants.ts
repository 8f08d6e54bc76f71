/** Cases with one expectation made wrong: each must fail, or the case proves nothing. */
import { Matcher } from './expect.ts'
import type { Ask, Case, Failing, Step } from './harness.ts'

/** Something that is not what was expected. */
function wrong(expected: unknown): unknown {
  if (expected instanceof Matcher) {
    const { name, wrong, never } = expected
    if (never !== undefined) return never()
    return new Matcher(`not ${name}`, found => (wrong(found) === undefined ? `is ${name}` : undefined))
  }
  if (typeof expected === 'number') return expected + 1
  if (typeof expected === 'boolean') return !expected
  if (typeof expected === 'string') return `${expected}, wrong`
  if (typeof expected !== 'object' || expected === null) return 'wrong'
  if (Array.isArray(expected))
    return expected.length === 0 ? ['wrong'] : [wrong(expected[0]), ...(expected.slice(1) as unknown[])]
  const [first, ...others] = Object.entries(expected)
  if (first === undefined) return { wrong: true }
  return Object.fromEntries([[first[0], wrong(first[1])], ...others])
}

/** The steps with each expectation made wrong, one at a time. Of two things that may come of a step, neither is. */
function* mutated(steps: readonly Step[]): Generator<Step[]> {
  for (const [at, step] of steps.entries()) {
    const put = (other: Step): Step[] => [...steps.slice(0, at), other, ...steps.slice(at + 1)]
    if ('do' in step || 'outcome' in step) {
      const { gives, fails, either } = step as Ask
      if (either) continue
      if (gives !== undefined) yield put({ ...step, gives: wrong(gives) })
      if (fails !== undefined) yield put({ ...step, fails: wrong(fails) as Failing })
    } else if ('together' in step) for (const together of mutated(step.together)) yield put({ together })
    else if ('repeat' in step) for (const repeat of mutated(step.repeat)) yield put({ ...step, repeat })
    else if ('drive' in step) for (const until of mutated(step.until)) yield put({ ...step, until: until as Ask[] })
  }
}

/** A case with its first, its middle or its last expectation made wrong. */
export function mutants(of: Case): Case[] {
  const all = [...mutated(of.steps)]
  const chosen = [...new Set([0, all.length >> 1, all.length - 1])]
  return chosen.flatMap(at => (all[at] === undefined ? [] : [{ ...of, steps: all[at] }]))
}
