/**
 * Options of security on their way to the engine: bytes become text, and the functions that give tokens and credentials stay
 * here. No error quotes a value: it may be a secret.
 */
import type { AwsCredentialsProvider, TlsMaterial, Token, TokenProvider } from '../security.ts'
import { bagOf, reading, refuseUnknown } from './arguments.ts'
import { invalid, kindOf } from './failure.ts'

/** Options whose values are PEM or secrets, by the beginning of their names. */
const OURS = /^(ssl|sasl|tls|https)[.A-Z]/
/** Both names of the option that may be a function. */
const TOKENS = ['sasl.token', 'sasl.oauthbearer.token']
/** What tells the engine that there is such a function: `native/bridge/src/tokens.rs`. */
const GIVES_TOKENS = 'gives tokens'
/** The one that is a function only. */
const CREDENTIALS = 'sasl.awsCredentials'
/** What tells the engine that there is such a function: `native/bridge/src/aws.rs`. */
const GIVES_CREDENTIALS = 'gives AWS credentials'

/** See the module. */
export class Security {
  /** The options, with text in place of bytes and without the function. */
  readonly options: Record<string, unknown> = {}
  #provider: TokenProvider | undefined
  #credentials: AwsCredentialsProvider | undefined

  constructor(options: object) {
    const bag = bagOf(options)
    for (const name of reading('options', () => Object.keys(bag))) {
      const value = reading(name, () => bag[name])
      if (name === 'tls' || name === 'sasl') this.options[name] = this.#nested(value, name)
      else if (OURS.test(name)) this.#set(this.options, name, value, name)
      else this.options[name] = value
    }
    if (this.#provider !== undefined) this.options[GIVES_TOKENS] = true
    if (this.#credentials !== undefined) this.options[GIVES_CREDENTIALS] = true
  }

  /** Answers a question of the engine's. */
  answer(name: string): Promise<unknown> {
    return name === 'awsCredentials' ? this.#askForCredentials() : this.#askForToken()
  }

  async #askForCredentials(): Promise<unknown> {
    if (this.#credentials === undefined) throw new Error(`there is no ${CREDENTIALS} to ask`)
    const given: unknown = await this.#credentials()
    if (typeof given !== 'object' || given === null)
      throw new Error(`${CREDENTIALS} gave ${kindOf(given)}, not credentials`)
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = given as Record<string, unknown>
    return {
      accessKeyId,
      secretAccessKey,
      sessionToken,
      expiresAt: expiration instanceof Date ? +expiration : expiration,
    }
  }

  async #askForToken(): Promise<Token> {
    if (this.#provider === undefined) throw new Error('there is no sasl.token to ask')
    const given = await this.#provider()
    if (typeof given === 'string') return { value: given }
    if (typeof given !== 'object' || given === null) throw new Error(`sasl.token gave ${kindOf(given)}, not a token`)
    const { value, expiresAt, extensions } = given
    // JSON would make null of it: a token that says nothing of its end.
    if (typeof expiresAt === 'number' && !Number.isFinite(expiresAt))
      throw new Error(`expiresAt of what sasl.token gave is ${expiresAt}, not milliseconds since 1970`)
    return { value, expiresAt, extensions }
  }

  #nested(value: unknown, path: string): unknown {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Array.isArray(value)) return value
    return reading(path, () => {
      const members: Record<string, unknown> = {}
      for (const [name, member] of Object.entries(value))
        this.#set(members, name, member, `${path}.${name.slice(0, 60)}`)
      return members
    })
  }

  #set(target: Record<string, unknown>, name: string, value: unknown, path: string): void {
    if (path === CREDENTIALS) {
      if (value === undefined || value === null) return
      if (typeof value !== 'function') throw invalid(path, `is ${kindOf(value)}, not a function that gives credentials`)
      this.#credentials = value as AwsCredentialsProvider
    } else if (typeof value === 'function' && TOKENS.includes(path)) this.#provider = value as TokenProvider
    else target[name] = value instanceof Uint8Array ? textOf(value, path) : value
  }
}

/** Certificates and keys as text. */
export function tlsMaterial(given: TlsMaterial): TlsMaterial {
  const bag = bagOf(given, 'material')
  refuseUnknown(bag, ['ca', 'cert', 'key', 'passphrase'], 'material')
  const member = (name: keyof TlsMaterial) =>
    reading(name, () => {
      const value = bag[name] as string | Uint8Array | undefined
      return value instanceof Uint8Array ? textOf(value, name) : value
    })
  return { ca: member('ca'), cert: member('cert'), key: member('key'), passphrase: member('passphrase') }
}

function textOf(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw invalid(path, 'is bytes that are no text in UTF-8; certificates and keys are wanted in PEM')
  }
}
