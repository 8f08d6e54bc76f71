/** The part of the table of behaviour (test/conformance) that is about Kafka itself, in every language, on real Apache Kafka. */
import { after, before } from 'node:test'
import { across } from '../conformance/across.ts'
import { cases } from '../conformance/cases/index.ts'
import { languagesDo } from '../conformance/run.ts'
import { javaClient } from './peers/java.ts'
import { realKafka, type Server } from './servers.ts'

let kafka: Server
before(async () => {
  kafka = await realKafka()
})
after(() => kafka?.stop())

languagesDo(
  cases.filter(of => of.kafka),
  async () => ({ bootstrap: kafka.bootstrap }),
)
across(() => kafka.bootstrap, javaClient)
