// The parts of a job's page that follow from its data alone.
import { h } from './dom.js';
import { NONE, bytes, counted, duration, hasEnded, leaf, moment, number, percent, whole, word } from './format.js';
import { ago, badge, bar, legend, progressOf, section, stack, table, tile } from './parts.js';
import { beat, labelsText, slowness } from './pool.js';

const PHASES = [['data', 'b1'], ['forward', 'b2'], ['backward', 'b3'], ['reduce', 'b4'], ['optimizer', 'b5'], ['checkpoint', 'b6']];
const PARTS = [['abort', 'abort_seconds', 'b4'], ['wait', 'wait_seconds', 'b6'], ['rendezvous', 'rendezvous_seconds', 'b1'],
  ['heal', 'heal_seconds', 'b3'], ['first step', 'first_step_seconds', 'b5']];

export function progress(job) {
  const share = progressOf(job);
  const tone = { SUCCEEDED: 'good', FAILED: 'bad' }[job.state] ?? '';
  const left = hasEnded(job) ? `ended ${moment(job.ended_at)}`
    : job.eta_seconds > 0 && job.state !== 'PAUSED' ? `${duration(job.eta_seconds)} left` : '';
  const steps = job.total_steps > 0 ? `step ${whole(job.step)} of ${whole(job.total_steps)}` : 'not started yet';
  return [bar(share, 'Progress', `big ${tone}`),
    h('div', { class: 'row spread small', key: 'progress-text' }, h('span', {}, `${percent(share, 1)} · ${steps}`), h('span', {}, left))];
}

export function tiles(job) {
  const epoch = job.total_epochs > 0 ? `${job.epoch + 1} of ${job.total_epochs}` : whole(job.epoch + 1);
  const list = [
    tile('Loss', number(job.loss), job.first_loss === null ? null : `${number(job.first_loss)} at the start`),
    tile('Validation loss', number(job.val_loss)),
    tile('Epoch', job.step > 0 ? epoch : NONE),
    tile('Step time', job.step_seconds > 0 ? duration(job.step_seconds) : NONE, job.last_step_at ? ['last ', ago(job.last_step_at)] : null),
    tile('Samples/s', job.samples_per_second > 0 ? number(job.samples_per_second) : NONE),
    tile('Tokens/s', job.tokens_per_second > 0 ? number(job.tokens_per_second) : NONE),
    tile('Of the ceiling', job.ceiling_ratio > 0 ? percent(job.ceiling_ratio, 1) : NONE, job.flops_per_second > 0 ? `${number(job.flops_per_second).replace(/(?=[kMGT]$)/, ' ')}FLOP/s` : null),
    tile('Goodput', job.goodput_ratio > 0 ? percent(job.goodput_ratio, 1) : NONE),
    tile('Workers', whole(job.workers), job.spec?.workers ? `of ${job.spec.workers.min ?? 1} to ${job.spec.workers.max ?? 1}` : null),
    tile('Restarts', whole(job.restarts), job.lost_steps > 0 ? `${counted(job.lost_steps, 'step')} done again` : null),
    tile('Checkpoint', job.checkpoint ? `step ${whole(job.checkpoint_step)}` : NONE,
      job.checkpoint_blocked_seconds > 0 ? `held the step up ${duration(job.checkpoint_blocked_seconds)}` : null),
    tile('Priority', whole(job.priority)),
    tile('Owner', job.owner ?? NONE),
    tile('Submitted', ago(job.created_at), job.attempt > 1 ? `attempt ${job.attempt}` : null),
  ];
  return h('dl', { class: 'tiles', key: 'tiles' }, list);
}

export function phases(job) {
  const times = job.step_times;
  const shares = PHASES.map(([name, colour]) => [name, times?.[name] ?? 0, colour]);
  const measured = shares.reduce((sum, [, value]) => sum + value, 0);
  if (!(measured > 0)) return section('phases', 'Phases of a step', h('p', { class: 'empty' }, 'Nothing measured yet.'));
  const total = Math.max(measured, job.step_seconds || 0);
  const rest = total - measured;
  return section('phases', 'Phases of a step', stack('A step', shares, total),
    legend([...shares, ...(rest > 0.005 * total ? [['other', rest, 'rest']] : [])], total),
    h('p', { class: 'small' }, `Of rank 0, mean of the last steps: ${duration(total)} a step.`));
}

export function ranks(job) {
  const rows = (job.ranks ?? []).map((r) => [r.rank, [
    whole(r.rank), [r.host || NONE, h('div', { class: 'small mono' }, r.worker_id)], r.phase && r.phase !== 'UNSPECIFIED' ? word(r.phase) : NONE,
    whole(r.step), r.compute_seconds > 0 ? duration(r.compute_seconds) : NONE, slowness(r.slowness, r.straggler), beat(r.beat_age_seconds)]]);
  return section('ranks', 'Ranks', table('Ranks',
    [['Rank', 'num'], ['Worker', ''], ['Phase', 'tight'], ['Step', 'num'], ['Before the collective', 'num'], ['Slowness', 'num'], ['Last beat', 'num']],
    rows, 'No trainers now.'));
}

