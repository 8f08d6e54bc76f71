/** Interprets the cases: asks a driver step by step, and compares what it tells with what the case demands. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { Broker, type BrokerOptions, type Fault, type FaultRule } from 'dohle/broker'
import { known } from '../integration/servers.ts'
import { groupOf, groups, mismatch } from './expect.ts'
import type { Answer, Session, Told } from './session.ts'

/** What an error must be. `group` is the one of KIP-1050 that its class stands for, in lower case, '' for none. */
export interface Failing {
  readonly code: unknown
  readonly group?: string
  readonly [member: string]: unknown
}

/** A request, and what must come of it: `gives` of its result, or `fails` of its error; without both it must succeed. */
export interface Ask {
  readonly do: string
  readonly [member: string]: unknown
  readonly gives?: unknown
  readonly fails?: Failing
  /** It is not waited for: a later step with `outcome` of this name does. */
  readonly start?: string
  /** `fails` is one of two things that may come of it. */
  readonly either?: true
  /** A member of its result is kept: `$member` in a later request is its value. */
  readonly keep?: string
  /** It is asked again until the result is as it should be: what happens in its own time. Results of `consume` and `events` are gathered. */
  readonly until?: true
}

/** What one step can be. */
export type Step =
  | Ask
  /** Waits for what was started. */
  | { readonly outcome: string; readonly gives?: unknown; readonly fails?: Failing; readonly either?: true }
  /** Several steps at once; the case goes on when all are done. */
  | { readonly together: readonly Step[] }
  /** These consumers poll, at the same time, again and again, until all questions have their answers. */
  | { readonly drive: readonly string[]; readonly until: readonly Ask[] }
  /** One after the other, `times` times. */
  | { readonly repeat: readonly Step[]; readonly times: number }
  /** Cancels what was started, once it is under way. */
  | { readonly cancel: string }
  /** The broker misbehaves; `as` names the rule. */
  | { readonly fault: FaultRule; readonly as?: string }
  /** Waits until the rule has acted that often. */
  | { readonly acted: string; readonly times: number }
  /** The rule is no more; what it held goes on. */
  | { readonly release: string }
  /** The broker stops. */
  | { readonly stop: true }
  /** Notes what the driver's process holds, to compare with later. */
  | { readonly note: 'usage' }
  /** It holds no more threads and files than were noted, and not more memory than so many bytes more. */
  | { readonly same: 'usage'; readonly grown?: number }
  /** Time passes. */
  | { readonly sleep: number }

/** One row of the table. In all texts `@` is a name of this run of the case: of its topic, and the beginning of other names. */
export interface Case {
  readonly name: string
  /** It is also run on real Apache Kafka. */
  readonly kafka?: true
  /** Of its topic `@`. 0: there is none. Default: 1. */
  readonly partitions?: number
  readonly configs?: Readonly<Record<string, string>>
  /** Of the embedded broker, which each case has for itself. */
  readonly broker?: BrokerOptions
  /** Options of all its clients. */
  readonly client?: Readonly<Record<string, unknown>>
  readonly steps: readonly Step[]
}

/** Where a case is run. */
export interface Place {
  readonly bootstrap: string
  readonly broker?: Broker
}

/** What a row of `languages.ts` says of operations that are not there. */
export type Lacks = Readonly<Record<string, string>>

/** Operations that a language was found not to have while a case ran: the case ends there. */
export class NotOffered extends Error {
  readonly operation: string

  constructor(operation: string) {
    super(`${operation} is not offered`)
    this.operation = operation
  }
}

/** Starts the case's embedded broker. */
export async function embedded({ broker: options }: Case): Promise<Place> {
  const broker = await Broker.start({ partitions: 1, ...options })
  return { bootstrap: broker.address, broker }
}

/** For what never comes, not for what is slow. */
const PATIENCE_MS = 120_000

/** Does all steps of a case. Throws at the first thing that is not as it should be. */
export async function perform(
  of: Case,
  session: Session,
  place: Place,
  name: string,
  patience = PATIENCE_MS,
): Promise<void> {
  await new Performance(of, session, place, name, patience).run()
}

/** Members that are names of objects. */
const named = new Set(['name', 'of', 'consumer'])

class Performance {
  readonly #case: Case
  readonly #session: Session
  readonly #place: Place
  readonly #name: string
  readonly #patience: number
  readonly #started = new Map<string, { id: number; answer: Promise<Answer>; ask: Ask }>()
  readonly #faults = new Map<string, Fault>()
  readonly #kept = new Map<string, unknown>()
  #usage: Record<string, number> = {}

  constructor(of: Case, session: Session, place: Place, name: string, patience: number) {
    this.#case = of
    this.#session = session
    this.#place = place
    this.#name = name
    this.#patience = patience
  }

