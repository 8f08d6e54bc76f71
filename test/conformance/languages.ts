/** The languages that have a driver: rows, in the order of the report. */
import { fileURLToPath } from 'node:url'
import type { Command } from '../line-program.ts'
import { Programs } from '../wrappers/c/programs.ts'
import { DotnetPrograms } from '../wrappers/dotnet/programs.ts'
import { JavaPrograms } from '../wrappers/java/programs.ts'
import { Wheel } from '../wrappers/python/wheel.ts'
import type { Lacks } from './harness.ts'

/** A language. */
export interface Language {
  readonly id: string
  readonly title: string
  /** Programs of the machine that it needs, as scripts/lib/tools.mjs knows them. */
  readonly needs: readonly string[]
  /** Builds what it needs, once, and tells how its driver is started. */
  setUp(): Promise<Command>
  /** Removes what `setUp` has made. */
  tearDown?(): void
  /** What its usual API does not have, by operation of the protocol or name of the case, and why. */
  readonly lacks: Lacks
}

const driver = (file: string) => fileURLToPath(new URL(`./drivers/${file}`, import.meta.url))

const typescript: Language = {
  id: 'typescript',
  title: 'TypeScript',
  needs: [],
  setUp: async () => ({ command: [process.execPath, '--import=tsx', driver('driver.ts')] }),
  lacks: {},
}

let programs: Programs | undefined
const c: Language = {
  id: 'c',
  title: 'C',
  needs: ['cargo', 'cc', 'pkg-config', 'libcjson-dev'],
  async setUp() {
    programs = await Programs.start()
    return { command: [await programs.program(driver('driver.c'), '-lcjson')] }
  },
  tearDown: () => programs?.end(),
  lacks: {},
}

let csharps: DotnetPrograms | undefined
const csharp: Language = {
  id: 'csharp',
  title: 'C#',
  needs: ['cargo', 'python3'],
  async setUp() {
    csharps = await DotnetPrograms.start()
    const program = await csharps.compiled('Driver', [driver('Driver.cs')])
    return { command: [csharps.tools.command, program], env: csharps.tools.env }
  },
  tearDown: () => csharps?.end(),
  lacks: {},
}

let wheel: Wheel | undefined
const python: Language = {
  id: 'python',
  title: 'Python',
  needs: ['cargo', 'python3'],
  async setUp() {
    wheel = await Wheel.build()
    return { command: [await wheel.installed(), '-X', 'dev', driver('driver.py')] }
  },
  tearDown: () => wheel?.end(),
  lacks: {},
}

let javas: JavaPrograms | undefined
const java: Language = {
  id: 'java',
  title: 'Java',
  needs: ['cargo', 'java', 'mvn'],
  async setUp() {
    javas = await JavaPrograms.start()
    const sources = ['', 'Kit', 'Producer', 'Consumer', 'Admin'].map(part => driver(`Driver${part}.java`))
    const path = await javas.compiled('driver', sources)
    // So that memory and threads that are told are those that are needed: the heap shrinks when garbage is collected, and compilers stay.
    const heap = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:MinHeapFreeRatio=20', '-XX:MaxHeapFreeRatio=40']
    return { command: ['java', ...heap, '-XX:-UseDynamicNumberOfCompilerThreads', '-cp', path, 'Driver'] }
  },
  tearDown: () => javas?.end(),
  lacks: {},
}

export const languages: readonly Language[] = [typescript, python, java, c, csharp]
