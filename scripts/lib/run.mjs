// Runs other programs: in the foreground with a readable failure, or for their output. Starts nothing in the background.

import { spawn } from 'node:child_process'
import { root, target } from './paths.mjs'

/** The error of a program that could not be started or that failed. `output` is what it said, when captured. */
export class CommandError extends Error {
  constructor(message, output = '') {
    super(message)
    this.name = 'CommandError'
    this.output = output
  }
}

const environment = extra => ({ ...process.env, CARGO_TARGET_DIR: target, ...extra })

/**
 * Runs a program to its end and returns its stdout (empty when not captured).
 * `capture`: keep stdout and stderr instead of showing them; `input`: bytes for stdin; `cwd`, `env` as usual.
 * @param {string} command
 * @param {string[]} [args]
 * @param {{ capture?: boolean, input?: string | Buffer, cwd?: string, env?: Record<string, string>, signal?: AbortSignal, encoding?: string }} [options]
 * @returns {Promise<any>}
 */
export function run(command, args = [], { capture = false, input, cwd = root, env, signal, encoding = 'utf8' } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: environment(env),
      signal,
      stdio: [input === undefined ? 'ignore' : 'pipe', capture ? 'pipe' : 'inherit', capture ? 'pipe' : 'inherit'],
    })
    const out = []
    const err = []
    child.stdout?.on('data', bytes => out.push(bytes))
    child.stderr?.on('data', bytes => err.push(bytes))
    if (input !== undefined) {
      child.stdin.on('error', () => {}) // the program may end without reading all: its exit code tells
      child.stdin.end(input)
    }
    child.on('error', error =>
      reject(
        new CommandError(
          error.code === 'ENOENT' ? `${command}: not found on this machine` : `${command}: ${error.message}`,
        ),
      ),
    )
    child.on('close', (code, killed) => {
      const stdout = Buffer.concat(out)
      if (code === 0) return resolve(encoding === 'buffer' ? stdout : stdout.toString(encoding))
      const said = Buffer.concat([...out, ...err]).toString()
      const what = `${[command, ...args].join(' ')}: ${killed ? `ended by ${killed}` : `exit code ${code}`}`
      reject(new CommandError(said ? `${what}\n${said.trimEnd()}` : what, said))
    })
  })
}

/** True when the program exists and answers `args` with exit code 0. */
export async function answers(command, args = ['--version']) {
  try {
    await run(command, args, { capture: true })
    return true
  } catch {
    return false
  }
}
