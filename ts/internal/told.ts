/**
 * What a client tells without being asked: lines of the log, statistics. The functions that take them are the program's.
 */
import type { Statistics } from '../generated/operations.ts'
import { LEVELS, type Logger, type LogLevel, stderrLogger } from '../logger.ts'
import type { Origin } from '../tracing.ts'
import { bagOf, reading } from './arguments.ts'
import { invalid, kindOf } from './failure.ts'

/** Options of a client that are functions. */
interface Listeners {
  logger?: Logger | undefined
  onStats?: ((statistics: Statistics) => void) | undefined
}

/** A line of the log as the engine tells it. */
interface Line {
  name: 'log'
  level: LogLevel
  target: string
  message: string
  fields: Record<string, unknown>
  dropped: number
}

/** See the module. */
export class Told {
  /** The options without those that are functions. */
  readonly options: object
  readonly #logger: Logger
  readonly #onStats: ((statistics: Statistics) => void) | undefined
  /** Who it is, for tracing. */
  readonly origin: Origin = { clientId: 'dohle', server: '' }

  constructor(given: object) {
    const bag = bagOf(given)
    const [logger, onStats] = [reading('logger', () => bag.logger), reading('onStats', () => bag.onStats)] as const
    if (logger === undefined && onStats === undefined) this.options = given
    else {
      const { logger: _, onStats: __, ...rest } = bag
      this.options = rest
    }
    this.#logger = (logger ?? stderrLogger) as Logger
    for (const level of LEVELS) {
      const found: unknown = reading('logger', () => this.#logger[level])
      if (typeof found !== 'function') throw invalid(`logger.${level}`, `is ${kindOf(found)}, not a function`)
    }
    if (onStats !== undefined && typeof onStats !== 'function')
      throw invalid('onStats', `is ${kindOf(onStats)}, not a function`)
    this.#onStats = onStats as Listeners['onStats']
  }

  /** The options as they are checked: nothing may be given that never comes. */
  check(plain: Record<string, unknown>): void {
    const named = plain.clientId ?? plain['client.id']
    if (typeof named === 'string') this.origin.clientId = named
    const brokers = plain.brokers ?? plain['bootstrap.servers']
    this.origin.server = String(Array.isArray(brokers) ? brokers[0] : brokers)
      .split(',')[0]!
      .trim()
    const interval = plain.statisticsIntervalMs ?? plain['statistics.interval.ms']
    if (this.#onStats !== undefined && (interval === undefined || Number(interval) === 0))
      throw invalid('onStats', 'is never called: statistics.interval.ms (statisticsIntervalMs) is 0')
  }

  /** An event of the client's. */
  event(text: string): void {
    const event = JSON.parse(text) as Line | { name: 'statistics'; statistics: Statistics }
    if (event.name === 'statistics') return this.#onStats?.(event.statistics)
    const { level, message, fields, target, dropped } = event
    if (dropped > 0) this.#log('warn', `${dropped} lines or events were dropped: the event loop stood still`, {})
    this.#log(level, message, { target, ...fields })
  }

  #log(level: LogLevel, message: string, fields: Record<string, unknown>): void {
    this.#logger[level](message, { clientId: this.origin.clientId, ...fields })
  }
}
