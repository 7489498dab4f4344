// What was sampled inside the training, beside the data: backbone angles and fluctuations.
import { api } from './api.js';
import { Chart } from './chart.js';
import { h, placeOf, show, svg } from './dom.js';
import { NONE, number, percent, whole } from './format.js';

const PERIOD_MS = 5000;
const SIZE = 240;
const LEFT = 34;
const TOP = 6;

// Counts by phi (columns) and psi (rows, upwards), from -180 degrees on, as an SVG. `most`: the share of the
// fullest cell of all pictures that are compared.
function plane(label, histogram, most, kind) {
  const { bins, counts, total } = histogram;
  const cell = SIZE / bins;
  const cells = [];
  counts.forEach((count, i) => {
    if (count === 0) return;
    const column = i % bins;
    const row = Math.floor(i / bins);
    cells.push(svg('rect', {
      class: `cell ${kind}`, x: (LEFT + column * cell).toFixed(2), y: (TOP + SIZE - (row + 1) * cell).toFixed(2),
      width: cell.toFixed(2), height: cell.toFixed(2), 'fill-opacity': (0.12 + 0.88 * Math.sqrt(count / total / most)).toFixed(3),
    }));
  });
  const at = (degrees) => (SIZE * (degrees + 180)) / 360;
  const marks = [-180, -90, 0, 90, 180].map((d) => [
    svg('text', { x: LEFT + at(d), y: TOP + SIZE + 14, 'text-anchor': 'middle' }, String(d)),
    svg('text', { x: LEFT - 5, y: TOP + SIZE - at(d) + 3, 'text-anchor': 'end' }, String(d))]);
  const zero = [
    svg('line', { class: 'axis', x1: LEFT + at(0), x2: LEFT + at(0), y1: TOP, y2: TOP + SIZE }),
    svg('line', { class: 'axis', x1: LEFT, x2: LEFT + SIZE, y1: TOP + at(0), y2: TOP + at(0) })];
  return svg('svg', { class: 'rama', role: 'img', viewBox: `0 0 ${LEFT + SIZE + 14} ${TOP + SIZE + 34}`, 'aria-label': label },
    zero, cells, svg('rect', { class: 'frame', x: LEFT, y: TOP, width: SIZE, height: SIZE }), marks,
    svg('text', { x: LEFT + SIZE / 2, y: TOP + SIZE + 29, 'text-anchor': 'middle' }, 'φ (degrees)'),
    svg('text', { x: 0, y: 0, 'text-anchor': 'middle', transform: `translate(8 ${TOP + SIZE / 2}) rotate(-90)` }, 'ψ (degrees)'));
}

// Shares of the usual regions, for who cannot see the picture.
function inWords({ bins, counts, total }) {
  let helix = 0;
  let sheet = 0;
  counts.forEach((count, i) => {
    const phi = ((i % bins) + 0.5) * (360 / bins) - 180;
    const psi = (Math.floor(i / bins) + 0.5) * (360 / bins) - 180;
    if (phi < 0 && psi > -100 && psi <= 50) helix += count;
    else if (phi < 0) sheet += count;
  });
  return total ? `${percent(helix / total)} α, ${percent(sheet / total)} β, ${percent(1 - (helix + sheet) / total)} with φ above 0` : NONE;
}

export class Pictures {
  constructor(id) {
    this.id = id;
    this.file = '';
    this.askedAt = -Infinity;
    this.chart = new Chart({ id: 'chart-rmsf', title: 'Fluctuation of each residue (Cα RMSF)', unit: 'Å', x: 'residue', linear: true,
      series: [{ name: 'training', label: 'data' }, { name: 'sampled', label: 'sampled' }] });
    this.choice = h('select', { id: 'sample-choice', on: { change: (event) => {
      this.file = event.currentTarget.value;
      this.askedAt = -Infinity;
      this.wanted?.();
    } } });
    this.label = h('label', { key: 'choice', island: true }, 'Sample', this.choice);
    this.plots = h('div', { class: 'pictures', key: 'plots', island: true });
    this.fluctuations = h('div', { class: 'wide-figure', key: 'rmsf', island: true }, this.chart.root);
    this.root = h('div', { island: true, key: 'pictures' });
  }
  stop() {
    this.chart.stop();
  }
  get some() {
    return this.answer?.samples.length > 0;
  }
  async load(signal) {
    if (performance.now() - this.askedAt < PERIOD_MS) return;
    try {
      this.answer = await api.samples(this.id, { file: this.file }, signal);
      this.problem = null;
    } catch (error) {
      if (error.lost || signal.aborted) throw error;
      this.problem = error.status === 404 ? null : error.message;
    }
    this.askedAt = performance.now();
    this.draw();
  }
  draw() {
    if (this.problem) return show(this.root, h('p', { class: 'notice warn' }, `The pictures cannot be made: ${this.problem}`));
    if (!this.some) return undefined;
    const { samples, picture } = this.answer;
    show(this.choice, samples.map((one) => h('option', { value: one.file, key: one.file }, `${one.name}, epoch ${one.epoch}`)));
    this.choice.value = picture.file;
    const about = [`${whole(picture.frames)} frames of ${whole(picture.residues)} residues`];
    if (picture.training) about.push(`beside ${whole(picture.training.frames)} frames of ${picture.training.source}`);
    if (typeof picture.jensen_shannon === 'number') about.push(`Jensen-Shannon distance of the angles ${number(picture.jensen_shannon)}`);
    show(this.root, h('div', { class: 'row' }, placeOf(this.label)),
      h('p', { class: 'small' }, `${about.join('; ')}.`), picture.note ? h('p', { class: 'notice' }, picture.note) : null, placeOf(this.plots));
    this.drawPlots(picture);
    return undefined;
  }
  drawPlots({ ramachandran, training, rmsf }) {
    const both = [['Sampled', ramachandran, 'sampled']];
    if (training) both.unshift(['Data', training.ramachandran, '']);
    const most = Math.max(...both.flatMap(([, one]) => one.counts.map((count) => count / Math.max(1, one.total))));
    const figures = both.map(([name, one, kind]) => h('figure', { key: name }, h('figcaption', {}, `${name}: backbone angles`),
      plane(`Ramachandran plot, ${name.toLowerCase()}: ${inWords(one)}`, one, most, kind), h('div', { class: 'small' }, inWords(one))));
    show(this.plots, figures, placeOf(this.fluctuations));
    const residues = rmsf.map((_, i) => i + 1);
    this.chart.update([{ steps: training?.rmsf ? residues : [], values: training?.rmsf ?? [] }, { steps: residues, values: rmsf }]);
  }
}
