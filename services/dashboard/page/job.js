// One job's page.
import { actions } from './actions.js';
import { api } from './api.js';
import { Curves } from './curves.js';
import { h, placeOf, say, show } from './dom.js';
import { counted, hasEnded, word } from './format.js';
import { checkpoints, events, phases, progress, ranks, recoveries, spec, tiles } from './job_parts.js';
import { Live } from './live.js';
import { Logs } from './logs.js';
import { badge, problem, section } from './parts.js';
import { Pictures } from './pictures.js';

const PERIOD_MS = 1500;
const ENDED_PERIOD_MS = 5000;
const CHECKPOINTS_MS = 10000;
const KEPT_EVENTS = 2000;
const JUMPS = [['curves', 'Curves'], ['phases', 'Phases'], ['ranks', 'Ranks'], ['recoveries', 'Recoveries'], ['checkpoints', 'Checkpoints'],
  ['events', 'Events'], ['log', 'Log'], ['samples', 'Samples'], ['spec', 'Specification']];

export class JobPage {
  constructor(container, id) {
    this.container = container;
    this.id = id;
    this.job = null;
    this.list = null;
    this.events = [];
    this.dropped = 0;
    this.checkpointsAt = -Infinity;
    this.curves = new Curves(id);
    this.logs = new Logs(id);
    this.pictures = new Pictures(id);
    this.problems = new Map();
    show(container, h('p', { class: 'empty' }, 'Loading'));
    this.live = new Live((signal) => this.load(signal), (error) => show(container, problem(error)));
    this.logs.wanted = this.pictures.wanted = () => this.live.wake();
  }
  title() {
    return this.job?.name ?? this.id;
  }
  stop() {
    this.live.stop();
    this.curves.stop();
    this.pictures.stop();
  }
  // A part that cannot be had leaves the others alone.
  async part(name, work) {
    try {
      await work();
      this.problems.delete(name);
    } catch (error) {
      if (error.lost || error.name === 'AbortError' || error.status === 401) throw error;
      this.problems.set(name, error.message);
    }
  }
  async load(signal) {
    const before = this.job?.state;
    this.job = await api.job(this.id, signal);
    if (before && before !== this.job.state) say(`${this.title()} is ${word(this.job.state)}`);
    document.title = `${this.title()} · MDGen training`;
    this.draw();
    await Promise.all([
      this.part('curves', () => this.curves.load(this.job, signal)),
      this.part('checkpoints', () => this.loadCheckpoints(signal)),
      this.part('events', () => this.loadEvents(signal)),
      this.part('log', () => this.logs.load(this.job, signal)),
      this.part('samples', () => this.pictures.load(signal)),
    ]);
    this.draw();
    return hasEnded(this.job) ? ENDED_PERIOD_MS : PERIOD_MS;
  }
  async loadCheckpoints(signal) {
    const due = performance.now() - this.checkpointsAt > CHECKPOINTS_MS || this.checkpointOf !== this.job.checkpoint;
    if (!due) return;
    this.list = (await api.checkpoints(this.id, signal)).checkpoints;
    this.checkpointsAt = performance.now();
    this.checkpointOf = this.job.checkpoint;
  }
  async loadEvents(signal) {
    const answer = await api.events(this.id, this.events.at(-1)?.sequence ?? 0, signal);
    if (this.events.length === 0) this.dropped = answer.dropped;
    const all = this.events.concat(answer.events);
    this.dropped += Math.max(0, all.length - KEPT_EVENTS);
    this.events = all.slice(-KEPT_EVENTS);
  }
  head() {
    const { job } = this;
    const tone = job.state === 'FAILED' ? 'bad' : job.state === 'RECOVERING' ? 'warn' : '';
    const queue = job.queue?.reason ? `${job.queue.position > 0 ? `No. ${job.queue.position} in the queue. ` : ''}${job.queue.message || job.queue.reason}` : null;
    const text = [job.reason, job.message].filter(Boolean).join(': ');
    return h('section', { id: 'head', key: 'head', 'aria-label': 'Job' },
      h('div', { class: 'row spread middle' },
        h('div', {}, h('div', { class: 'small' }, h('a', { href: '#/jobs' }, 'Jobs'), ' / ', h('span', { class: 'mono' }, job.id)),
          h('div', { class: 'row middle' }, h('h1', { id: 'job-name' }, this.title()), badge(job.state))),
        actions.buttons(job)),
      text ? h('p', { class: `notice ${tone}`, key: 'why', id: 'why' }, text) : null,
      queue ? h('p', { class: 'notice', key: 'queue' }, queue) : null,
      actions.notice(), progress(job), tiles(job), this.warnings());
  }
  warnings() {
    const list = this.job.warnings ?? [];
    if (list.length === 0) return null;
    return h('details', { class: 'notice warn', key: 'warnings' }, h('summary', {}, counted(list.length, 'warning')),
      h('ul', {}, list.slice(-50).map((text) => h('li', {}, text))));
  }
  // What was wrong with the part when it was asked for last.
  trouble(name) {
    const text = this.problems.get(name);
    return text ? h('p', { class: 'notice warn', key: `${name}-trouble` }, text) : null;
  }
  samples() {
    const none = this.pictures.some || this.pictures.problem ? null
      : h('p', { class: 'empty' }, 'None drawn. loop.inference_batches draws some in the validations.');
    return section('samples', 'Samples against data', none, placeOf(this.pictures.root));
  }
  draw() {
    const { job } = this;
    const jumps = JUMPS.map(([id, label]) => h('li', {}, h('button', { type: 'button', class: 'jump-to', on: { click: () => this.jump(id) } }, label)));
    show(this.container, this.head(), h('nav', { 'aria-label': 'Parts of this page', key: 'jumps' }, h('ul', { class: 'jump' }, jumps)),
      section('curves', 'Curves', this.trouble('curves'), placeOf(this.curves.root)), phases(job), ranks(job), recoveries(job),
      this.trouble('checkpoints'), checkpoints(this.list), this.trouble('events'), events(this.events, this.dropped),
      section('log', 'Log', this.trouble('log'), placeOf(this.logs.root)), this.samples(), spec(job));
  }
  jump(id) {
    const target = document.getElementById(id);
    target.tabIndex = -1;
    target.focus({ preventScroll: true });
    target.scrollIntoView({ behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
  }
}
