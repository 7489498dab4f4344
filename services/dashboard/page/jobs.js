// The list of jobs. The coordinator filters and pages, so that it stays quick with thousands of them; only
// the page that is looked at is asked for again.
import { api } from './api.js';
import { h, show, say } from './dom.js';
import { ACTIVE, ENDED, NONE, counted, duration, hasEnded, number, percent, whole } from './format.js';
import { Live } from './live.js';
import { ago, badge, bar, problem, progressOf, table } from './parts.js';

const PAGE = 50;
const PERIOD_MS = 2000;
const CHOICES = {
  all: ['All', []], active: ['Not ended', ACTIVE], running: ['Running', ['RUNNING', 'CHECKPOINTING', 'RECOVERING']],
  waiting: ['Waiting', ['VALIDATING', 'QUEUED', 'STARTING']], paused: ['Paused', ['PAUSING', 'PAUSED']],
  ended: ['Ended', ENDED], succeeded: ['Succeeded', ['SUCCEEDED']], failed: ['Failed', ['FAILED']],
  cancelled: ['Cancelled', ['CANCELLED']],
};

const COLUMNS = [['Job', 'wide'], ['State', 'tight'], ['Progress', 'wide'], ['Loss', 'num'], ['Time left', 'num'],
  ['Workers', 'num'], ['Owner', ''], ['Age', 'num']];

function row(job) {
  const share = progressOf(job);
  const tone = { SUCCEEDED: 'good', FAILED: 'bad' }[job.state] ?? (hasEnded(job) || job.state === 'PAUSED' ? 'idle' : '');
  const steps = job.total_steps > 0 ? `${whole(job.step)} of ${whole(job.total_steps)} steps` : 'not started';
  const waits = job.queue?.position > 0 ? `No. ${job.queue.position} in the queue` : null;
  return [job.id, [
    [h('a', { class: 'title', href: `#/jobs/${encodeURIComponent(job.id)}` }, job.name ?? job.id), h('div', { class: 'small mono' }, job.id)],
    [badge(job.state), job.reason || waits ? h('div', { class: 'small' }, waits ?? job.reason) : null],
    [bar(share, `Progress of ${job.name ?? job.id}`, tone), h('div', { class: 'small' }, `${percent(share)} · ${steps}`)],
    number(job.loss),
    hasEnded(job) || job.state === 'PAUSED' || !(job.eta_seconds > 0) ? NONE : duration(job.eta_seconds),
    job.workers > 0 ? whole(job.workers) : NONE,
    job.owner ?? NONE,
    ago(job.created_at),
  ]];
}

export class JobsPage {
  constructor(container, parameters) {
    this.container = container;
    this.filter = {
      choice: CHOICES[parameters.get('state')] ? parameters.get('state') : 'all',
      name: parameters.get('name') ?? '', owner: parameters.get('owner') ?? '', labels: parameters.get('labels') ?? '',
    };
    this.tokens = [''];
    this.jobs = null;
    this.draw();
    this.live = new Live((signal) => this.load(signal), (error) => show(container, problem(error)));
  }
  title() {
    return 'Jobs';
  }
  stop() {
    clearTimeout(this.typing);
    this.live.stop();
  }
  async load(signal) {
    const asked = this.filter;
    const page = this.tokens.length;
    const answer = await api.jobs({
      state: CHOICES[asked.choice][1], name_prefix: asked.name, owner: asked.owner, labels: asked.labels,
      page_size: PAGE, page_token: this.tokens.at(-1),
    }, signal);
    if (asked !== this.filter || page !== this.tokens.length) return 0;
    this.jobs = answer.jobs;
    this.next = answer.next_page_token;
    this.draw();
    if (this.tell) say(`${counted(this.jobs.length, 'job')} shown${this.next ? ', more on the next page' : ''}`);
    this.tell = false;
    return PERIOD_MS;
  }
  change(changes) {
    this.filter = { ...this.filter, ...changes };
    this.tokens = [''];
    this.tell = true;
    const { choice, ...texts } = this.filter;
    const parameters = new URLSearchParams(Object.entries(texts).filter(([, text]) => text));
    if (choice !== 'all') parameters.set('state', choice);
    history.replaceState(null, '', `#/jobs${parameters.size ? `?${parameters}` : ''}`);
    this.live.wake();
  }
  typed(name, event) {
    const value = event.currentTarget.value.trim();
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.change({ [name]: value }), 250);
  }
  turn(tokens) {
    this.tokens = tokens;
    this.tell = true;
    this.live.wake();
  }
  field(name, label, hint, type = 'text') {
    return h('label', {}, label, h('input', {
      type, id: `filter-${name}`, value: this.filter[name], placeholder: hint, autocomplete: 'off', spellcheck: 'false',
      on: { input: (event) => this.typed(name, event) },
    }));
  }
  toolbar() {
    const options = Object.entries(CHOICES).map(([key, [label]]) =>
      h('option', { value: key, key, selected: key === this.filter.choice }, label));
    return h('div', { class: 'row toolbar', role: 'search', 'aria-label': 'Jobs' },
      this.field('name', 'Name begins with', 'all names', 'search'),
      h('label', {}, 'State', h('select', { id: 'filter-state', on: { change: (e) => this.change({ choice: e.currentTarget.value }) } }, options)),
      this.field('owner', 'Owner', 'everybody'), this.field('labels', 'Labels', 'team=md,stage'));
  }
  pager() {
    if (this.tokens.length === 1 && !this.next) return null;
    return h('nav', { class: 'row middle toolbar', 'aria-label': 'Pages of jobs' },
      h('button', { type: 'button', id: 'newer', disabled: this.tokens.length === 1, on: { click: () => this.turn(this.tokens.slice(0, -1)) } }, '← Newer'),
      h('span', { class: 'faint' }, `Page ${this.tokens.length}`),
      h('button', { type: 'button', id: 'older', disabled: !this.next, on: { click: () => this.turn([...this.tokens, this.next]) } }, 'Older →'));
  }
  nothing() {
    const { choice, ...texts } = this.filter;
    if (choice !== 'all' || Object.values(texts).some(Boolean)) return 'No job matches these filters.';
    return ['No jobs yet. Submit one with ', h('code', {}, 'mdgenctl submit -f job.yaml'), '; it appears here by itself.'];
  }
  draw() {
    const list = this.jobs === null ? h('p', { class: 'empty' }, 'Loading')
      : table('Jobs', COLUMNS, this.jobs.map(row), this.nothing());
    show(this.container, h('h1', {}, 'Jobs'), this.toolbar(), h('div', { class: 'list', key: 'list' }, list), this.pager());
  }
}