function recovery(one, longest) {
  const shares = PARTS.map(([name, field, colour]) => [name, one[field] ?? 0, colour]);
  const who = one.rank >= 0 ? `rank ${one.rank}${one.host ? ` on ${one.host}` : ''}` : '';
  const went = [one.complete ? `${duration(one.total_seconds)} in all` : 'under way', `on from step ${whole(one.from_step)}`,
    one.source ? `state from ${one.source}` : '', counted(one.workers, 'worker'),
    one.lost_steps > 0 ? `${counted(one.lost_steps, 'step')} done again` : 'no step lost'];
  return h('li', { key: `${one.generation}-${one.detected_at}` },
    h('div', { class: 'row spread middle' }, h('span', {}, h('strong', {}, one.reason), who ? ` · ${who}` : ''), h('span', { class: 'small' }, moment(one.detected_at))),
    h('p', { class: 'small' }, one.message),
    stack(`Recovery of generation ${one.generation}`, shares, longest),
    h('p', { class: 'small' }, `${shares.filter(([, v]) => v > 0).map(([n, v]) => `${n} ${duration(v)}`).join(' · ') || 'no times yet'} — ${went.filter(Boolean).join(', ')}`));
}

export function recoveries(job) {
  const list = job.recoveries ?? [];
  if (list.length === 0) return section('recoveries', 'Recoveries', h('p', { class: 'empty' }, 'Nothing had to be recovered from.'));
  const sum = (one) => PARTS.reduce((total, [, field]) => total + (one[field] ?? 0), 0);
  const longest = Math.max(1e-6, ...list.map(sum));
  const older = job.recovery_count - list.length;
  return section('recoveries', 'Recoveries', legend(PARTS.map(([name, , colour]) => [name, undefined, colour])),
    h('ol', { class: 'timeline' }, [...list].reverse().map((one) => recovery(one, longest))),
    older > 0 ? h('p', { class: 'small' }, `${counted(older, 'older one')} not kept.`) : null);
}

export function checkpoints(list) {
  const rows = (list ?? []).map((c) => [c.name, [
    [h('span', { class: 'mono' }, c.name), c.newest_good ? [' ', h('span', { class: 'badge good' }, 'newest good')] : null],
    whole(c.step), number(c.val_loss), bytes(c.bytes), ago(c.written_at),
    c.problem ? h('span', { class: 'badge bad', title: c.problem }, c.problem) : 'good']]);
  return section('checkpoints', 'Checkpoints', table('Checkpoints',
    [['Name', 'wide'], ['Step', 'num'], ['Validation loss', 'num'], ['Size', 'num'], ['Written', 'num'], ['Condition', '']],
    rows, list === null ? 'Loading' : 'None written yet.'));
}

export function events(list, dropped) {
  const rows = [...list].reverse().slice(0, 200).map((e) => [e.sequence, [
    h('span', { class: 'nowrap' }, moment(e.at)), e.kind, [e.state && e.state !== 'UNSPECIFIED' ? [badge(e.state), ' '] : null, e.reason ?? ''],
    e.message, e.actor || NONE]]);
  const hidden = Math.max(0, list.length - 200) + dropped;
  return section('events', 'Events', h('div', { class: 'boxed', tabindex: '0', role: 'group', 'aria-label': 'List of events' },
    table('Events', [['Time', 'tight'], ['Kind', 'tight'], ['State and reason', ''], ['Message', 'wide'], ['By', '']], rows, 'None yet.')),
    hidden > 0 ? h('p', { class: 'small' }, `${counted(hidden, 'older one')} not shown.`) : null);
}

// As YAML, which is what people write.
export function yaml(value, indent = '') {
  return Object.entries(value).map(([key, one]) => (one !== null && typeof one === 'object'
    ? `${indent}${key}:\n${yaml(one, `${indent}  `)}` : `${indent}${key}: ${typeof one === 'string' ? JSON.stringify(one) : one}\n`)).join('');
}

export function spec(job) {
  const facts = [['Run folder', job.run_folder], ['Newest checkpoint', leaf(job.checkpoint)], ['Labels', labelsText(job.labels)],
    ['Retry of', job.retry_of], ['Generation', whole(job.generation)], ['Data set', job.manifest_digest?.slice(0, 16)]];
  return section('spec', 'Specification', h('dl', { class: 'tiles facts' }, facts.filter(([, value]) => value && value !== NONE).map(([label, value]) => tile(label, h('span', { class: 'mono' }, value)))),
    h('details', {}, h('summary', {}, 'Every value'), h('pre', { class: 'spec', id: 'spec-text' }, yaml(job.spec ?? {}))));
}
