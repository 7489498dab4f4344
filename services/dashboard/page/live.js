// Keeps a page up to date: asks again and again, less often while nobody answers, not at all while nobody
// looks; and says so at the top of the page.
import { ApiError } from './api.js';
import { h, show, say } from './dom.js';
import { clock } from './format.js';

const LONGEST_WAIT_MS = 20000;

// How long to wait after the n-th failure in a row (n from 1).
export function backOff(n, base = 1000, random = Math.random()) {
  return Math.min(LONGEST_WAIT_MS, base * 2 ** (n - 1)) * (0.75 + 0.5 * random);
}

class Connection {
  constructor() {
    this.lostSince = null;
    this.retry = null;
    this.back = () => {};  // after it was lost
  }
  set(state, text) {
    const mark = document.getElementById('connection');
    if (mark.dataset.state === state) return;
    mark.dataset.state = state;
    document.getElementById('connection-text').textContent = text;
  }
  good() {
    this.set('good', 'Live');
    if (!this.lostSince) return;
    this.lostSince = null;
    document.getElementById('banner').hidden = true;
    show(document.getElementById('banner'));
    say('Connected to the coordinator again');
    this.back();
  }
  lost(retry, text) {
    this.retry = retry;
    this.set('lost', 'Connection lost');
    if (this.lostSince) return;
    this.lostSince = new Date();
    const banner = document.getElementById('banner');
    banner.hidden = false;
    show(banner, h('span', {}, `Connection lost since ${clock(this.lostSince)}: ${text}. What you see is as it was then.`),
      h('button', { type: 'button', id: 'try-now', on: { click: () => this.retry() } }, 'Try now'));
  }
  hidden() {
    if (!this.lostSince) this.set('paused', 'Paused');
  }
}

export const connection = new Connection();

// Calls `load(signal)` at once and then each time after the milliseconds that it returned, until stop().
// An error that is no lost connection goes to `refuse(error)`, and the asking goes on at the slow pace.
export class Live {
  constructor(load, refuse) {
    this.load = load;
    this.refuse = refuse;
    this.failures = 0;
    this.stopped = false;
    this.controller = new AbortController();
    this.seen = () => this.wake();
    document.addEventListener('visibilitychange', this.seen);
    this.wake();
  }
  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.controller.abort();
    document.removeEventListener('visibilitychange', this.seen);
  }
  // Asks now.
  wake() {
    clearTimeout(this.timer);
    if (document.hidden) return connection.hidden();
    if (this.running) this.again = true;
    else this.turn();
  }
  async turn() {
    this.running = true;
    this.again = false;
    let wait;
    try {
      wait = await this.load(this.controller.signal);
      if (this.stopped) return;
      this.failures = 0;
      connection.good();
    } catch (error) {
      if (this.stopped) return;
      wait = this.failed(error);
    } finally {
      this.running = false;
    }
    if (document.hidden) return connection.hidden();
    this.timer = setTimeout(() => this.wake(), this.again ? 0 : wait);
  }
  failed(error) {
    ++this.failures;
    if (!(error instanceof ApiError)) console.error(error);
    if (error instanceof ApiError && error.lost) {
      connection.lost(() => this.wake(), error.message);
    } else {
      connection.good();
      this.refuse(error);
    }
    return backOff(this.failures);
  }
}