  async run(): Promise<void> {
    const { partitions = 1, configs, steps } = this.#case
    try {
      if (partitions > 0) {
        const maker = { do: 'admin', name: 'harness' }
        const topics = [{ topic: '@', partitions, replicationFactor: 1, configs: configs ?? {} }]
        await this.#all([maker, { do: 'createTopics', of: 'harness', topics }, { do: 'close', of: 'harness' }])
        // Kafka answers when its controller has decided; its broker knows the topic a little later.
        if (!this.#place.broker) await known(this.#place.bootstrap, { [this.#name]: partitions })
      }
      await this.#all(steps)
    } finally {
      for (const fault of this.#faults.values()) fault.remove()
      await this.#session.ask({ do: 'reset' }).catch(() => {})
      for (const { answer } of this.#started.values()) await answer.catch(() => {})
    }
  }

  async #all(steps: readonly Step[], path = 'step '): Promise<void> {
    for (const [at, step] of steps.entries()) {
      try {
        await this.#step(step, `${path}${at + 1}`)
      } catch (error) {
        if (error instanceof NotOffered || (error as Error).cause) throw error
        const what = JSON.stringify(step, (_, value) => (value instanceof RegExp ? String(value) : value))
        const text = `${path}${at + 1}, ${what.slice(0, 400)}:\n${(error as Error).message}`
        throw new Error(text, { cause: error })
      }
    }
  }

  async #step(step: Step, path: string): Promise<void> {
    if ('do' in step) return await this.#ask(step as Ask)
    if ('outcome' in step) {
      const { answer, ask } = this.#underWay(step.outcome)
      this.#started.delete(step.outcome)
      return this.#check({ do: ask.do, ...step }, await answer)
    }
    if ('together' in step) {
      const done = await Promise.allSettled(step.together.map((one, at) => this.#all([one], `${path}.${at + 1}.`)))
      for (const one of done) if (one.status === 'rejected') throw one.reason
    } else if ('drive' in step) {
      await this.#drive(step.drive, step.until)
    } else if ('repeat' in step) {
      for (let round = 0; round < step.times; round++) await this.#all(step.repeat, `${path}.`)
    } else if ('cancel' in step) {
      await this.#cancel(this.#underWay(step.cancel))
    } else if ('fault' in step) {
      this.#faults.set(step.as ?? `${this.#faults.size}`, this.#broker.faults.add(this.#own(step.fault)))
    } else if ('acted' in step) {
      while (this.#fault(step.acted).hits().fired < step.times) await sleep(10)
    } else if ('release' in step) {
      this.#fault(step.release).remove()
    } else if ('stop' in step) {
      await this.#broker.stop()
    } else if ('note' in step) {
      this.#usage = await this.#used()
    } else if ('same' in step) {
      await this.#unchanged(step.grown)
    } else await sleep(step.sleep)
  }

  async #ask(ask: Ask): Promise<void> {
    const { gives: _, fails: __, either: ___, start, until, keep, ...rest } = ask
    const request = this.#own(this.#addressed(rest))
    if (start !== undefined) {
      const id = this.#session.next
      const answer = this.#session.ask(request)
      answer.catch(() => {})
      this.#started.set(start, { id, answer, ask })
      return
    }
    if (until) return await this.#untilRight(ask, request)
    const answer = await this.#session.ask(request)
    this.#check(ask, answer)
    if (keep !== undefined && 'result' in answer) this.#kept.set(`$${keep}`, answer.result[keep])
  }

  /** Again, until it has an answer: the driver may not have begun with it. */
  async #cancel({ id, answer }: { id: number; answer: Promise<Answer> }): Promise<void> {
    let over = false
    const done = answer.finally(() => {
      over = true
    })
    for (const end = Date.now() + this.#patience; !over; ) {
      this.#check({}, await this.#session.ask({ do: 'cancel', request: id }))
      await Promise.race([done, sleep(200)])
      if (Date.now() > end) throw new Error('it does not end')
    }
  }

  async #drive(members: readonly string[], questions: readonly Ask[]): Promise<void> {
    for (let end = Date.now() + this.#patience; ; ) {
      const polls = members.map(of => this.#ask({ do: 'consume', of, count: 1, ms: 100 }))
      for (const one of await Promise.allSettled(polls)) if (one.status === 'rejected') throw one.reason
      try {
        for (const question of questions) await this.#ask(question)
        return
      } catch (error) {
        if (Date.now() > end) throw error
      }
      if (members.length === 0) await sleep(50)
    }
  }

  /** What comes in pieces is gathered until it is right. */
  async #untilRight(ask: Ask, request: Record<string, unknown>): Promise<void> {
    const gathered: unknown[] = []
    const list = ask.do === 'consume' ? 'records' : ask.do === 'events' ? 'events' : undefined
    for (let end = Date.now() + this.#patience; ; ) {
      const answer = await this.#session.ask(request)
      if ('error' in answer) return this.#check(ask, answer)
      const fresh = list === undefined ? [] : ((answer.result[list] ?? []) as unknown[])
      gathered.push(...fresh)
      const result = list === undefined ? answer.result : { [list]: gathered }
      const wrong = mismatch(this.#theirs(result), ask.gives)
      if (wrong === undefined) return
      if (fresh.length > 0) end = Date.now() + this.#patience
      if (Date.now() > end) throw new Error(wrong)
      if (fresh.length === 0) await sleep(50)
    }
  }

  #check(
    { do: does, gives, fails, either }: { do?: string; gives?: unknown; fails?: Failing; either?: true },
    answer: Answer,
  ): void {
    if ('error' in answer) {
      const error = this.#theirs(answer.error)
      if (error.code === 'NOT_OFFERED') throw new NotOffered(does ?? 'an operation')
      Object.assign(error, { group: this.#sound(error) })
      if (fails === undefined) throw new Error(`failed: ${JSON.stringify(error)}\n${this.#session.said}`)
      const wrong = mismatch(error, fails, 'error')
      if (wrong !== undefined) throw new Error(`${wrong}\nin ${JSON.stringify(error)}`)
      return
    }
    if (fails !== undefined && !either) throw new Error(`succeeded: ${JSON.stringify(answer.result).slice(0, 500)}`)
    const result = this.#theirs(answer.result)
    for (const { error } of (result.results ?? []) as { error?: Told }[])
      if (error) Object.assign(error, { group: this.#sound(error) })
    const wrong = gives === undefined ? undefined : mismatch(result, gives)
    if (wrong !== undefined) throw new Error(wrong)
    if (gives === undefined && Array.isArray(result.results)) assert.deepEqual(failures(result.results), [])
  }

  /** What holds of every error in every language. Gives its group. */
  #sound(error: Told): string {
    if (error.code === 'DRIVER') throw new Error(`the driver failed: ${error.message}\n${this.#session.said}`)
    const group = groupOf(error)
    // The language's own exceptions may say these.
    if (error.code === 'ABORTED' || error.code === 'CLOSED') return group
    assert.ok(groups.includes(group), `${error.class} stands for no group of KIP-1050`)
    assert.ok(error.message, `${error.code} has no message`)
    for (const member of ['retriable', 'fatal'] as const)
      assert.equal(typeof error[member], 'boolean', `${member} of ${error.code}`)
    for (const { error: one } of error.items ?? []) this.#sound(one)
    return group
  }

  /** With the addresses of the brokers, where a client is made. */
  #addressed(ask: Record<string, unknown>): Record<string, unknown> {
    if (!['producer', 'consumer', 'admin', 'churn'].includes(ask.do as string)) return ask
    const client = { 'bootstrap.servers': this.#place.bootstrap, ...this.#case.client, ...(ask.client as object) }
    return { options: {}, ...ask, client }
  }

  /** With the name of this run for `@`, and names of objects that were not used before. */
  #own<T>(value: T, member = ''): T {
    if (typeof value === 'string' && this.#kept.has(value)) return this.#kept.get(value) as T
    if (typeof value === 'string')
      return (named.has(member) ? `${this.#name}/${value}` : value.replaceAll('@', this.#name)) as T
    if (Array.isArray(value)) return value.map(one => this.#own(one)) as T
    if (typeof value !== 'object' || value === null || value.constructor !== Object) return value
    const isAsk = 'do' in value
    const own = Object.entries(value).map(([name, one]) => [
      name.replaceAll('@', this.#name),
      this.#own(one, isAsk && !this.#plain(value as { do?: string }, name) ? name : ''),
    ])
    return Object.fromEntries(own) as T
  }

  /** What a driver told, with `@` for the name of this run. */
  #theirs<T>(told: T): T {
    return JSON.parse(JSON.stringify(told).replaceAll(this.#name, '@')) as T
  }

  /** Members that are called as names of objects are, and are something else. */
  #plain({ do: does }: { do?: string }, member: string): boolean {
    return member === 'name' && ['describeConfigs', 'alterConfigs', 'alterQuota'].includes(does ?? '')
  }

  #underWay(name: string) {
    const found = this.#started.get(name)
    if (found === undefined) throw new Error(`nothing was started as ${name}`)
    return found
  }

  #fault(name: string): Fault {
    const found = this.#faults.get(name)
    if (found === undefined) throw new Error(`there is no fault ${name}`)
    return found
  }

  get #broker(): Broker {
    if (this.#place.broker === undefined) throw new Error('this is not the embedded broker')
    return this.#place.broker
  }

  async #used(): Promise<Record<string, number>> {
    const answer = await this.#session.ask({ do: 'usage' })
    this.#check({}, answer)
    return (answer as { result: Record<string, number> }).result
  }

  /** Threads and sockets end in their own time, a little later than the call that ends them. */
  async #unchanged(grown: number | undefined): Promise<void> {
    const before = this.#usage
    for (const end = Date.now() + this.#patience; ; ) {
      const after = await this.#used()
      const more = ['threads', 'files'].filter(what => !(after[what]! <= before[what]!))
      if (grown !== undefined && !(after.rss! <= before.rss! + grown)) more.push('rss')
      if (more.length === 0) return
      if (Date.now() > end) throw new Error(`${more} grew: ${JSON.stringify(before)}, then ${JSON.stringify(after)}`)
      await sleep(100)
    }
  }
}

const failures = (results: unknown[]): unknown[] => results.filter(one => (one as { error?: Told }).error)
