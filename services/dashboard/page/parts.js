// Small pieces that several pages show.
import { h } from './dom.js';
import { duration, moment, secondsSince, word, NONE, percent } from './format.js';

const TONES = {
  SUCCEEDED: 'good', FAILED: 'bad', CANCELLED: 'idle', RUNNING: 'live', CHECKPOINTING: 'live', RECOVERING: 'warn',
  PAUSED: 'idle', PAUSING: 'idle', CANCELLING: 'idle', QUEUED: 'wait', VALIDATING: 'wait', STARTING: 'wait',
  FREE: 'idle', BUSY: 'live', EXAMINING: 'wait', DRAINING: 'warn',
};
const SIGNS = { good: '✓', bad: '✕', live: '▶', warn: '↻', idle: '■', wait: '…' };

// Told by word and sign as well as by colour.
export function badge(state) {
  const tone = TONES[state] ?? 'idle';
  return h('span', { class: `badge ${tone}` }, h('span', { 'aria-hidden': 'true' }, SIGNS[tone]), ' ', word(state));
}

export function bar(share, label, tone = '') {
  const value = Math.max(0, Math.min(1, share || 0));
  return h('div', {
    class: `bar ${tone}`, role: 'progressbar', 'aria-valuemin': '0', 'aria-valuemax': '100',
    'aria-valuenow': String(Math.round(100 * value)), 'aria-label': label,
  }, h('div', { class: 'fill', style: { width: `${(100 * value).toFixed(2)}%` } }));
}

export function progressOf(job) {
  if (job.progress > 0) return job.progress;
  return job.total_steps > 0 ? job.step / job.total_steps : 0;
}

export function ago(time) {
  if (!time) return NONE;
  return h('time', { datetime: time, title: moment(time) }, `${duration(Math.floor(secondsSince(time)))} ago`);
}

export function tile(label, value, note) {
  return h('div', { class: 'tile', key: label }, h('dt', {}, label), h('dd', {}, value),
    note ? h('dd', { class: 'note' }, note) : null);
}

// `columns`: [heading, class]; `rows`: [key, cells]. On narrow screens each row becomes a card.
export function table(label, columns, rows, empty) {
  if (rows.length === 0) return h('p', { class: 'empty', key: `${label}-empty` }, empty);
  const head = columns.map(([name, kind]) => h('th', { role: 'columnheader', scope: 'col', class: kind }, name));
  const lines = rows.map(([key, cells, extra]) => h('tr', { role: 'row', key, ...extra }, cells.map((cell, i) =>
    h('td', { role: 'cell', class: columns[i][1], 'data-label': columns[i][0] }, h('div', { class: 'cell' }, cell)))));
  return h('div', { class: 'scroll', key: `${label}-table` }, h('table', { role: 'table', 'aria-label': label },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, head)), h('tbody', { role: 'rowgroup' }, lines)));
}

export function section(id, title, ...content) {
  return h('section', { id, key: id, 'aria-labelledby': `${id}-title` },
    h('h2', { id: `${id}-title` }, title), ...content);
}

export function problem(error) {
  const text = error.status === 401 ? 'The coordinator asks for a token: use “Token” at the top of the page.'
    : error.status === 403 ? `This token may not see that: ${error.message}` : error.message;
  return h('div', { class: 'empty problem', key: 'problem' }, h('h1', {}, error.status === 404 ? 'Not found' : 'This cannot be shown'),
    h('p', {}, text), h('p', {}, h('a', { href: '#/jobs' }, 'All jobs')));
}

// Shares of a whole, one after the other: [name, value, colour class].
export function stack(label, shares, total, unit = duration) {
  const shown = shares.filter(([, value]) => value > 0);
  const text = shown.map(([name, value]) => `${name} ${unit(value)}`).join(', ') || 'nothing measured';
  return h('div', { class: 'stack', role: 'img', 'aria-label': `${label}: ${text}`, title: text },
    shown.map(([name, value, colour]) => h('div', {
      class: `part ${colour}`, key: name, style: { width: `${(100 * value / total).toFixed(3)}%` },
    })));
}

export function legend(entries, total) {
  return h('ul', { class: 'legend' }, entries.map(([name, value, colour]) => h('li', { key: name },
    h('span', { class: `swatch ${colour}`, 'aria-hidden': 'true' }), name,
    value === undefined ? null : h('span', { class: 'amount' }, ` ${duration(value)}`, total > 0 ? ` (${percent(value / total)})` : ''))));
}
