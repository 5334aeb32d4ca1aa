// Runs, and arms of an experiment (EXPERIMENT/ARM/seed-N), over each other.
import { draw } from './charts.js';
import { metrics, runOf, state } from './data.js';
import { choose, h, known, number, rate, table } from './dom.js';

const MOST = 12;
const WHAT = [['reward_mean', 'joint reward'], ['success', 'pass rate in training'], ['sampled', 'held-out pass rate, sampled'], ['greedy', 'held-out pass rate, greedy'],
  ['quality_mean', 'quality'], ['critical_path_tokens', 'critical path, tokens'], ['entropy', 'entropy'], ['completion_tokens', 'tokens per completion'], ['gradient_norm', 'gradient norm'], ['step_s', 'seconds per step']];

export const title = () => 'Compare runs';

const armOf = (name) => name.replace(/\/seed-\d+$/, '');

// The mean over an arm's runs where all of them have the step, and their range.
function merged(label, lines) {
  if (lines.length === 1) return { ...lines[0], label };
  const at = new Map();
  for (const line of lines) line.x.forEach((x, i) => known(line.y[i]) && at.set(x, (at.get(x) || []).concat(line.y[i])));
  const x = [...at.keys()].filter((key) => at.get(key).length === lines.length).sort((a, b) => a - b);
  const of = (f) => x.map((key) => f(at.get(key)));
  return { label: `${label} (mean of ${lines.length})`, x, y: of((v) => v.reduce((a, b) => a + b) / v.length), low: of((v) => Math.min(...v)), high: of((v) => Math.max(...v)) };
}

export function page(query) {
  const chosen = new Set((query.runs || query.run || '').split(',').filter(Boolean));
  let what = 'reward_mean', arms = true, told = '';
  const choices = h('fieldset', { class: 'choices' }), figure = h('figure', { class: 'tall' }), results = h('div');
  const filters = h('div', { class: 'filters' }, choose('Show', WHAT, what, (v) => { what = v; told = ''; update(); }),
    choose('Seeds', [['arms', 'joined to arms'], ['runs', 'each by itself']], 'arms', (v) => { arms = v === 'arms'; told = ''; update(); }));
  function drawChoices() {
    const boxes = state.runs.toReversed().map((run) => {
      const box = h('input', { type: 'checkbox', checked: chosen.has(run.name), disabled: !chosen.has(run.name) && chosen.size >= MOST, onchange: () => {
        if (box.checked) chosen.add(run.name);
        else chosen.delete(run.name);
        told = '';
        update();
      } });
      return h('label', null, box, ' ', h('span', null, run.name));
    });
    choices.replaceChildren(h('legend', null, `Runs, ${MOST} at most`), ...boxes);
  }
  async function update() {
    const runs = [...chosen].map(runOf).filter(Boolean);
    const words = JSON.stringify([runs.map((r) => [r.name, r.metrics, r.state]), state.now.list, what, arms]);
    if (words === told) return;
    const focused = choices.contains(document.activeElement) ? [...choices.querySelectorAll('input')].indexOf(document.activeElement) : -1;
    told = words;
    drawChoices();
    if (focused >= 0) choices.querySelectorAll('input')[focused]?.focus();
    const files = await Promise.all(runs.map((r) => metrics(r.name)));
    const groups = new Map();
    runs.forEach((run, i) => {
      const of = files[i].steps[what] ? files[i].steps : files[i].evaluations, key = arms ? armOf(run.name) : run.name;
      if (of[what]) groups.set(key, (groups.get(key) || []).concat({ label: run.name, x: of.step, y: of[what] }));
    });
    const lines = [...groups].map(([label, list]) => merged(label, list));
    if (lines.length) draw(figure, { title: WHAT.find(([key]) => key === what)[1], lines });
    results.replaceChildren(table('Results', [{ title: 'Run', name: true }, { title: 'State', name: true }, { title: 'Steps', n: true }, { title: 'Pass rate, first', n: true }, { title: 'newest [95% interval]', n: true },
      { title: 'Greedy, newest', n: true }, { title: 'Quality', n: true }, { title: 'Critical path', n: true }],
    runs.map((r) => [h('a', { href: '#overview?' + new URLSearchParams({ run: r.name }) }, r.name), r.state, number(r.step), rate(r.before, 'sampled'), rate(r.after, 'sampled'),
      rate(r.after, 'greedy'), number(r.after?.quality), number(r.after?.critical_path_tokens)])));
  }
  return { node: h('div', null, choices, filters, figure, results), update };
}
