// Numbers, times and states as text. Pure functions.

export const ACTIVE = ['VALIDATING', 'QUEUED', 'STARTING', 'RUNNING', 'CHECKPOINTING', 'PAUSING', 'PAUSED', 'RECOVERING', 'CANCELLING'];
export const ENDED = ['SUCCEEDED', 'FAILED', 'CANCELLED'];
export const hasEnded = (job) => ENDED.includes(job.state);

const known = (x) => typeof x === 'number' && Number.isFinite(x);
export const NONE = '–';

// 0.01234 -> "0.0123", 1234567 -> "1.23M": three digits that count.
export function number(x) {
  if (!known(x)) return NONE;
  const size = Math.abs(x);
  if (size === 0) return '0';
  for (const [limit, unit] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e4, 'k']])
    if (size >= limit) return trim(x / (unit === 'k' ? 1e3 : limit)) + unit;
  if (size < 1e-3) return x.toExponential(2);
  return trim(x);
}

// Without zeros at the end, for axes.
export const short = (x) => number(x).replace(/(\.\d*?)0+(?=e|[kMGT]?$)/, '$1').replace(/\.(?=e|[kMGT]?$)/, '');

function trim(x) {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(x))));
  return x.toFixed(Math.min(digits, 6));
}

export const whole = (x) => (known(x) ? Math.round(x).toLocaleString('en-US') : NONE);
export const percent = (x, digits = 0) => (known(x) ? `${(100 * x).toFixed(digits)} %` : NONE);

export function bytes(x) {
  if (!known(x)) return NONE;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  for (; x >= 1024 && i + 1 < units.length; ++i) x /= 1024;
  return `${i === 0 ? x : trim(x || 0)} ${units[i]}`;
}

export function duration(seconds) {
  if (!known(seconds)) return NONE;
  const s = Math.max(0, seconds);
  if (s === 0) return '0 s';
  if (s < 1e-2) return `${Number((1000 * s).toPrecision(2))} ms`;
  if (s < 1) return `${Math.round(1000 * s)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  const whole = Math.round(s);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

export const secondsSince = (time, now = Date.now()) => (time ? Math.max(0, (now - Date.parse(time)) / 1000) : NaN);

const two = (x) => String(x).padStart(2, '0');
export function clock(date) {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
// In the reader's time zone: "2026-11-23 21:55:03".
export function moment(time) {
  if (!time) return NONE;
  const d = new Date(time);
  if (Number.isNaN(d.getTime())) return NONE;
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(d)}`;
}

// RUNNING -> "Running".
export const word = (name) => (name ? name[0] + name.slice(1).toLowerCase().replaceAll('_', ' ') : NONE);
export const counted = (n, one, many = `${one}s`) => `${whole(n)} ${n === 1 ? one : many}`;

// A folder's last part.
export const leaf = (path) => (path ? path.replace(/\/+$/, '').split('/').pop() : NONE);
