/** Writes docs/strangers.md: which case is proved by which stranger. By hand: node --import=tsx test/strangers/report.ts */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from '../../scripts/lib/paths.mjs'
import { strangers } from './strangers.ts'
import { cases } from './table.ts'

/** Where it is. */
export const file = join(root, 'docs', 'strangers.md')

const head = `# The embedded broker and other people's clients

Generated from \`test/strangers\`; \`npm test -- strangers\` runs it. Every case is done by every client that can do it, against the
embedded broker and against Apache Kafka 4.3.1, with the same result, which is the one that the case demands.
✓: the whole of it. A number: the note below says what the client cannot do or see.
`

/** The page. */
export function report(): string {
  const notes: string[] = []
  const note = (text: string) => {
    if (!notes.includes(text)) notes.push(text)
    return notes.indexOf(text) + 1
  }
  const rows = cases.map(({ id, only }) => {
    const cells = strangers.map(({ id: stranger, title, cannot, blind }) => {
      if (only && only !== stranger) return ''
      if (cannot[id]) return `– ${note(`${title}: ${cannot[id]}`)}`
      // One note for all that is not seen for the same reason.
      const unseen = [...new Set(Object.values(blind?.[id] ?? {}))].map(why => {
        const what = Object.keys(blind?.[id] ?? {}).filter(key => blind?.[id]?.[key] === why)
        return note(`${title}: not seen ${what.map(key => `\`${key}\``).join(', ')}: ${why}`)
      })
      return ['✓', ...unseen].join(' ')
    })
    return `| \`${id}\` | ${cells.join(' | ')} |`
  })
  const titles = `| Case | ${strangers.map(({ title }) => title).join(' | ')} |`
  const line = `|---|${strangers.map(() => '---|').join('')}`
  const list = notes.map((text, at) => `${at + 1}. ${text}`)
  const proofs = cases.map(({ id, proves }) => `- \`${id}\`: ${proves}`)
  return [
    head,
    titles,
    line,
    ...rows,
    '',
    '## Notes',
    '',
    ...list,
    '',
    '## What the cases prove',
    '',
    ...proofs,
    '',
  ].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, report())
