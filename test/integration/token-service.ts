/**
 * A token service for tests: a token endpoint behind TLS that knows a client by its secret or by an assertion, and the keys of its
 * tokens, at another URL, for brokers.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'

/** A request as it came. */
export interface Asked {
  headers: IncomingMessage['headers']
  form: Record<string, string>
}

/** See the module. */
export class TokenService {
  readonly #server
  readonly #keys
  readonly #pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
  /** The requests for tokens so far. */
  readonly asked: Asked[] = []
  /** How many tokens were given. */
  given = 0
  /** How long tokens live. */
  lifetimeMs = 60_000
  /** For whom tokens are. */
  audience = 'kafka'
  /** Client ids and secrets. */
  readonly clients: Record<string, string> = {}
  /** The public keys of those who may vouch, by the id of the key. */
  readonly vouchers: Record<string, KeyObject> = {}
  /** What the next requests are answered with instead of a token. */
  readonly failures: number[] = []

  constructor(identity: { cert: string; key: string }) {
    this.#server = createHttps(identity, (request, response) => void this.#answer(request, response))
    const jwk = { ...this.#pair.publicKey.export({ format: 'jwk' }), kid: 'of-tests', use: 'sig', alg: 'RS256' }
    this.#keys = createHttp((_, response) => json(response, 200, { keys: [jwk] }))
  }

  async start(): Promise<this> {
    for (const server of [this.#server, this.#keys]) await once(server.listen(0, '127.0.0.1'), 'listening')
    return this
  }

  /** The token endpoint. */
  get url(): string {
    return `https://localhost:${(this.#server.address() as AddressInfo).port}/token`
  }

  /** Where a broker finds the keys. */
  get jwks(): string {
    return `http://127.0.0.1:${(this.#keys.address() as AddressInfo).port}/jwks`
  }

  async stop(): Promise<void> {
    for (const server of [this.#server, this.#keys]) {
      server.closeAllConnections()
      await once(server.close(), 'close')
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const part of request.setEncoding('utf8')) body += part
    const form = Object.fromEntries(new URLSearchParams(body))
    this.asked.push({ headers: request.headers, form })
    const failure = this.failures.shift()
    if (failure !== undefined) return json(response, failure, { error: 'temporarily_unavailable' })
    const subject = this.#whoAsks(request, form)
    if (subject === undefined) return json(response, 401, { error: 'invalid_client' })
    const now = Math.floor(Date.now() / 1000)
    const exp = now + this.lifetimeMs / 1000
    const claims = { sub: subject, aud: this.audience, iss: 'tests', iat: now, exp, scope: form.scope }
    const head = `${part({ alg: 'RS256', kid: 'of-tests' })}.${part(claims)}`
    const signature = sign('sha256', Buffer.from(head), this.#pair.privateKey).toString('base64url')
    this.given++
    json(response, 200, {
      access_token: `${head}.${signature}`,
      token_type: 'Bearer',
      expires_in: Math.floor(this.lifetimeMs / 1000),
    })
  }

  #whoAsks(request: IncomingMessage, form: Record<string, string>): string | undefined {
    const assertion = form.assertion ?? form.client_assertion
    if (assertion !== undefined) return this.#vouchedFor(assertion)
    const basic = /^Basic (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    const [id, secret] = Buffer.from(basic, 'base64').toString().split(':')
    return id && this.clients[id] === secret ? id : undefined
  }

  #vouchedFor(assertion: string): string | undefined {
    const [head, claims, signature] = assertion.split('.') as [string, string, string]
    const { alg, kid } = parsed(head)
    const { sub, aud, exp, nbf } = parsed(claims)
    const now = Date.now() / 1000
    const key = this.vouchers[kid]
    if (key === undefined || aud !== this.url || exp < now || nbf > now) return undefined
    const how = alg === 'ES256' ? ({ key, dsaEncoding: 'ieee-p1363' } as const) : key
    const isGood = verify('sha256', Buffer.from(`${head}.${claims}`), how, Buffer.from(signature, 'base64url'))
    return isGood ? sub : undefined
  }
}

/** Who may vouch: a private key in PEM, and its public half. */
export function voucher(kind: 'rsa' | 'ec', passphrase?: string): { key: string; publicKey: KeyObject } {
  const { privateKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const encryption = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }
  const key = privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption }) as string
  return { key, publicKey: createPublicKey(privateKey) }
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

// biome-ignore lint/suspicious/noExplicitAny: claims of a JWT
function parsed(text: string): any {
  return JSON.parse(Buffer.from(text, 'base64url').toString())
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
