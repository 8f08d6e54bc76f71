// The scenarios: what each measures, with how many records, and what every client is asked for. One place for all of it.

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** Records per round, warm-up included, as a share of the 100-byte count: larger ones take longer. */
const share = { 100: 1, 1024: 0.2, 10240: 0.02 }

/**
 * Fields of a scenario:
 * - `mode`: what the client's program is asked for; `flags` go with it
 * - `records`: measured records of 100 bytes for a client of pace 1 (see clients.mjs); `warmup`: before them
 * - `reads`: the topic is filled before; `pace`: which of a client's paces says how much fewer records it gets
 * - `of`: for a scenario that is several others, their names
 */
export const scenarios = {
  produce: {
    title: 'batches of 1,000 per call, 6 partitions, no keys',
    mode: 'produce',
    records: 5_000_000,
    warmup: 500_000,
    pace: 'produce',
  },
  'produce-keyed': {
    title: 'the same with keys of 8 bytes, 10,000 different ones',
    mode: 'produce',
    flags: { keyed: 1 },
    records: 5_000_000,
    warmup: 500_000,
    pace: 'produce',
  },
  'produce-strings': {
    title: 'the same without keys; values are strings where a client takes them (JavaScript)',
    mode: 'produce',
    flags: { strings: 1 },
    records: 5_000_000,
    warmup: 500_000,
    pace: 'produce',
  },
  'produce-enqueue': {
    title: 'one call per record without a promise: tryEnqueue; the others’ cheapest call',
    mode: 'enqueue',
    records: 5_000_000,
    warmup: 500_000,
    pace: 'produce',
  },
  'produce-enqueue-strings': {
    title: 'the same; values are strings where a client takes them (JavaScript)',
    mode: 'enqueue',
    flags: { strings: 1 },
    records: 5_000_000,
    warmup: 500_000,
    pace: 'produce',
  },
  'produce-single': {
    title: 'one send per record, 1,000 under way',
    mode: 'single',
    flags: { window: 1_000 },
    records: 5_000_000,
    warmup: 200_000,
    pace: 'single',
  },
  'produce-sequential': {
    title: 'each send awaited before the next; latency',
    mode: 'sequential',
    records: 20_000,
    warmup: 2_000,
    codec: 'none',
    pace: 'sequential',
    latency: true,
  },
  'produce-acks0': {
    title:
      'acks 0, a value of 3 bytes, each send awaited; the time ends with a flush, the count on the broker is checked',
    mode: 'sequential',
    flags: { acks: '0', tiny: 1 },
    records: 100_000,
    warmup: 10_000,
    codec: 'none',
    pace: 'acks0',
    latency: true,
  },
  consume: {
    title: 'record by record, each value looked at',
    mode: 'consume',
    reads: true,
    records: 5_000_000,
    warmup: 500_000,
    pace: 'consume',
  },
  'consume-batches': {
    title: 'by the client’s call for many records',
    mode: 'consume-batches',
    reads: true,
    records: 5_000_000,
    warmup: 500_000,
    pace: 'consume',
  },
}

/** The cases that a command asks for: scenarios with their size and codec settled. */
export function casesOf(name, { bytes, codec, records }) {
  const scenario = scenarios[name]
  if (!scenario) throw new Error(`no scenario ${name}; there are: ${Object.keys(scenarios).join(', ')}`)
  if (codec !== undefined && !codecs.includes(codec)) throw new Error(`--codec ${codec}: one of ${codecs.join(', ')}`)
  if (!(bytes in share)) throw new Error(`--bytes ${bytes}: one of ${Object.keys(share).join(', ')}`)
  const size = scenario.flags?.tiny ? 3 : bytes
  const factor = scenario.latency ? 1 : share[bytes]
  return [
    {
      ...scenario,
      name,
      bytes: size,
      codec: codec ?? scenario.codec ?? 'lz4',
      partitions: 6,
      records: records ?? Math.round(scenario.records * factor),
      warmup: Math.min(Math.round(scenario.warmup * factor), Math.ceil((records ?? Number.POSITIVE_INFINITY) / 4)),
      given: records !== undefined,
    },
  ]
}
