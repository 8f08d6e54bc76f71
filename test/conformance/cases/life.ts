/** Objects are closed in every state, are of no use afterwards, and leave nothing behind. */
import { oneOf, something, values } from '../expect.ts'
import type { Ask, Case, Step } from '../harness.ts'
import { reader, sure, texts } from './records.ts'

const closed = { code: 'CLOSED' }
const close = (of: string, ms?: number): Ask => ({ do: 'close', of, ...(ms !== undefined && { ms }) })
const producer: Ask = { do: 'producer', name: 'p' }
const produce: Ask = { do: 'produce', of: 'p', records: texts('a') }
const here = { topic: '@', partition: 0 }
const member = (options = {}): readonly Ask[] => [
  { do: 'consumer', name: 'c', options: { 'group.id': '@-g', 'auto.offset.reset': 'earliest', ...options } },
  { do: 'subscribe', of: 'c', topics: ['@'] },
]
const waiting: Ask = { do: 'consume', of: 'c', count: 1, ms: sure, start: 'reading' }
/** Reading ends with what there is, or says that the consumer is closed: as the language has it. */
const ended: Step = { outcome: 'reading', gives: { records: [] }, fails: closed, either: true }
const hold = (api: 'Produce' | 'Fetch' | 'JoinGroup', when: 'before' | 'after' = 'after'): Step => ({
  fault: { api, count: 0, action: { kind: 'hold', when } },
  as: 'held',
})
const held: Step = { acted: 'held', times: 1 }
const nobody = { client: { 'bootstrap.servers': '127.0.0.1:1' } }

const states: readonly Case[] = [
  {
    name: 'closed before it was used: a producer, a consumer, an admin; and once more',
    steps: [
      producer,
      { do: 'consumer', name: 'c', options: { 'group.id': '@-g' } },
      { do: 'admin', name: 'a' },
      ...['p', 'c', 'a', 'a', 'c', 'p'].map(of => close(of)),
    ],
  },
  {
    name: 'closing a producer sends what it has',
    steps: [
      { ...producer, options: { 'linger.ms': 600_000, 'delivery.timeout.ms': 700_000 } },
      {
        fault: { api: 'Metadata', topic: '@', count: 0, action: { kind: 'delay', ms: 1, when: 'before' } },
        as: 'asked',
      },
      { ...produce, start: 'sent' },
      // Who asks for the topic's leaders has the record.
      { acted: 'asked', times: 1 },
      close('p'),
      { outcome: 'sent', gives: { results: [{ offset: 0 }] } },
    ],
  },
  {
    name: 'a producer is closed while the broker does not answer: the record’s fate is told',
    steps: [
      producer,
      hold('Produce'),
      { ...produce, start: 'sent' },
      held,
      close('p', 300),
      { outcome: 'sent', gives: { results: [{ error: { code: 'CLOSED', persistence: 'possibly-persisted' } }] } },
    ],
  },
  {
    name: 'a producer is closed while nobody can be reached: its record was not sent',
    steps: [
      { ...producer, ...nobody },
      { ...produce, start: 'sent' },
      { sleep: 300 },
      close('p', 0),
      { outcome: 'sent', gives: { results: [{ error: { code: 'CLOSED', persistence: 'not-persisted' } }] } },
    ],
  },
  {
    name: 'a consumer is closed while it waits for records',
    steps: [...reader(), waiting, { sleep: 300 }, close('c'), ended],
  },
  {
    name: 'a consumer is closed while it joins its group',
    steps: [hold('JoinGroup', 'before'), ...member(), waiting, held, close('c', 500), ended],
  },
  {
    name: 'a consumer is closed while its fetch is under way',
    steps: [...reader(), hold('Fetch'), waiting, held, close('c'), ended],
  },
  {
    name: 'a consumer is closed while nobody can be reached',
    steps: [
      { do: 'consumer', name: 'c', options: { 'group.id': '@-g' }, ...nobody },
      { do: 'subscribe', of: 'c', topics: ['@'] },
      { do: 'consume', of: 'c', count: 1, ms: 200, gives: { records: [] } },
      close('c', 500),
    ],
  },
  {
    name: 'all are closed after the broker has gone',
    steps: [
      producer,
      produce,
      ...member(),
      { do: 'consume', of: 'c', count: 1, ms: sure, gives: { records: values('a') } },
      { do: 'admin', name: 'a' },
      { do: 'listTopics', of: 'a' },
      { stop: true },
      close('p', 1000),
      // What was read cannot be committed any more: that may be said.
      { ...close('c', 1000), fails: { code: 'REQUEST_TIMED_OUT', retriable: true }, either: true },
      close('a', 1000),
    ],
  },
  {
    name: 'a member that is closed has left its group',
    steps: [
      ...member(),
      { drive: ['c'], until: [{ do: 'assignment', of: 'c', gives: { partitions: [here] } }] },
      close('c'),
      { do: 'admin', name: 'a' },
      { do: 'describeGroup', of: 'a', group: '@-g', gives: { members: 0 } },
    ],
  },
]

