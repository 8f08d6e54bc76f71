// The options of `npm start`: parsed and checked before anything is built, so that a typing error costs nothing.

export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

export const help = `npm start -- [options]

Produces records through the TypeScript producer while a TypeScript consumer group reads them back, and verifies
every one of them. Without options: 1,000,000 JSON records of about 100 bytes through an embedded broker.

  --records N                            how many records (default 1000000)
  --codec none|gzip|snappy|lz4|zstd      compression (default lz4)
  --file PATH                            send the lines of a file instead, and prove that they come back byte by byte
  --brokers HOST:PORT[,HOST:PORT]        use this cluster instead of the embedded broker (a topic is made and deleted)
  --json                                 the last line of stdout is one JSON object with the figures
  --help                                 this text

Exit code: 0 when everything came back as it was sent, 1 when not, 2 for a wrong option.`

/** A wrong option: its message is for people, without a stack. */
export class UsageError extends Error {}

const options = {
  '--records': value => ({ records: count(value) }),
  '--codec': value => ({ codec: codec(value) }),
  '--file': value => ({ file: value }),
  '--brokers': value => ({ brokers: brokers(value) }),
}
const flags = { '--json': { json: true }, '--help': { help: true }, '-h': { help: true } }

/** @returns {{records: number, codec: string, file?: string, brokers?: string, json: boolean, help: boolean}} */
export function parse(args) {
  const chosen = { records: 1_000_000, codec: 'lz4', json: false, help: false }
  for (let i = 0; i < args.length; i++) {
    const [name, inline] = split(args[i])
    if (name in flags && inline === undefined) {
      Object.assign(chosen, flags[name])
      continue
    }
    if (!(name in options)) throw new UsageError(unknown(name in flags ? args[i] : name))
    const value = inline ?? args[++i]
    if (value === undefined || value === '') throw new UsageError(`${name} needs a value (see npm start -- --help)`)
    Object.assign(chosen, options[name](value))
  }
  if (chosen.file !== undefined && args.some(arg => split(arg)[0] === '--records')) {
    throw new UsageError('--file and --records exclude each other: with --file every line is a record')
  }
  return chosen
}

const split = arg => {
  const at = arg.indexOf('=')
  return arg.startsWith('--') && at > 0 ? [arg.slice(0, at), arg.slice(at + 1)] : [arg, undefined]
}

function count(value) {
  const number = Number(value.replaceAll(/[_,]/g, ''))
  if (/^[\d_,]+$/.test(value) && number >= 1 && number <= 99_999_999) return number
  throw new UsageError(`--records: ${value} is not a whole number from 1 to 99999999`)
}

function codec(value) {
  if (codecs.includes(value)) return value
  throw new UsageError(`--codec: ${value} is not one of ${codecs.join(', ')}`)
}

function brokers(value) {
  for (const one of value.split(',')) {
    const port = Number(/^(?:\[[^\]]+\]|[^\s:[\]]+):(\d+)$/.exec(one.trim())?.[1])
    if (!(port >= 1 && port <= 65_535))
      throw new UsageError(`--brokers: ${one} is not HOST:PORT, such as localhost:9092`)
  }
  return value
}

function unknown(name) {
  const names = [...Object.keys(options), ...Object.keys(flags)].filter(known => known.startsWith('--'))
  return `unknown option ${name}: there are ${names.join(', ')} (see npm start -- --help)`
}
