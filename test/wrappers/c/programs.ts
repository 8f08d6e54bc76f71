/** Builds the C library into a folder of its own, and compiles C and C++ programs with what pkg-config says of it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cLibrary } from '../../../scripts/c-library.mjs'
import { root } from '../../../scripts/lib/paths.mjs'
import { run } from '../../../scripts/lib/run.mjs'

/** Where the examples are. */
export const examples = join(root, 'native', 'ffi', 'examples')

const quiet = { RUST_BACKTRACE: '0' }
const leaks = ['--errors-for-leak-kinds=definite,indirect', '--show-leak-kinds=definite,indirect']

/** See the module. */
export class Programs {
  readonly prefix: string
  readonly #flags: string[]

  private constructor(prefix: string, flags: string[]) {
    this.prefix = prefix
    this.#flags = flags
  }

  static async start(): Promise<Programs> {
    const prefix = mkdtempSync(join(tmpdir(), 'dohle-c-'))
    const env = { PKG_CONFIG_PATH: await cLibrary(prefix, { profile: 'dev' }) }
    const flags: string = await run('pkg-config', ['--cflags', '--libs', 'dohle'], { capture: true, env })
    return new Programs(prefix, flags.trim().split(/\s+/))
  }

  /** Runs the compiler that fits the source, without a warning. */
  async compile(source: string, ...more: string[]): Promise<void> {
    const [compiler, ...standard] = source.endsWith('.cpp')
      ? ['c++', '-std=c++17']
      : ['cc', '-std=c11', '-D_POSIX_C_SOURCE=200809L']
    await run(compiler!, [...standard, '-Wall', '-Wextra', '-Werror', '-g', '-O1', source, ...this.#flags, ...more], {
      capture: true,
    })
  }

  /** Compiles a program, and returns its path. */
  async program(source: string, ...more: string[]): Promise<string> {
    const program = join(this.prefix, source.replace(/.*\//, '').replace(/\.\w+$/, ''))
    await this.compile(source, `-Wl,-rpath,${join(this.prefix, 'lib')}`, '-lpthread', ...more, '-o', program)
    return program
  }

  end(): void {
    rmSync(this.prefix, { recursive: true, force: true })
  }
}

/** What a program says. */
export function ran(program: string, ...args: string[]): Promise<string> {
  return run(program, args, { capture: true, env: quiet })
}

/** Under valgrind: it fails when memory was misused or lost. What lives as long as the process is no leak. */
export function checked(program: string, ...args: string[]): Promise<string> {
  const options = ['-q', '--leak-check=full', ...leaks, '--error-exitcode=99', '--fair-sched=yes']
  return run('valgrind', [...options, program, ...args], { capture: true, env: quiet })
}
