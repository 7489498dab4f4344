// Curves by step as SVG: axes, logarithmic on demand, smoothing, values under the pointer or by arrow keys,
// and the numbers as a table.
import { h, show, svg } from './dom.js';
import { number, short, whole } from './format.js';
import { logTicks, nearest, range, smooth, ticks } from './scale.js';

const HEIGHT = 220;
const MARGIN = { left: 52, right: 12, top: 8, bottom: 24 };
const TABLE_ROWS = 40;

export class Chart {
  // series: [{name, label}], the first ones in front. `unit` stands behind values; `x` names what they are by;
  // `linear`: a logarithmic axis makes no sense.
  constructor({ id, title, unit = '', series, x = 'step', linear = false }) {
    Object.assign(this, { id, title, unit, series, x });
    this.data = series.map(() => ({ steps: [], values: [] }));
    this.weight = 0;
    this.logarithmic = false;
    this.at = null;
    this.picture = svg('svg', {
      role: 'group', tabindex: '0', class: 'picture', 'aria-label': `${title}: a curve. Arrow keys read its values.`,
      on: {
        pointermove: (event) => this.point(event), pointerleave: () => this.read(null), blur: () => this.read(null),
        keydown: (event) => this.key(event),
      },
    });
    this.readout = h('div', { class: 'readout' });
    this.numbers = h('details', { on: { toggle: () => this.list() } }, h('summary', {}, 'As a table'), h('div', { class: 'scroll' }));
    const log = h('input', { type: 'checkbox', id: `${id}-log`, on: { change: (event) => {
      this.logarithmic = event.currentTarget.checked;
      this.draw();
    } } });
    this.root = h('div', { class: 'chart', key: id, island: true, id },
      h('div', { class: 'row middle spread' }, h('h3', {}, title), linear ? null : h('label', { class: 'inline' }, log, 'Logarithmic')),
      this.readout, this.picture, this.numbers);
    this.resizing = new ResizeObserver(() => this.draw());
    this.resizing.observe(this.root);
  }
  stop() {
    this.resizing.disconnect();
  }
  // data: one {steps, values} a series; null is a value that was not finite.
  update(data, weight = this.weight) {
    this.data = data;
    this.weight = weight;
    this.draw();
    this.list();
  }
  layout() {
    const width = Math.max(240, this.root.clientWidth || 480);
    const steps = this.data.flatMap((one) => (one.steps.length ? [one.steps[0], one.steps.at(-1)] : []));
    const values = range(this.data.flatMap((one) => one.values), this.logarithmic);
    if (!values) return { width };
    let [from, to] = [Math.min(...steps), Math.max(...steps)];
    if (from === to) [from, to] = [from - 1, to + 1];
    const [low, high] = values;
    const put = this.logarithmic ? Math.log : (v) => v;
    const across = width - MARGIN.left - MARGIN.right;
    const up = HEIGHT - MARGIN.top - MARGIN.bottom;
    return {
      width, from, to, low, high,
      x: (step) => MARGIN.left + (across * (step - from)) / (to - from),
      y: (value) => MARGIN.top + up * (1 - (put(value) - put(low)) / (put(high) - put(low))),
      step: (x) => from + ((x - MARGIN.left) / across) * (to - from),
    };
  }
  axes(place) {
    const marks = this.logarithmic ? logTicks(place.low, place.high) : ticks(place.low, place.high, 4);
    const right = place.width - MARGIN.right;
    const bottom = HEIGHT - MARGIN.bottom;
    return [
      marks.map((value) => [
        svg('line', { class: 'grid', x1: MARGIN.left, x2: right, y1: place.y(value), y2: place.y(value) }),
        svg('text', { x: MARGIN.left - 6, y: place.y(value) + 4, 'text-anchor': 'end' }, short(value))]),
      ticks(place.from, place.to, Math.max(2, Math.floor(place.width / 110))).filter(Number.isInteger).map((step) =>
        svg('text', { x: place.x(step), y: bottom + 16, 'text-anchor': 'middle' }, step >= 1e5 ? number(step) : String(step))),
      svg('line', { class: 'grid', x1: MARGIN.left, x2: right, y1: bottom, y2: bottom }),
    ];
  }
  path(steps, values, place) {
    let text = '';
    let drawing = false;
    for (let i = 0; i < steps.length; ++i) {
      const good = values[i] !== null && Number.isFinite(values[i]) && !(this.logarithmic && values[i] <= 0);
      if (good) text += `${drawing ? 'L' : 'M'}${place.x(steps[i]).toFixed(1)} ${place.y(values[i]).toFixed(1)}`;
      drawing = good;
    }
    return text;
  }
  // A curve of few points gets dots: a single value would not be seen.
  curve({ steps, values }, place, number) {
    const line = smooth(values, this.weight);
    const dots = steps.length > 24 ? [] : steps.map((step, i) => (line[i] === null || (this.logarithmic && line[i] <= 0) ? null
      : svg('circle', { class: `mark f${number}`, cx: place.x(step), cy: place.y(line[i]), r: 3.5 })));
    return [
      this.weight > 0 ? svg('path', { class: `raw s${number}`, d: this.path(steps, values, place) }) : null,
      svg('path', { class: `curve s${number}`, d: this.path(steps, line, place) }), dots];
  }
  draw() {
    const place = this.layout();
    this.place = place;
    this.picture.setAttribute('viewBox', `0 0 ${place.width} ${HEIGHT}`);
    if (!place.x) {
      this.picture.replaceChildren(svg('text', { x: place.width / 2, y: HEIGHT / 2, 'text-anchor': 'middle' },
        this.logarithmic && this.data.some((one) => one.values.length) ? 'No value above 0' : 'No values yet'));
      return this.tell();
    }
    const curves = this.data.map((one, i) => this.curve(one, place, i + 1)).reverse();
    this.picture.replaceChildren(...[this.axes(place), curves].flat(Infinity).filter(Boolean), this.cursor());
    this.tell();
  }
  cursor() {
    const group = svg('g', { class: 'at' });
    if (this.at === null || !this.place.x) return group;
    const x = this.place.x(this.at);
    group.append(svg('line', { class: 'cursor', x1: x, x2: x, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }));
    this.values().forEach(({ value }, i) => {
      if (value !== null && !(this.logarithmic && value <= 0))
        group.append(svg('circle', { class: `mark f${i + 1}`, cx: x, cy: this.place.y(value), r: 4 }));
    });
    return group;
  }
  // Of each series at the step that is read, or the last ones.
  values() {
    return this.series.map(({ label }, i) => {
      const { steps, values } = this.data[i];
      const index = this.at === null ? steps.length - 1 : nearest(steps, this.at);
      const here = this.at === null || steps[index] === this.at;
      return { label, value: here ? values[index] ?? null : null };
    });
  }
  tell() {
    const last = Math.max(...this.data.map((one) => one.steps.at(-1) ?? -1));
    if (last < 0) return show(this.readout, '');
    const bare = this.at === null && this.x !== 'step';  // then a last value means nothing
    const parts = this.values().map(({ label, value }, i) => (value === null ? null : h('span', { class: 'reading' },
      h('span', { class: `swatch b${i + 1}`, 'aria-hidden': 'true' }), bare ? label : `${label} ${number(value)} ${this.unit}`, ' ')));
    const place = this.at === null ? 'latest' : `${this.x} ${whole(this.at)}`;
    return show(this.readout, bare ? null : h('span', { class: 'reading' }, place, ' '), parts);
  }
  read(step) {
    this.at = step;
    this.picture.querySelector('.at')?.replaceWith(this.cursor());
    this.tell();
  }
  allSteps() {
    return [...new Set(this.data.flatMap((one) => one.steps))].sort((a, b) => a - b);
  }
  point(event) {
    if (!this.place?.step) return;
    const box = this.picture.getBoundingClientRect();
    const steps = this.allSteps();
    this.readout.removeAttribute('aria-live');
    this.read(steps[nearest(steps, this.place.step(((event.clientX - box.left) * this.place.width) / box.width))]);
  }
  key(event) {
    const steps = this.allSteps();
    if (!steps.length) return;
    const here = this.at === null ? steps.length : nearest(steps, this.at);
    const far = Math.max(1, Math.round(steps.length / 20));
    const moves = { ArrowLeft: here - 1, ArrowRight: here + 1, PageUp: here - far, PageDown: here + far, Home: 0, End: steps.length - 1 };
    if (event.key === 'Escape') return this.read(null);
    if (!(event.key in moves)) return;
    event.preventDefault();
    this.readout.setAttribute('aria-live', 'polite');
    this.read(steps[Math.max(0, Math.min(steps.length - 1, moves[event.key]))]);
  }
  // At most TABLE_ROWS steps, evenly chosen, the last one always.
  list() {
    if (!this.numbers.open) return;
    const steps = this.allSteps();
    const every = Math.max(1, Math.ceil(steps.length / TABLE_ROWS));
    const chosen = steps.filter((_, i) => (steps.length - 1 - i) % every === 0);
    const cell = (one, step) => {
      const i = nearest(one.steps, step);
      return h('td', { class: 'num' }, one.steps[i] === step ? number(one.values[i]) : '');
    };
    show(this.numbers.lastChild, h('table', { class: 'plain' },
      h('caption', { class: 'unseen' }, this.title),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col', class: 'num' }, this.x), this.series.map(({ label }) => h('th', { scope: 'col', class: 'num' }, label)))),
      h('tbody', {}, chosen.map((step) => h('tr', {}, h('th', { scope: 'row', class: 'num' }, whole(step)), this.data.map((one) => cell(one, step)))))));
  }
}
