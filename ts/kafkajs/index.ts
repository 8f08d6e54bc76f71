/**
 * kafkajs' API (2.2.4) on Dohle's engine: a program moves by changing its import. What differs is in docs/migrating.md.
 *
 * The names, types and texts of this API are those of kafkajs, © 2018 Túlio Ornelas, MIT licence; see NOTICE.
 */
import * as kafkajs from './api.ts'

export * from './api.ts'
// biome-ignore lint/style/noDefaultExport: `import kafkajs from 'kafkajs'` is how ES modules often have it, as it is CommonJS
export { kafkajs as default }
