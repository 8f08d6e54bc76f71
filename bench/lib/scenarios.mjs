// The scenarios: what each measures, with how many records, and what every client is asked for. One place for all of it.

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** Records per round, warm-up included, as a share of the 100-byte count: larger ones take longer. */
const share = { 100: 1, 1024: 0.2, 10240: 0.02 }

/**
 * Fields of a scenario:
 * - `mode`: what the client's program is asked for; `flags` go with it
 * - `records`: measured records of 100 bytes for a client of pace 1 (see clients.mjs); `warmup`: before them
 * - `reads`: the topic is filled before; `pace`: which of a client's paces says how much fewer records it gets
 * - `rounds`: when the command names none (5)
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
  'end-to-end': {
    title: 'open loop, from send to handler in one process, 10,000 records/s for 20 s',
    mode: 'end-to-end',
    flags: { rate: 10_000, seconds: 20 },
    records: 200_000,
    warmup: 20_000,
    latency: true,
  },
  fan: {
    title: '100 producers and 100 consumers, each with a client of its own, in one process',
    mode: 'fan',
    flags: { clients: 100 },
    partitions: 100,
    records: 1_000_000,
    warmup: 0,
  },
  'event-loop': {
    title: 'delay of the event loop while consuming at full speed, less that of an idle loop (p99)',
    mode: 'event-loop',
    reads: true,
    records: 5_000_000,
    warmup: 500_000,
    pace: 'consume',
    clients: ['dohle', 'platformatic', 'kafkajs', 'confluent-kafka-javascript'],
  },
  codecs: {
    title: 'produce and consume with each codec, 100 bytes and 1 KiB',
    of: ['produce', 'consume'],
    records: 1_000_000,
  },
  soak: {
    title: 'produce and consume at once for ten minutes (--minutes); resident memory per minute',
    mode: 'soak',
    flags: { seconds: 600 },
    rounds: 1,
    warmup: 0,
    topicConfig: { 'retention.bytes': 268_435_456, 'segment.bytes': 67_108_864 },
    clients: ['dohle'],
  },
}

/** The cases that a command asks for: scenarios with their size and codec settled. */
export function casesOf(name, wanted) {
  const scenario = scenarios[name]
  if (!scenario) throw new Error(`no scenario ${name}; there are: ${Object.keys(scenarios).join(', ')}`)
  const { bytes, codec, records } = wanted
  if (codec !== undefined && !codecs.includes(codec)) throw new Error(`--codec ${codec}: one of ${codecs.join(', ')}`)
  if (bytes !== undefined && !(bytes in share))
    throw new Error(`--bytes ${bytes}: one of ${Object.keys(share).join(', ')}`)
  if (!scenario.of) return [settled(name, scenario, wanted)]
  const combined = []
  for (const size of bytes === undefined ? [100, 1024] : [bytes]) {
    for (const one of codec === undefined ? codecs : [codec]) {
      for (const part of scenario.of) {
        const given = { ...wanted, bytes: size, codec: one, records: records ?? scenario.records * share[size] }
        combined.push(settled(part, scenarios[part], given))
      }
    }
  }
  return combined
}

function settled(name, scenario, { bytes = 100, codec, records, minutes }) {
  const { flags = {}, latency, partitions = 6 } = scenario
  const factor = latency ? 1 : share[bytes]
  const count = records ?? Math.round((scenario.records ?? 0) * factor)
  const warmup = Math.min(Math.round(scenario.warmup * factor), Math.ceil(count / 4))
  const one = { ...scenario, name, bytes: flags.tiny ? 3 : bytes, codec: codec ?? scenario.codec ?? 'lz4', partitions }
  if (flags.rate) one.flags = { ...flags, seconds: Math.max(1, Math.round(count / flags.rate)) }
  if (scenario.mode === 'soak') one.flags = { ...flags, seconds: minutes === undefined ? flags.seconds : minutes * 60 }
  const rounded = flags.rate ? one.flags.seconds * flags.rate : flags.clients ? roundTo(count, flags.clients) : count
  return { ...one, records: rounded, warmup, given: records !== undefined }
}

const roundTo = (count, part) => Math.max(part, Math.round(count / part) * part)
