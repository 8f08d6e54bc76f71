import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Kafka } from '../ts/index.ts'
import { numbers, setUp, take, unique } from './support.ts'

interface Family {
  type: string
  samples: Map<string, number>
}

/**
 * Reads exposition format 0.0.4 as strictly as `promtool check metrics`: names and labels well formed, HELP and TYPE once and in front of
 * their samples, no sample twice, counters end with `_total`, buckets grow up to the count, base units.
 */
function parse(text: string): Map<string, Family> {
  assert.ok(text.endsWith('\n'))
  const families = new Map<string, Family>()
  let family: { name: string } & Family = { name: '', type: '', samples: new Map() }
  let help = ''
  for (const line of text.slice(0, -1).split('\n')) {
    if (line.startsWith('# HELP ')) {
      const found = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (\S.*)$/.exec(line)
      assert.ok(found, line)
      help = found[1]!
      continue
    }
    if (line.startsWith('# TYPE ')) {
      const [, name, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? assert.fail(line)
      assert.equal(name, help, 'TYPE follows its HELP')
      assert.ok(!families.has(name!), `${name} is there twice`)
      assert.equal(name!.endsWith('_total'), type === 'counter', line)
      assert.doesNotMatch(name!, /(milli|micro)seconds|_ms|_count|_sum|_bucket/)
      family = { name: name!, type: type!, samples: new Map() }
      families.set(name!, family)
      continue
    }
    const label = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"`
    const sample = new RegExp(String.raw`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{${label}(?:,${label})*\})? (\S+)$`).exec(line)
    assert.ok(sample, `no sample: ${line}`)
    const [, name, labels = '', value] = sample
    const suffix = name!.slice(family.name.length)
    assert.ok(name!.startsWith(family.name), `${line} under ${family.name}`)
    assert.ok(family.type === 'histogram' ? /^_(bucket|sum|count)$/.test(suffix) : suffix === '', line)
    assert.ok(!family.samples.has(name! + labels), `twice: ${line}`)
    assert.ok(Number.isFinite(Number(value)), line)
    family.samples.set(name! + labels, Number(value))
  }
  for (const [name, { type, samples }] of families) if (type === 'histogram') checkBuckets(name, samples)
  return families
}

function checkBuckets(name: string, samples: Map<string, number>): void {
  const last = new Map<string, number>()
  for (const [sample, value] of samples) {
    const found = /^(.*)_bucket(\{.*),le="([^"]+)"\}$/.exec(sample)
    if (found === null) continue
    const series = found[2]!
    assert.ok(value >= (last.get(series) ?? 0), `${sample} shrinks`)
    last.set(series, value)
    if (found[3] === '+Inf') assert.equal(value, samples.get(`${name}_count${series}}`), sample)
  }
  assert.ok(last.size > 0)
}

describe('kafka.metrics()', () => {
  const context = setUp()

  test('is valid exposition format with what was done, whatever is in the names', async () => {
    const topic = await numbers(context.kafka, 0, 2)
    await using kafka = new Kafka({ brokers: context.broker.address, clientId: 'odd "name" \\ of\na client' })
    const producer = kafka.producer()
    await producer.sendBatch({
      topic,
      messages: Array.from({ length: 10 }, (_, n) => ({ partition: n % 2, value: 'v' })),
    })
    const consumer = kafka.consumer({ groupId: unique('group'), autoOffsetReset: 'earliest' })
    await consumer.subscribe(topic)
    await take(consumer, 10)
    const families = parse(await kafka.metrics())
    const sum = (name: string) => [...families.get(name)!.samples.values()].reduce((total, value) => total + value, 0)
    assert.equal(sum('dohle_producer_sent_records_total'), 10)
    assert.equal(sum('dohle_producer_acknowledged_records_total'), 10)
    assert.equal(sum('dohle_consumer_received_records_total'), 10)
    assert.equal(sum('dohle_consumer_partition_lag_records'), 0)
    assert.equal(sum('dohle_consumer_assigned_partitions'), 2)
    assert.equal(sum('dohle_consumer_rebalances_total'), 1)
    assert.ok(families.get('dohle_broker_round_trip_seconds'))
    const [first] = families.get('dohle_producer_sent_records_total')!.samples.keys()
    const id = String.raw`odd \"name\" \\ of\na client`
    assert.equal(first, `dohle_producer_sent_records_total{client_id="${id}",name="${id}#producer-1"}`)
    for (const [name, { samples }] of families)
      for (const sample of samples.keys()) assert.doesNotMatch(sample, /(key|offset|error)="/, name)
    // Asked for again, counters are no less: windows of `statistics()` do not touch them.
    await kafka.statistics()
    const again = parse(await kafka.metrics())
    for (const [name, { type, samples }] of families)
      if (type === 'counter')
        for (const [sample, value] of samples) assert.ok(again.get(name)!.samples.get(sample)! >= value, sample)
  })

  test('of a client that has nothing is nothing', async () => {
    await using kafka = new Kafka({ brokers: context.broker.address })
    assert.equal(await kafka.metrics(), '')
  })
})
