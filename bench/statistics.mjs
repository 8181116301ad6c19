/** The values of some quantiles of a list of numbers, or nulls of an empty one. */
export function quantiles(list) {
  const sorted = Float64Array.from(list).sort()
  const at = (share) =>
    sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99) }
}

/** The median of those that are numbers, or null when none is. */
export function median(list) {
  const sorted = list.filter(Number.isFinite).sort((a, b) => a - b)
  if (sorted.length === 0) return null
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
