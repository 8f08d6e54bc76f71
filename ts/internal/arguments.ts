/**
 * What a program hands over, checked once, at the border. Whatever is wrong with it is an `InvalidConfigurationError` that
 * names it: never what JavaScript itself throws from inside, also when a getter or a proxy throws while it is read.
 */
import { KafkaError } from '../errors.ts'
import { invalid, kindOf } from './failure.ts'

/** Runs `read`, which reads what the program gave as `path`. */
export function reading<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw unreadable(path, error)
  }
}

/** The error of something that could not be read; one of ours stays what it is. */
export function unreadable(path: string, error: unknown): KafkaError {
  if (isOurs(error)) return error
  return invalid(path, `cannot be read: ${textOf(error)}`, error)
}

/** Whether it is an error of ours. Asking a proxy what it is may throw. */
function isOurs(error: unknown): error is KafkaError {
  try {
    return error instanceof KafkaError
  } catch {
    return false
  }
}

/** What was thrown, as text, whatever it has for a message. */
export function textOf(error: unknown): string {
  try {
    const text: unknown = error instanceof Error ? error.message : undefined
    return typeof text === 'string' ? text : kindOf(error)
  } catch {
    return 'what it throws cannot be read either'
  }
}

/** Checks that something is an object with members, not a list, and returns it. */
export function objectOf<T>(value: T, path: string): T & object {
  return reading(path, () => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
    throw invalid(path, `is ${kindOf(value)}, not an object`)
  })
}

/** Checks that something is an array, and returns it. */
export function arrayOf<T>(value: readonly T[], path: string): readonly T[] {
  return reading(path, () => {
    if (Array.isArray(value)) return value as readonly T[]
    throw invalid(path, `is ${kindOf(value)}, not an array`)
  })
}

/** Options by name; a `Map` would look like none, and bytes like many. */
export function bagOf(options: object, path = 'options'): Record<string, unknown> {
  const bag = objectOf(options, path)
  return reading(path, () => {
    if (Symbol.iterator in bag) throw invalid(path, `is ${kindOf(bag)}, not an object of options`)
    return bag as Record<string, unknown>
  })
}

/** The options of a call, each read once. Names that are not `known` are refused: they are slips, such as `singal`. */
export function optionsOf<T extends object>(given: T | undefined, known: readonly (keyof T & string)[]): T {
  const options: Record<string, unknown> = {}
  if (given === undefined) return options as T
  const from = bagOf(given)
  refuseUnknown(from, known, 'options')
  for (const name of known) {
    const value = reading(name, () => from[name])
    if (value !== undefined) options[name] = value
  }
  if (known.includes('signal' as never)) checkSignal(options.signal as AbortSignal | undefined)
  return options as T
}

/** Refuses members of other names; one that is undefined is none. */
export function refuseUnknown(from: object, known: readonly string[], path: string, names = join(path)): void {
  reading(path, () => {
    for (const name of Object.keys(from)) {
      if (known.includes(name) || (from as Record<string, unknown>)[name] === undefined) continue
      throw invalid(names(name.slice(0, 60)), `is not an option here; there are ${known.join(', ')}`)
    }
  })
}

/** Names of members: those of what a call was given stand alone. */
function join(path: string): (name: string) => string {
  return name => (path === 'options' ? name : `${path}.${name}`)
}

/** Text that has a form in UTF-8. */
export function textAt(value: unknown, path: string): string {
  if (typeof value !== 'string') throw invalid(path, `is ${kindOf(value)}, not a string`)
  const odd = value.search(/\p{Surrogate}/u)
  if (odd >= 0) throw invalid(path, `has half of a surrogate pair at ${odd}, which UTF-8 has no form for`)
  return value
}

/** Whatever has the shape of an `AbortSignal`, polyfills too; the controller itself, a common slip, has not. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return
  reading('signal', () => {
    const listens = typeof signal?.addEventListener === 'function' && typeof signal.removeEventListener === 'function'
    if (!listens || typeof signal.aborted !== 'boolean')
      throw invalid('signal', `is ${kindOf(signal)}, not an AbortSignal`)
  })
}

/** Milliseconds to wait, as `close` takes them, whole. */
export function checkTimeout(timeout: number | undefined): number | undefined {
  if (timeout === undefined) return undefined
  if (typeof timeout === 'number' && timeout >= 0 && timeout <= 0xffffffff) return Math.ceil(timeout)
  const found = typeof timeout === 'number' ? timeout : kindOf(timeout)
  throw invalid('timeout', `is ${found}, not milliseconds from 0 to 4294967295`)
}

/** The same where there is no default. */
export function neededTimeout(timeout: number): number {
  const whole = checkTimeout(timeout)
  if (whole === undefined) throw invalid('timeout', 'is undefined, not milliseconds from 0 to 4294967295')
  return whole
}

/** Options of a client, producer or consumer, read once: plain data. What JSON has no form for is refused, not left out. */
export function plainOptions(options: object): Record<string, unknown> {
  const from = bagOf(options)
  const plain: [string, unknown][] = []
  for (const name of reading('options', () => Object.keys(from))) {
    const value = plainAt(
      reading(name, () => from[name]),
      name,
      0,
    )
    if (value !== undefined) plain.push([name, value])
  }
  return Object.fromEntries(plain)
}

function plainAt(value: unknown, path: string, depth: number): unknown {
  if (value === null || value === undefined || typeof value === 'boolean') return value
  if (typeof value === 'string') return textAt(value, path)
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (typeof value === 'function') {
    throw invalid(path, 'is a function, which no option of this name takes; docs/configuration.md lists the options')
  }
  if (typeof value !== 'object') {
    throw invalid(path, `is ${typeof value === 'number' ? value : kindOf(value)}, which no option can be`)
  }
  return reading(path, () => {
    if (depth > 8) throw invalid(path, 'is nested too deeply for an option')
    if (Array.isArray(value)) return value.map((element, index) => plainAt(element, `${path}[${index}]`, depth + 1))
    const prototype = Object.getPrototypeOf(value)
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
      throw invalid(path, `is ${kindOf(value)}, which no option can be`)
    const members = Object.entries(value).map(([name, member]) => [
      name,
      plainAt(member, `${path}.${name.slice(0, 60)}`, depth + 1),
    ])
    return Object.fromEntries(members)
  })
}
