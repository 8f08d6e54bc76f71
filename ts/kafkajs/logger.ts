/**
 * kafkajs' logger: levels, namespaces, one JSON object per line unless a `logCreator` decides. `KAFKAJS_LOG_LEVEL` overrides levels.
 */
import { logLevel } from './constants.ts'
import type { LogEntry, Logger, logCreator } from './types/client.ts'

type Level = logLevel
type Label = 'INFO' | 'ERROR' | 'WARN' | 'DEBUG'

/** Writes to the console. */
const toConsole: logCreator =
  () =>
  ({ namespace, level, label, log }: LogEntry) => {
    const prefix = namespace ? `[${namespace}] ` : ''
    const line = JSON.stringify({ level: label, ...log, message: `${prefix}${log.message}` })
    if (level === logLevel.ERROR) console.error(line)
    else if (level === logLevel.WARN) console.warn(line)
    else if (level === logLevel.INFO) console.info(line)
    else console.log(line)
  }

function fromEnvironment<L>(level: L): L | Level {
  const name = (process.env.KAFKAJS_LOG_LEVEL ?? '').toUpperCase()
  return (logLevel as Record<string, Level>)[name] ?? level
}

/** The logger of a client. */
export function createLogger(level: Level = logLevel.INFO, creator: logCreator = toConsole): Logger {
  let current: Level = fromEnvironment(level)
  const write = creator(current)
  const inNamespace = (namespace: string | undefined, own: Level | null): Logger => {
    const at =
      (label: Label) =>
      (message: string, extra: object = {}) => {
        if (logLevel[label] > (own ?? current)) return
        const log = { timestamp: new Date().toISOString(), logger: 'kafkajs', message, ...extra }
        write({ namespace: namespace as string, level: logLevel[label], label, log })
      }
    return {
      info: at('INFO'),
      error: at('ERROR'),
      warn: at('WARN'),
      debug: at('DEBUG'),
      namespace: (name, level) => inNamespace(name, fromEnvironment(level ?? null)),
      setLogLevel: level => {
        current = level
      },
    }
  }
  return inNamespace(undefined, null)
}