const asked = { fails: closed }
const used: readonly Case[] = [
  {
    name: 'a producer that is closed takes nothing more',
    steps: [
      { ...producer, options: { 'transactional.id': '@-id' } },
      close('p'),
      {
        ...produce,
        gives: { results: [{ error: { code: 'CLOSED', persistence: oneOf('not-persisted', null) } }] },
      },
      { do: 'flush', of: 'p', ...asked },
      { do: 'begin', of: 'p', ...asked },
    ],
  },
  {
    name: 'a consumer that is closed does nothing more',
    steps: [
      { do: 'consumer', name: 'c', options: { 'group.id': '@-g' } },
      close('c'),
      { do: 'subscribe', of: 'c', topics: ['@'], ...asked },
      { do: 'assign', of: 'c', partitions: [{ ...here, offset: 'earliest' }], ...asked },
      { do: 'seek', of: 'c', ...here, offset: 0, ...asked },
      { do: 'pause', of: 'c', partitions: [here], ...asked },
      { do: 'assignment', of: 'c', ...asked },
      { do: 'position', of: 'c', ...here, ...asked },
      { do: 'commit', of: 'c', offsets: [{ ...here, offset: 1 }], ...asked },
      { do: 'committed', of: 'c', partitions: [here], ...asked },
      { do: 'consume', of: 'c', count: 1, ms: 100, gives: { records: [] }, ...asked, either: true },
    ],
  },
  {
    name: 'an admin that is closed does nothing more',
    steps: [
      { do: 'admin', name: 'a' },
      close('a'),
      { do: 'listTopics', of: 'a', ...asked },
      { do: 'createTopics', of: 'a', topics: [{ topic: '@-1', partitions: 1 }], ...asked },
    ],
  },
]

const life: readonly Step[] = [
  producer,
  produce,
  ...member(),
  { do: 'consume', of: 'c', count: 1, ms: sure },
  { do: 'admin', name: 'a' },
  { do: 'listTopics', of: 'a' },
  close('p'),
  close('c'),
  close('a'),
]

const MB = 2 ** 20

const left: readonly Case[] = [
  {
    name: 'what was used and closed leaves no thread, no file and no memory behind',
    steps: [
      { repeat: life, times: 5 },
      { note: 'usage' },
      { repeat: life, times: 30 },
      { same: 'usage', grown: 32 * MB },
    ],
  },
  {
    name: '10,000 clients are opened and closed, and nothing is left of them',
    partitions: 0,
    steps: [
      { do: 'churn', count: 1000 },
      { note: 'usage' },
      { do: 'churn', count: 10_000 },
      { same: 'usage', grown: 48 * MB },
    ],
  },
  {
    name: 'an embedded broker is started from the language, used and stopped',
    partitions: 0,
    steps: [
      { do: 'broker', name: 'b', partitions: 3, keep: 'address', gives: { address: something } },
      { ...producer, client: { 'bootstrap.servers': '$address' } },
      {
        do: 'produce',
        of: 'p',
        records: [{ topic: '@', partition: 2, value: 'a' }],
        gives: { results: [{ offset: 0 }] },
      },
      { do: 'admin', name: 'a', client: { 'bootstrap.servers': '$address' } },
      { do: 'describeTopics', of: 'a', topics: ['@'], gives: { topics: [{ topic: '@', partitions: 3 }] } },
      close('p'),
      close('a'),
      close('b'),
      close('b'),
    ],
  },
]

export const cases: readonly Case[] = [...states, ...used, ...left]
