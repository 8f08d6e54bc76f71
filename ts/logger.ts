/**
 * Where lines of the log go.
 */
import { formatWithOptions } from 'node:util'

/**
 * Takes lines of the log, each with its fields: names and values that belong to it. `console` is one, winston too; pino takes
 * the fields first: `{ warn: (message, fields) => log.warn(fields, message), … }`.
 */
export interface Logger {
  /** Something that does not mend itself. */
  error(message: string, fields: Record<string, unknown>): void
  /** Something that the program may want to know of. */
  warn(message: string, fields: Record<string, unknown>): void
  /** What happens seldom. */
  info(message: string, fields: Record<string, unknown>): void
  /** What is of use when a fault is looked for. */
  debug(message: string, fields: Record<string, unknown>): void
}

/** The names of a logger's functions. */
export const LEVELS = ['error', 'warn', 'info', 'debug'] as const

/** The level of a line. */
export type LogLevel = (typeof LEVELS)[number]

const write = (level: LogLevel) => (message: string, fields: Record<string, unknown>) => {
  const { clientId, target, ...rest } = fields
  const said = Object.entries(rest).map(
    ([name, value]) => ` ${name}=${formatWithOptions({ compact: true }, '%o', value)}`,
  )
  process.stderr.write(
    `${new Date().toISOString()} dohle ${level.toUpperCase()} [${clientId}] ${message}${said.join('')}\n`,
  )
}

/** Writes lines to stderr. Used where a program gives no logger. */
export const stderrLogger: Logger = {
  error: write('error'),
  warn: write('warn'),
  info: write('info'),
  debug: write('debug'),
}
