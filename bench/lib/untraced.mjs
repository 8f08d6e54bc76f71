// A loader for bench/tracing.mjs: what is imported with a mark such as `?untraced`, and everything that it imports of ours, is a copy of
// Dohle of its own; in `?untraced` the tracing channels are plain objects that nobody can subscribe to.

const UNTRACED = '?untraced'

/** Marks what a marked module imports. */
export async function resolve(specifier, context, next) {
  const resolved = await next(specifier, context)
  const isOurs = resolved.url.includes('/dist/') && !resolved.url.includes('/node_modules/')
  const mark = /\?\w+$/.exec(context.parentURL ?? '')?.[0]
  return isOurs && mark !== undefined && !resolved.url.includes('?')
    ? { ...resolved, url: resolved.url + mark }
    : resolved
}

/** Replaces the channels. */
export async function load(url, context, next) {
  const loaded = await next(url, context)
  if (!url.endsWith(`/internal/channels.js${UNTRACED}`)) return loaded
  const source = String(loaded.source)
  const replaced = source.replace(/tracingChannel\(`[^`]*`\)/, '({ hasSubscribers: false })')
  if (replaced === source) throw new Error('the channels are no longer made where they were')
  return { ...loaded, source: replaced }
}
