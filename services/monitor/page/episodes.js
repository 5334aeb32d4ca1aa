// Episodes of a run: filtered, sorted, each with its place in the file.
import { episodes, runOf } from './data.js';
import { NONE } from './overview.js';
import { choose, h, number, table } from './dom.js';

const SHOWN = 100;
const PHASES = { train: 'training', 'eval-sampled': 'held out, sampled', 'eval-greedy': 'held out, greedy' };
const ORDERS = {
  newest: ['newest first', (a, b) => b.step - a.step || b.at - a.at],
  best: ['best reward first', (a, b) => (b.reward ?? -Infinity) - (a.reward ?? -Infinity)],
  worst: ['worst reward first', (a, b) => (a.reward ?? Infinity) - (b.reward ?? Infinity)],
  longest: ['most tokens first', (a, b) => b.tokens - a.tokens],
};

export const outcome = (e) => (e.success === true ? h('span', { class: 'good' }, '✓ passed')
  : e.success === false ? h('span', { class: 'bad' }, '✗ failed') : h('span', { class: 'faint' }, 'not said'));
export const phase = (name) => PHASES[name] || name;
export const title = (query) => 'Episodes of ' + (query.run || '');

// An earlier and a later episode of its task and phase, to be read side by side.
function other(list, e) {
  const same = list.filter((o) => o.task === e.task && o.phase === e.phase && o.step !== e.step);
  return same.findLast((o) => o.step < e.step) || same[0];
}

export function page(query) {
  const wanted = { phase: '', role: '', outcome: '', order: 'newest', from: '', to: '', words: '', most: SHOWN };
  const filters = h('div', { class: 'filters' }), found = h('div'), faults = h('div');
  let list = [], read = -1, roles = '';
  function set(key, value) {
    wanted[key] = value;
    if (key !== 'most') wanted.most = SHOWN;
    draw();
  }
  const input = (key, label, attributes) => {
    const field = h('input', { ...attributes, oninput: () => set(key, field.value) });
    return h('label', null, label + ' ', field);
  };
  function drawFilters(names) {
    const any = (text) => [['', text]];
    filters.replaceChildren(
      choose('Played', any('all').concat(Object.entries(PHASES)), wanted.phase, (v) => set('phase', v)),
      choose('Role', any('any').concat(names.map((r) => [r, r])), wanted.role, (v) => set('role', v)),
      choose('Outcome', any('any').concat([['true', 'passed'], ['false', 'failed']]), wanted.outcome, (v) => set('outcome', v)),
      input('from', 'Step from', { type: 'number', min: 0 }), input('to', 'to', { type: 'number', min: 0 }),
      input('words', 'Words', { type: 'search' }),
      choose('Order', Object.entries(ORDERS).map(([key, [text]]) => [key, text]), wanted.order, (v) => set('order', v)));
  }
  function passes(e) {
    const words = wanted.words.toLowerCase();
    return (!wanted.phase || e.phase === wanted.phase) && (!wanted.role || (e.roles || []).includes(wanted.role)) &&
      (!wanted.outcome || String(e.success) === wanted.outcome) && (wanted.from === '' || e.step >= Number(wanted.from)) &&
      (wanted.to === '' || e.step <= Number(wanted.to)) &&
      (!words || [e.task, e.brief, e.verdict].some((text) => (text || '').toLowerCase().includes(words)));
  }
  function row(e) {
    const same = other(list, e), address = (more) => '#episode?' + new URLSearchParams({ run: query.run, at: e.at, ...more });
    return [h('a', { href: address({}) }, String(e.step)), phase(e.phase), outcome(e), number(e.reward), number(e.tokens), String(e.turns),
      h('span', null, e.brief || e.task || '-', ' ', h('span', { class: 'faint' }, e.verdict || '')),
      same ? h('a', { href: address({ with: same.at }) }, 'beside step ' + same.step) : ''];
  }
  function draw() {
    const fit = list.filter(passes).sort(ORDERS[wanted.order][1]);
    found.replaceChildren(h('p', { class: 'faint', role: 'status' }, `${fit.length} of ${list.length} episodes`),
      table('Episodes', [{ title: 'Step' }, { title: 'Played', name: true }, { title: 'Outcome', name: true }, { title: 'Reward', n: true },
        { title: 'Tokens', n: true }, { title: 'Turns', n: true }, { title: 'Task and verdict', words: true }, { title: 'Same task', name: true }],
      fit.slice(0, wanted.most).map(row), true),
      fit.length > wanted.most && h('p', null, h('button', { onclick: () => set('most', wanted.most + SHOWN) }, 'Show more')) || '');
  }
  async function update() {
    const run = runOf(query.run);
    if (!run) return found.replaceChildren(h('p', null, query.run ? `There is no run '${query.run}'.` : NONE));
    if (run.episodes === read) return;
    if (!run.episodes) return found.replaceChildren(h('p', null, 'None is written down yet: one is at every step, and a few at every evaluation.'));
    read = run.episodes;
    const file = await episodes(query.run);
    list = file.episodes;
    faults.replaceChildren(...file.faults.map((f) => h('p', { class: 'bad' }, `Line ${f.line} of its episodes cannot be read: ${f.fault}.`)));
    const names = [...new Set(list.flatMap((e) => e.roles || []))];
    if (names.join() !== roles || !filters.firstChild) drawFilters(names);
    roles = names.join();
    draw();
  }
  return { node: h('div', null, filters, faults, found), update };
}
