/** Writes docs/conformance.md: which case is done by which language. By hand: node --import=tsx test/conformance/report.ts */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from '../../scripts/lib/paths.mjs'
import { chapters } from './cases/index.ts'
import type { Case, Step } from './harness.ts'
import { type Language, languages } from './languages.ts'

/** Where it is. */
export const file = join(root, 'docs', 'conformance.md')

const head = `# One behaviour in every language

Generated from \`test/conformance\`; \`npm test -- wrappers\` runs it, in each language through its usual API. ✓: done on the embedded broker. ✓✓: and
on Apache Kafka 4.3.1 (\`npm test -- integration\`). A number: the note below says what the language does not have.

Beside these cases, what each language writes, with every codec, each other one reads, byte for byte; keys land in the same partitions, and where
Java's own client puts them.
`

/** The page. */
export function report(): string {
  const notes: string[] = []
  const note = (text: string) => {
    if (!notes.includes(text)) notes.push(text)
    return notes.indexOf(text) + 1
  }
  const cell = (of: Case, { title, lacks }: Language) => {
    const missing = [of.name, ...operations(of.steps)].filter(name => name in lacks)
    if (missing.length === 0) return of.kafka ? '✓✓' : '✓'
    return missing.map(name => `– ${note(`${title}: ${lacks[name]}`)}`).join(' ')
  }
  const tables = chapters.flatMap(([title, cases]) => [
    `## ${title}`,
    '',
    `| Case | ${languages.map(({ title }) => title).join(' | ')} |`,
    `|---|${languages.map(() => '---|').join('')}`,
    ...cases.map(of => `| ${of.name} | ${languages.map(language => cell(of, language)).join(' | ')} |`),
    '',
  ])
  const list = notes.length > 0 ? ['## Notes', '', ...notes.map((text, at) => `${at + 1}. ${text}`), ''] : []
  return [head, ...tables, ...list].join('\n')
}

/** What a case asks of a driver. */
function operations(steps: readonly Step[]): string[] {
  const found = steps.flatMap(step => {
    if ('do' in step) return [step.do]
    if ('together' in step) return operations(step.together)
    if ('repeat' in step) return operations(step.repeat)
    if ('drive' in step) return ['consume', ...operations(step.until)]
    return []
  })
  return [...new Set(found)]
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, report())
