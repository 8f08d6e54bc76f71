/** An empty project with the packed Dohle installed offline and without scripts, as a user would have it. */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { node } from '../../scripts/lib/node.mjs'
import { root } from '../../scripts/lib/paths.mjs'

/** What a program left. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, which may also be a failure. */
export function execute(
  program: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    const kill = () => child.kill('SIGKILL')
    process.once('exit', kill)
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', text => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', text => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', code => {
      process.removeListener('exit', kill)
      resolve({ code, stdout, stderr })
    })
  })
}

/** As `execute`; throws unless it succeeds. */
export async function succeed(
  program: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const { code, stdout, stderr } = await execute(program, args, cwd, env)
  if (code === 0) return stdout
  throw new Error(`${program} ${args.join(' ')}: exit code ${code}\n${stdout}${stderr}`)
}

/** The project; `remove` it afterwards. */
export interface Project {
  readonly folder: string
  remove(): void
}

/** Packs the clone and installs the tarball into an empty folder, with an empty npm cache and no network. */
export async function project(): Promise<Project> {
  const base = mkdtempSync(join(tmpdir(), 'dohle-package-'))
  const folder = join(base, 'project')
  mkdirSync(folder)
  await succeed('npm', ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', base], root)
  const tarball = join(base, readdirSync(base).find(name => name.endsWith('.tgz')) as string)
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const quiet = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  await succeed('npm', ['install', ...quiet, '--cache', join(base, 'npm-cache'), tarball], folder)
  return { folder, remove: () => rmSync(base, { recursive: true, force: true }) }
}

/** The Node versions that everything must run on: the oldest supported one and the two current lines. */
export const nodeVersions: readonly (readonly [version: string, variable: string])[] = [
  ['20.19.6', 'DOHLE_NODE_20'],
  ['22.23.3', 'DOHLE_NODE_22'],
  ['24.21.0', 'DOHLE_NODE_24'],
]

/** The path of a Node of this version. */
export const nodeBinary = async (version: string, variable: string): Promise<string> =>
  process.env[variable] ?? (await node(version))
