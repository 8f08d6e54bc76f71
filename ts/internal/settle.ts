/**
 * Waiting that always ends.
 */

/**
 * Settles as `promise` does, or resolves after `ms` (none: never by time). `grace` is added to `ms`, for work that has
 * the same limit itself.
 */
export async function settleWithin(promise: Promise<unknown>, ms: number | undefined, grace = 0): Promise<void> {
  if (ms === undefined) {
    await promise
    return
  }
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>(resolve => {
    timer = setTimeout(resolve, Math.min(ms + grace, 0x7fffffff))
  })
  try {
    await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
