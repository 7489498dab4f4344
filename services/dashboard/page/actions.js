// What may be changed from here. The coordinator decides; buttons that it would refuse are not shown.
import { api, forgetAnswers, token } from './api.js';
import { ask } from './dialogs.js';
import { h, say } from './dom.js';
import { hasEnded } from './format.js';

const MAY_PAUSE = ['QUEUED', 'VALIDATING', 'STARTING', 'RUNNING', 'CHECKPOINTING', 'RECOVERING'];

class Actions {
  constructor() {
    this.access = { required: true, role: 'VIEWER' };
    this.changed = () => {};
    this.outcome = null;
  }
  // Asks what the token at hand may do.
  async refresh() {
    try {
      this.access = await api.access();
      this.refused = this.access.required && !this.access.role && token.get() !== '';
    } catch (error) {
      this.access = { required: true, role: '' };
      this.refused = error.status === 401;
    }
    const button = document.getElementById('token-button');
    button.hidden = !this.access.required;
    button.textContent = this.role() && token.get() ? `Token: ${this.role().toLowerCase()}` : 'Token';
    document.getElementById('view').dataset.role = this.role();
  }
  role() {
    return String(this.access.role ?? '').toUpperCase();
  }
  mayChange() {
    return !this.access.required || ['SUBMITTER', 'ADMIN'].includes(this.role());
  }
  mayDrain() {
    return !this.access.required || this.role() === 'ADMIN';
  }
  async askToken() {
    const answer = await ask({
      title: 'Access token',
      text: 'Kept for this tab only and sent with each request. Leave it empty to look on without one.',
      fields: [{ label: 'Token', name: 'token', type: 'password', autocomplete: 'off' }], confirm: 'Use',
    });
    if (!answer) return;
    token.set(answer.token.trim());
    forgetAnswers();
    await this.refresh();
    say(this.refused ? 'The coordinator does not know this token' : 'Token in use');
    this.changed();
  }
  async carryOut(question, call, done) {
    const answer = await ask(question);
    if (!answer) return null;
    try {
      const result = await call(answer);
      this.tell('good', done);
      return result;
    } catch (error) {
      this.tell('bad', error.status === 405 || error.status === 501
        ? 'This coordinator takes no changes over HTTP; use mdgenctl.' : error.message);
      return null;
    } finally {
      this.changed();
    }
  }
  tell(tone, text) {
    this.outcome = { tone, text };
    say(text);
  }
  notice() {
    if (!this.outcome) return null;
    return h('p', { class: `notice ${this.outcome.tone}`, key: 'outcome' }, this.outcome.text);
  }
  drain(worker) {
    return this.carryOut({
      title: `Drain ${worker.host}?`, confirm: 'Drain', danger: true,
      text: `Worker ${worker.id} finishes its step, its job writes a checkpoint, and its agent ends.`,
    }, () => api.drain(worker.id), `Worker ${worker.id} is draining`);
  }
  async retry(job) {
    const result = await this.carryOut({
      title: `Retry ${job.name}?`, confirm: 'Retry', text: 'A new job goes on in the same run folder from its newest checkpoint.',
    }, () => api.retry(job.id), `A new attempt of ${job.name} is queued`);
    const made = result?.job ?? result;
    if (made?.id) location.hash = `#/jobs/${encodeURIComponent(made.id)}`;
  }
  buttons(job) {
    if (!this.mayChange()) return null;
    const name = job.name ?? job.id;
    const all = [
      [MAY_PAUSE.includes(job.state), 'Pause', () => this.carryOut({
        title: `Pause ${name}?`, confirm: 'Pause', text: 'It writes a checkpoint, gives its workers back and keeps its run folder.',
      }, () => api.pause(job.id), `${name} is to pause`)],
      [job.state === 'PAUSED', 'Resume', () => this.carryOut({
        title: `Resume ${name}?`, confirm: 'Resume', text: 'It goes back to the queue and on from its checkpoint.',
      }, () => api.resume(job.id), `${name} is queued again`)],
      [!hasEnded(job), 'Priority', () => this.carryOut({
        title: `Priority of ${name}`, confirm: 'Change', text: 'Higher ones get workers first.',
        fields: [{ label: 'Priority', name: 'priority', type: 'number', step: '1', required: true, value: String(job.priority) }],
      }, ({ priority }) => api.update(job.id, { priority: Number(priority) }), `Priority of ${name} changed`)],
      [['FAILED', 'CANCELLED'].includes(job.state), 'Retry', () => this.retry(job)],
      [!hasEnded(job) && job.state !== 'CANCELLING', 'Cancel', () => this.carryOut({
        title: `Cancel ${name}?`, confirm: 'Cancel the job', danger: true,
        text: 'Its trainers get this long to write a checkpoint and leave; 0 ends them at once, without one.',
        fields: [{ label: 'Seconds', name: 'grace', type: 'number', min: '0', step: '1', required: true, value: '60' }],
      }, ({ grace }) => api.cancel(job.id, Number(grace)), `${name} is to end`)],
    ];
    return h('div', { class: 'row', role: 'group', 'aria-label': 'Actions', key: 'actions' },
      all.filter(([possible]) => possible).map(([, label, click]) =>
        h('button', { type: 'button', key: label, class: label === 'Cancel' ? 'danger' : '', on: { click } }, label)));
  }
}

export const actions = new Actions();
