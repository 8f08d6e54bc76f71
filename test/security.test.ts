/** TLS and SASL against the embedded broker. */
import { SecureBroker } from './secure-broker.ts'
import { securityCases } from './security-cases.ts'

securityCases('security with the embedded broker', properties => SecureBroker.start({ properties }))
