// One rank's log: its end first, then what is written after it, by offset.
import { api } from './api.js';
import { h, show } from './dom.js';

const TAIL_BYTES = 32768;
const KEPT_CHARACTERS = 400000;

export class Logs {
  constructor(id) {
    this.id = id;
    this.rank = 0;
    this.ranks = 1;
    this.follow = true;
    this.text = h('pre', {
      class: 'log', tabindex: '0', role: 'log', 'aria-live': 'off', 'aria-label': 'Log', id: 'log-text',
      on: { scroll: () => this.scrolled() },
    });
    this.choice = h('select', { id: 'log-rank', on: { change: (event) => this.choose(Number(event.currentTarget.value)) } });
    this.box = h('input', { type: 'checkbox', id: 'log-follow', on: { change: (event) => {
      this.follow = event.currentTarget.checked;
      this.toEnd();
    } } });
    this.box.checked = true;
    this.note = h('p', { class: 'small', id: 'log-note' });
    this.root = h('div', { island: true, key: 'logs' },
      h('div', { class: 'row middle' }, h('label', { class: 'inline' }, 'Rank', this.choice), h('label', { class: 'inline' }, this.box, 'Follow')),
      this.text, this.note);
    this.start();
  }
  start() {
    this.offset = null;
    this.text.textContent = '';
    this.offerRanks();
  }
  choose(rank) {
    this.rank = rank;
    this.start();
    this.wanted?.();
  }
  offerRanks() {
    const options = Array.from({ length: this.ranks }, (_, rank) => h('option', { value: String(rank), key: rank }, String(rank)));
    show(this.choice, options);
    this.choice.value = String(this.rank);
  }
  async load(job, signal) {
    const ranks = Math.max(1, this.ranks, job.workers, ...(job.ranks ?? []).map(({ rank }) => rank + 1));
    if (ranks !== this.ranks) {
      this.ranks = ranks;
      this.offerRanks();
    }
    const { rank } = this;
    const from = this.offset === null ? { tail_bytes: TAIL_BYTES } : { offset: this.offset };
    try {
      const answer = await api.logs(this.id, { rank, ...from }, signal);
      if (rank !== this.rank) return;
      this.offset = answer.next_offset;
      this.append(answer.text ?? '');
    } catch (error) {
      if (error.status !== 404 || signal.aborted) throw error;
      this.append('');
    }
  }
  append(text) {
    this.note.textContent = this.text.textContent || text ? '' : 'This rank has written nothing yet.';
    if (!text) return;
    const whole = this.text.textContent + text;
    if (whole.length > KEPT_CHARACTERS) this.text.textContent = whole.slice(whole.indexOf('\n', whole.length - KEPT_CHARACTERS) + 1);
    else this.text.append(text);
    this.toEnd();
  }
  toEnd() {
    if (this.follow) this.text.scrollTop = this.text.scrollHeight;
  }
  // Who scrolls up wants to read; who comes back to the end wants to follow.
  scrolled() {
    const atEnd = this.text.scrollHeight - this.text.clientHeight - this.text.scrollTop < 24;
    if (atEnd === this.follow) return;
    this.follow = atEnd;
    this.box.checked = atEnd;
  }
}
