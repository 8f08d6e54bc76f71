/** The wheel as a user gets it, in a clean environment of its own; and another environment that tests it. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from '../../../scripts/lib/paths.mjs'
import { run } from '../../../scripts/lib/run.mjs'
import { pythonTester } from '../../../scripts/lib/tools.mjs'
import { pythonWheel } from '../../../scripts/python-wheel.mjs'

/** Where the Python sources are. */
export const sources = join(root, 'wrappers', 'python')

/** What became of one test of pytest. */
export interface PytestCase {
  name: string
  failure: string | undefined
  skipped: boolean
}

/** See the module. */
export class Wheel {
  readonly folder: string
  readonly file: string

  private constructor(folder: string, file: string) {
    this.folder = folder
    this.file = file
  }

  static async build(profile = 'dev'): Promise<Wheel> {
    const folder = mkdtempSync(join(tmpdir(), 'dohle-python-'))
    return new Wheel(folder, (await pythonWheel(folder, { profile }))!)
  }

  /** The python of a new environment that has the wheel and nothing else. */
  async installed(python = 'python3'): Promise<string> {
    const place = join(this.folder, `env-${python.replaceAll('/', '-')}`)
    const binary = join(place, 'bin', 'python')
    if (existsSync(binary)) return binary
    await run(python, ['-m', 'venv', place], { capture: true })
    const offline = ['--no-index', '--no-deps', '--disable-pip-version-check', '-q']
    await run(binary, ['-m', 'pip', 'install', ...offline, this.file], { capture: true })
    return binary
  }

  /** Where the wheel was unpacked. */
  async packages(): Promise<string> {
    const lib = join(await this.installed(), '..', '..', 'lib')
    return join(lib, readdirSync(lib)[0]!, 'site-packages')
  }

  /** Runs pytest on the tests of the sources, against the wheel. Returns what became of each. */
  async pytest(): Promise<PytestCase[]> {
    const report = join(this.folder, 'report.xml')
    const args = ['-P', '-m', 'pytest', '-p', 'no:cacheprovider', `--junitxml=${report}`, join(sources, 'tests')]
    const env = { PYTHONPATH: await this.packages(), PYTHONDONTWRITEBYTECODE: '1' }
    const said = await run(await pythonTester(console.error), args, { capture: true, cwd: sources, env }).catch(
      (error: Error) => error.message,
    )
    if (!existsSync(report)) throw new Error(`pytest has left no report: ${said}`)
    return [...readFileSync(report, 'utf8').matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)].map(
      ([, attributes, body = '']) => ({
        name: `${of(attributes!, 'classname').replace(/^tests\./, '')}: ${of(attributes!, 'name')}`,
        failure: /<(failure|error)/.test(body) ? unescaped(body.replace(/<[^>]*>/g, '')) : undefined,
        skipped: body.includes('<skipped'),
      }),
    )
  }

  /** Runs mypy --strict on files, or on the package with `-p dohle`, as programs see it that have installed the wheel. */
  async mypy(...what: string[]): Promise<string> {
    const args = ['-m', 'mypy', '--strict', '--cache-dir=/dev/null', '--python-executable', await this.installed()]
    return run(await pythonTester(console.error), [...args, ...what], { capture: true, cwd: this.folder })
  }

  end(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

const of = (attributes: string, name: string) =>
  unescaped(new RegExp(`(?:^| )${name}="([^"]*)"`).exec(attributes)?.[1] ?? '')

function unescaped(text: string): string {
  const names: Record<string, string> = { lt: '<', gt: '>', quot: '"', amp: '&', '#10': '\n' }
  return text.replace(/&(\w+|#\d+);/g, (all, name: string) => names[name] ?? all)
}
