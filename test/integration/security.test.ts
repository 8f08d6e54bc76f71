/** TLS and SASL against a real Apache Kafka. */
import { SecureKafka } from '../../scripts/kafka-secure.mjs'
import { securityCases } from '../security-cases.ts'

securityCases('security with Apache Kafka', properties => SecureKafka.start({ properties }))
