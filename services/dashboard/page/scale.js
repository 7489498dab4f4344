// Axes and smoothing. Pure functions.

// Round values from about `low` to about `high`, at most about `count` of them.
export function ticks(low, high, count = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => (high - low) / s <= 1.3 * count);
  const list = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i) list.push(Number((i * step).toPrecision(12)));
  return list;
}

export function logTicks(low, high) {
  const list = [];
  const decades = Math.log10(high / low);
  const factors = decades > 3 ? [1] : decades > 1 ? [1, 3] : [1, 2, 5];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); ++e)
    for (const f of factors) {
      const value = Number(`${f}e${e}`);
      if (value >= low * 0.999 && value <= high * 1.001) list.push(value);
    }
  return list.length > 1 ? list : [low, high];
}

// The range that a chart shows; null when there is nothing to show.
export function range(values, logarithmic) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null || !Number.isFinite(value) || (logarithmic && value <= 0)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return null;
  if (logarithmic) return low === high ? [low / 1.5, high * 1.5] : [low, high];
  const room = low === high ? Math.abs(low) * 0.1 || 1 : (high - low) * 0.04;
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

// Exponential moving average with TensorBoard's correction of the first values; gaps stay gaps.
export function smooth(values, weight) {
  if (!(weight > 0)) return values;
  let last = 0;
  let count = 0;
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) return null;
    last = last * weight + (1 - weight) * value;
    ++count;
    return last / (1 - weight ** count);
  });
}

// The index of the step nearest to `step`; `steps` grow.
export function nearest(steps, step) {
  let low = 0;
  let high = steps.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) low = middle + 1;
    else high = middle;
  }
  return low > 0 && step - steps[low - 1] <= steps[low] - step ? low - 1 : low;
}
