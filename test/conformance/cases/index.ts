/** The whole table. */
import type { Case } from '../harness.ts'
import * as admin from './admin.ts'
import * as errors from './errors.ts'
import * as flow from './flow.ts'
import * as groups from './groups.ts'
import * as life from './life.ts'
import * as reading from './reading.ts'
import * as records from './records.ts'
import * as transactions from './transactions.ts'

/** The cases by chapter, in the order of the report. */
export const chapters: readonly (readonly [title: string, cases: readonly Case[]])[] = [
  ['Records', records.cases],
  ['Reading', reading.cases],
  ['Errors', errors.cases],
  ['Transactions', transactions.cases],
  ['Groups', groups.cases],
  ['Administration, and the values that cross', admin.cases],
  ['Life and death', life.cases],
  ['Much, slow, cancelled', flow.cases],
]

export const cases: readonly Case[] = chapters.flatMap(([, list]) => list)
