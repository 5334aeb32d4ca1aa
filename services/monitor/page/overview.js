// One run: what it maximises, how far it is, and how it learns.
import { draw } from './charts.js';
import { metrics, metricsBetween, runOf, state } from './data.js';
import { h, known, number, pair, rate, time } from './dom.js';

export const NONE = 'No run yet: start one, and it appears here.';

// A chart's lines are the keys that are there, or those that an expression finds, by what it catches.
const CHARTS = [
  { title: 'Joint reward, mean and spread', keys: [['reward_mean', 'reward']], spread: 'reward_std' },
  { title: 'Reward: its components', keys: [['quality_mean', 'quality'], ['speed_mean', 'speed'], ['cost_mean', 'cost']] },
  { title: 'Held-out pass rate, 95% interval', of: 'evaluations', keys: [['sampled', 'sampled'], ['greedy', 'greedy']], interval: true, min: 0, max: 1 },
  { title: 'Pass rate in training', keys: [['success', 'pass']], min: 0, max: 1 },
  { title: 'Tokens per completion, by role', find: /^role\/(.+)\/completion_tokens$/, keys: [['completion_tokens', 'all']] },
  { title: 'Critical path, tokens', keys: [['critical_path_tokens', 'critical path']] },
  { title: 'Entropy, nats per token', find: /^(?:role\/)?(.+?)\/entropy$|^entropy\/(.+)$/, keys: [['entropy', 'all']] },
  { title: 'KL to the first policy', find: /^kl\/(.+)$/, keys: [['kl', 'kl']] },
  { title: 'Clipped ratios, share of tokens', find: /^(clip_?\w*\/.+)$/, keys: [['clip', 'both'], ['clip_low', 'low'], ['clip_high', 'high'], ['clip_cispo', 'cispo']] },
  { title: 'Gradient norm, before it is clipped', find: /^gradient_norm\/(.+)$/, keys: [['gradient_norm', 'norm']] },
  { title: 'Groups with one reward: nothing to learn', keys: [['zero_spread', 'share']], min: 0, max: 1 },
  { title: 'Completions cut by their limit', find: /^role\/(.+)\/truncated$/, keys: [['truncated', 'all']] },
  { title: 'Tokens per second', keys: [['sampled_tokens_per_s', 'sampled'], ['trained_tokens_per_s', 'trained']] },
  { title: 'Where a step\'s time goes, share', of: 'shares', keys: [['train_s', 'updating'], ['sample_s', 'waiting for groups'], ['evaluate_s', 'evaluating'], ['value_s', 'critic']], min: 0, max: 1 },
  { title: 'Versions behind: samples, agents', find: /^lag\/(.+)$/, keys: [['staleness', 'samples']] },
  { title: 'Parts of the score', find: /^part\/(.+)$/, keys: [], most: 8 },
];

function lines(chart, columns) {
  const found = chart.keys.filter(([key]) => columns[key]);
  for (const key of Object.keys(columns)) {
    const caught = chart.find && key.match(chart.find);
    if (caught) found.push([key, caught.slice(1).find((text) => text)]);
  }
  return found.slice(0, chart.most || 6).map(([key, label]) => {
    const line = { label, x: columns.step, y: columns[key] };
    if (chart.spread && columns[chart.spread]) {
      line.low = line.y.map((y, i) => y - columns[chart.spread][i]);
      line.high = line.y.map((y, i) => y + columns[chart.spread][i]);
    } else if (chart.interval && columns[key + '_low']) {
      line.low = columns[key + '_low'];
      line.high = columns[key + '_high'];
    }
    return line;
  });
}

// Parts of a step's time, of it.
function shares(steps) {
  const all = { step: steps.step };
  for (const key of ['train_s', 'sample_s', 'evaluate_s', 'value_s'])
    if (steps[key] && steps[key].some((s) => s > 0))
      all[key] = steps[key].map((s, i) => (known(s) && steps.step_s[i] > 0 ? s / steps.step_s[i] : null));
  return all;
}

// What a bus said that is gone holds no more.
function facts(run, heard) {
  const left = heard && run.live && known(run.eta_s), words = run.words || {}, rows = [
    pair('State', run.state + (heard && run.doing ? ', ' + run.doing : '')),
    pair('Step', known(run.step) ? run.step + (known(run.steps) ? ' of ' + run.steps : '') : '-'),
    pair(left ? 'Left' : 'Took', time(left ? run.eta_s : run.wall_s)),
    pair('Reward', number(run.reward)),
    pair('Held-out pass rate, first', rate(run.before, 'sampled')),
    pair('Held-out pass rate, newest', rate(run.after, 'sampled')),
    pair('Roles', (words.roles || []).join(', ') || '-'),
    pair('Family', words.family || '-'),
    pair('Model', words.model || '-'),
    pair('Seed', known(words.seed) ? String(words.seed) : '-'),
  ];
  return h('div', null, h('dl', null, rows), run.note && h('p', { class: 'bad' }, 'Note: ' + run.note),
    run.unreadable && h('p', { class: 'bad' }, `${run.unreadable} of the lines of its numbers cannot be read and are left out, first line ${run.first_unreadable}.`),
    words.objective && h('details', { open: true }, h('summary', null, 'What it maximises'), h('pre', null, words.objective.trim())));
}

export const title = (query) => 'Run ' + (query.run || '');

export function page(query) {
  const top = h('div'), plots = h('div', { class: 'plots' }), figures = CHARTS.map(() => h('figure'));
  const said = h('p', { class: 'faint', role: 'status' }, 'Reading its numbers.');
  let read = -1, told = '', range = ['', ''];
  const field = (i, label) => {
    const input = h('input', { type: 'number', min: 0, onchange: () => {
      range = range.with(i, input.value);
      read = -1;
      update().catch((error) => { said.textContent = error.message; });
    } });
    return h('label', null, label + ' ', input);
  };
  const filters = h('div', { class: 'filters' }, field(0, 'Steps from'), field(1, 'to'));
  const numbers = () => (range.some(Boolean) ? metricsBetween(query.run, range[0] || 0, range[1] || Number.MAX_SAFE_INTEGER) : metrics(query.run));
  async function update() {
    const run = runOf(query.run);
    if (!run) return top.replaceChildren(h('p', null, query.run ? `There is no run '${query.run}'.` : NONE));
    const words = JSON.stringify([run, state.now.bus]);
    if (words !== told) top.replaceChildren(facts(run, state.now.bus));
    told = words;
    if (run.metrics === read) return;
    read = run.metrics;
    const file = await numbers();
    const of = { steps: file.steps, evaluations: file.evaluations, shares: file.steps.step ? shares(file.steps) : {} };
    CHARTS.forEach((chart, i) => {
      const has = lines(chart, of[chart.of || 'steps']);
      if (!has.length) return figures[i].remove();
      if (!figures[i].isConnected) plots.insertBefore(figures[i], figures.slice(i + 1).find((f) => f.isConnected) || null);
      draw(figures[i], { title: chart.title, lines: has, min: chart.min, max: chart.max });
    });
    said.textContent = !file.steps.rows ? (range.some(Boolean) ? 'No step is there.' : 'No step is done yet.')
      : file.every > 1 ? `One of ${file.every} steps is drawn; of fewer steps all are.` : '';
  }
  return { node: h('div', null, top, filters, said, plots), update };
}
