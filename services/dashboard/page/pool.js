// The pages of workers and of the queue.
import { actions } from './actions.js';
import { api } from './api.js';
import { h, show } from './dom.js';
import { NONE, counted, duration, number, whole, word } from './format.js';
import { Live } from './live.js';
import { ago, badge, problem, table } from './parts.js';

const PERIOD_MS = 2000;
const SILENT_SECONDS = 5;

const WORKERS = [['Worker', 'wide'], ['State', 'tight'], ['Job', ''], ['Phase', 'tight'], ['Step', 'num'], ['Last beat', 'num'],
  ['Slowness', 'num'], ['Device', ''], ['Labels', ''], ['Version', ''], ['', 'tight']];
const QUEUE = [['Place', 'num'], ['Job', 'wide'], ['Priority', 'num'], ['Workers', 'num'], ['Why it waits', 'wide'], ['Since', 'num'], ['Owner', '']];

export const labelsText = (labels) => Object.entries(labels ?? {}).map(([k, v]) => (v ? `${k}=${v}` : k)).join(', ');

export function beat(seconds) {
  const late = seconds > SILENT_SECONDS;
  return h('span', { class: late ? 'badge bad' : '' }, `${duration(seconds)} ago`);
}

export function slowness(x, straggler) {
  if (!(x > 0)) return NONE;
  return [`${number(x)} ×`, straggler ? [' ', h('span', { class: 'badge warn' }, 'Straggler')] : null];
}

function workerRow(worker) {
  const drain = actions.mayDrain() && worker.state !== 'DRAINING'
    ? h('button', { type: 'button', on: { click: () => actions.drain(worker) } }, 'Drain') : null;
  return [worker.id, [
    [h('span', { class: 'title' }, worker.host), h('div', { class: 'small mono' }, `${worker.id} · pid ${worker.pid}`)],
    badge(worker.state),
    worker.job_id ? [h('a', { href: `#/jobs/${encodeURIComponent(worker.job_id)}`, class: 'mono' }, worker.job_id), worker.rank >= 0 ? h('div', { class: 'small' }, `rank ${worker.rank}`) : null] : NONE,
    worker.phase && worker.phase !== 'UNSPECIFIED' ? word(worker.phase) : NONE,
    worker.job_id ? whole(worker.step) : NONE,
    beat(worker.beat_age_seconds),
    slowness(worker.slowness, worker.straggler),
    [worker.device || NONE, worker.cpus ? h('div', { class: 'small' }, counted(worker.cpus, 'CPU')) : null],
    labelsText(worker.labels) || NONE,
    worker.version || NONE,
    drain,
  ]];
}

function queueRow(entry) {
  const { queue } = entry;
  const wanted = entry.min_workers === entry.max_workers ? whole(entry.min_workers) : `${whole(entry.min_workers)}–${whole(entry.max_workers)}`;
  return [entry.job_id, [
    queue?.position > 0 ? whole(queue.position) : NONE,
    [h('a', { class: 'title', href: `#/jobs/${encodeURIComponent(entry.job_id)}` }, entry.name || entry.job_id), h('div', { class: 'small mono' }, entry.job_id)],
    whole(entry.priority), wanted,
    [queue?.reason ? h('strong', {}, queue.reason) : null, h('div', { class: 'small' }, queue?.message ?? '')],
    ago(queue?.since), entry.owner || NONE,
  ]];
}

class PoolPage {
  constructor(container) {
    this.container = container;
    this.live = new Live(async (signal) => {
      const content = await this.content(signal);
      show(container, content);
      return PERIOD_MS;
    }, (error) => show(container, problem(error)));
  }
  stop() {
    this.live.stop();
  }
}

export class WorkersPage extends PoolPage {
  title() {
    return 'Workers';
  }
  async content(signal) {
    const { workers } = await api.workers(signal);
    const free = workers.filter((w) => w.state === 'FREE').length;
    return [h('h1', {}, 'Workers'), h('p', { class: 'faint' }, `${counted(workers.length, 'worker')}, ${whole(free)} free`),
      h('div', { class: 'list' }, table('Workers', WORKERS, workers.map(workerRow),
        ['No workers are connected. Start one with ', h('code', {}, 'mdgen-worker --coordinator HOST:PORT'), '.']))];
  }
}

export class QueuePage extends PoolPage {
  title() {
    return 'Queue';
  }
  async content(signal) {
    const answer = await api.queue(signal);
    const summary = `${counted(answer.entries.length, 'job')} waiting; ${whole(answer.free_workers)} of ${counted(answer.total_workers, 'worker')} free`;
    return [h('h1', {}, 'Queue'), h('p', { class: 'faint' }, summary),
      h('div', { class: 'list' }, table('Queue', QUEUE, answer.entries.map(queueRow), 'No job waits for workers.'))];
  }
}
