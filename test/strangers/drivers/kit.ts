/** What the drivers in JavaScript share: the loop over cases, and how results are written (see ../session.ts and ../table.ts). */
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { T0 } from '../table.ts'

/** For what never comes, not for what is slow. */
const PATIENCE = 120_000

/** What a case is answered with. */
export type Result = Record<string, unknown>
/** The cases of a driver by id; those of codecs under `codec`. */
export type Cases = Record<string, (name: string, argument: string) => Promise<Result>>

/** The records of the cases of codecs. */
export const records = [
  { key: 'k0', value: 'v0', headers: { h: ['1', '2'] } },
  { key: null, value: 'no key', headers: {} },
  { key: 'k2', value: null, headers: {} },
  { key: 'k3', value: '', headers: { empty: '' } },
  { key: 'big', value: 'x'.repeat(20_000), headers: {} },
].map((record, at) => ({ ...record, timestamp: T0 + at * 1_000 }))

/** Bytes as the table writes them. */
export function text(bytes: Buffer | string | null | undefined): string | null {
  if (bytes === null || bytes === undefined) return null
  const value = bytes.toString()
  return value.length > 100 && new Set(value).size === 1 ? `${value[0]}*${value.length}` : value
}

/** Calls `value` until it gives something. */
export async function until<T>(
  what: string,
  value: () => T | Promise<T>,
): Promise<Exclude<T, false | null | undefined>> {
  for (const end = Date.now() + PATIENCE; ; await sleep(20)) {
    const found = await value()
    if (found) return found as Exclude<T, false | null | undefined>
    if (Date.now() > end) throw new Error(`never: ${what}`)
  }
}

/** Runs a case. */
export function run(cases: Cases, id: string, name: string): Promise<Result> {
  const [kind, codec] = id.startsWith('codec-') ? ['codec', id.slice('codec-'.length)] : [id, '']
  const found = cases[kind]
  if (!found) return Promise.reject(new Error(`no case ${id}`))
  return found(name, codec)
}

/** Answers each line of standard input. */
export async function serve(cases: Cases): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line) as { case: string; name: string }
    const answer = await run(cases, asked.case, asked.name).then(
      result => ({ result }),
      (error: Error) => ({ error: error.stack ?? String(error) }),
    )
    console.log(JSON.stringify(answer))
  }
  process.exit(0)
}
