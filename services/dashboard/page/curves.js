// A job's curves. Only new steps are asked for; from time to time, and when a generation has gone back to an
// older step, all of them.
import { api } from './api.js';
import { Chart } from './chart.js';
import { h } from './dom.js';
import { number } from './format.js';

const POINTS = 1000;
const WHOLE_AGAIN_MS = 60000;
const SHOWN = [
  { id: 'chart-loss', title: 'Loss', series: [{ name: 'loss', label: 'training' }, { name: 'val_loss', label: 'validation' }] },
  { id: 'chart-grad', title: 'Gradient norm', series: [{ name: 'grad_norm', label: 'gradient norm' }] },
  { id: 'chart-throughput', title: 'Throughput', unit: 'tokens/s', series: [{ name: 'tokens_per_second', label: 'throughput' }] },
  { id: 'chart-lr', title: 'Learning rate', series: [{ name: 'lr', label: 'learning rate' }] },
];
const NAMES = SHOWN.flatMap((chart) => chart.series.map(({ name }) => name));

// `known` and later points of the same series as one.
export function joined(known, later) {
  if (!known?.steps.length) return later;
  const last = known.steps.at(-1);
  const from = later.steps.findIndex((step) => step > last);
  if (from < 0) return known;
  return { steps: known.steps.concat(later.steps.slice(from)), values: known.values.concat(later.values.slice(from)) };
}

export class Curves {
  constructor(id) {
    this.id = id;
    this.charts = SHOWN.map((one) => new Chart(one));
    this.series = new Map();
    this.last = 0;
    this.wholeAt = -Infinity;
    this.weight = 0;
    const amount = h('output', { for: 'smoothing' }, 'off');
    this.root = h('div', { island: true, key: 'curves' },
      h('div', { class: 'row middle', id: 'smoothing-row' }, h('label', { class: 'inline' }, 'Smoothing', h('input', {
        type: 'range', id: 'smoothing', min: '0', max: '0.99', step: '0.01', value: '0',
        on: { input: (event) => {
          this.weight = Number(event.currentTarget.value);
          amount.textContent = this.weight ? number(this.weight) : 'off';
          this.draw();
        } },
      }), amount)),
      h('div', { class: 'charts' }, this.charts.map((chart) => chart.root)));
  }
  stop() {
    for (const chart of this.charts) chart.stop();
  }
  async load(job, signal) {
    const backwards = job.generation !== this.generation || job.step < this.last;
    if (!backwards && job.step === this.step && performance.now() - this.wholeAt < WHOLE_AGAIN_MS) return;
    const all = backwards || performance.now() - this.wholeAt > WHOLE_AGAIN_MS;
    const answer = await api.metrics(this.id, NAMES, all ? 0 : this.last, POINTS, signal);
    if (all) {
      this.series.clear();
      this.wholeAt = performance.now();
    }
    for (const { name, steps, values } of answer.series) this.series.set(name, joined(this.series.get(name), { steps, values }));
    this.last = answer.last_step;
    this.step = job.step;
    this.generation = job.generation;
    this.draw();
  }
  draw() {
    this.charts.forEach((chart, i) => chart.update(
      SHOWN[i].series.map(({ name }) => this.series.get(name) ?? { steps: [], values: [] }), this.weight));
  }
}
