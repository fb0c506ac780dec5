// What many measurements say together.

const RESAMPLES = 2000;

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The 95 % interval of the median, by the percentile bootstrap (Efron 1979). The same values give the same interval. */
export function spread(values) {
  let state = 1;
  // Numerical Recipes' linear congruential generator.
  const below = (count) => Math.floor(((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32) * count);
  const medians = Array.from({ length: RESAMPLES }, () => median(values.map(() => values[below(values.length)])));
  medians.sort((a, b) => a - b);
  return [medians[Math.floor(RESAMPLES * 0.025)], medians[Math.ceil(RESAMPLES * 0.975) - 1]];
}
