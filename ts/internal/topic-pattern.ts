/**
 * A subscription by `RegExp`. The engine asks which names match, so that the expression means what it means in JavaScript;
 * a broker that matches itself (KIP-848) is told it where it means the same there.
 */

/** See the module. */
export class TopicPattern {
  /** The request of `consumer.subscribe`. */
  readonly request: { topics: string[]; pattern: { source?: string; ignoreCase: boolean } }
  readonly #expression: RegExp

  constructor({ source, flags }: RegExp) {
    // `g` and `y` make an expression remember where it was.
    this.#expression = new RegExp(source, flags.replace(/[gy]/g, ''))
    const ignoreCase = flags.includes('i')
    // Sets of `v`, and cases of all of Unicode, are read differently elsewhere.
    const same = !flags.includes('v') && !(ignoreCase && flags.includes('u'))
    this.request = { topics: [], pattern: same ? { source, ignoreCase } : { ignoreCase } }
  }

  /** Those of these names that match. */
  matching(topics: string[]): string[] {
    return topics.filter(topic => this.#expression.test(topic))
  }
}
