// One episode as a conversation between the roles; or two of a task, side by side.
import { ask } from './data.js';
import { choose, h, known, number, pair } from './dom.js';
import { outcome, phase } from './episodes.js';

export const title = (query) => 'Episode of ' + (query.run || '');

// How likely a token was when it was drawn: from this probability on, by what it is seen.
const LEVELS = [[0.9, 'likely', '0.9 and more'], [0.5, 'rather', '0.5 to 0.9'], [0.1, 'hardly', '0.1 to 0.5, dotted'], [0, 'unlikely', 'below 0.1, underlined']];
const levelOf = (logp) => LEVELS.find(([least]) => Math.exp(logp) >= least) || LEVELS.at(-1);

// [{text, logp}] of an action, or null: it does not say, or not of this text. Tokens that only together make a
// character are one; at the end may be one without a text, which ended it.
function tokens(action) {
  const { token_bytes: sizes, token_logps: logps } = action, text = new TextEncoder().encode(action.text ?? ''), found = [];
  if (!Array.isArray(sizes) || !Array.isArray(logps) || sizes.length !== logps.length || !sizes.every((n) => Number.isInteger(n) && n >= 0) || !logps.every(known)) return null;
  let at = 0, sum = 0;
  sizes.forEach((size, i) => {
    sum += logps[i];
    if (!size && i < sizes.length - 1) return;
    found.push({ text: size ? new TextDecoder().decode(text.subarray(at, at + size)) : '\u220e', logp: sum });
    at += size;
    sum = 0;
  });
  return at === text.length ? found : null;
}

const perToken = (list) => list.reduce((sum, token) => sum + token.logp, 0) / list.length;

function shadedByToken(list) {
  return h('pre', null, list.map(({ text, logp }) => h('span', { class: 'token ' + levelOf(logp)[1], title: `${JSON.stringify(text)}: log-probability ${number(logp)}, ${number(Math.exp(logp) * 100)}%` }, text)));
}

// Blue is above the group's mean, orange below; the number beside it says the same.
function shadedAlike(text, advantage) {
  const pre = h('pre', null, text);
  if (known(advantage)) {
    const of = advantage >= 0 ? '--up' : '--down', strength = Math.min(Math.abs(advantage) / 2, 1) * 0.3;
    const colour = getComputedStyle(document.documentElement).getPropertyValue(of);
    pre.style.backgroundColor = `rgba(${colour}, ${strength.toFixed(3)})`;
  }
  return pre;
}

function shaded(action, by) {
  const list = by === 'logp' && tokens(action);
  return list ? shadedByToken(list) : shadedAlike(action.text ?? '', by === 'advantage' && action.advantage);
}

function legend(by) {
  return by === 'logp'
    ? h('ul', { class: 'legend' }, h('li', null, 'Probability of each token when it was drawn:'), LEVELS.map(([, name, text]) => h('li', null, h('span', { class: 'token ' + name }, text))), h('li', null, '\u220e ended the text'))
    : h('p', { class: 'legend' }, 'All tokens of a completion share its advantage: blue above 0, orange below; the number stands beside its role.');
}

function said(action, by) {
  const facts = [number(action.tokens) + ' tokens'];
  const list = tokens(action);
  if (list && list.length) facts.push(`${number(perToken(list))} log-probability per token`);
  if (known(action.advantage)) facts.push(`advantage ${action.advantage >= 0 ? '+' : ''}${number(action.advantage)}`);
  if (action.truncated) facts.push('cut by the limit');
  if (action.tokens_read) facts.push(`read ${number(action.tokens_read)} tokens of others`);
  return h('section', { class: 'said' }, h('h3', null, String(action.role), h('span', null, facts.join(', '))),
    action.prompt && h('details', null, h('summary', null, 'what it saw'), h('pre', null, action.prompt)),
    shaded(action, by));
}

function tool(role, found) {
  return h('section', { class: 'said' }, h('h3', null, 'tool of ' + role, outcome(found)), h('pre', null, found.verdict ?? ''));
}

function turn(t, i, by) {
  const seen = Object.entries(t.observed || {}).filter(([, text]) => typeof text === 'string');
  return [h('h2', null, 'Turn ' + (i + 1)),
    seen.map(([role, text]) => h('section', { class: 'said' }, h('h3', null, 'the environment to ' + role), h('pre', null, text))),
    (t.actions || []).map((action) => said(action, by)), Object.entries(t.tools || {}).map(([role, found]) => tool(role, found))];
}

function worth(reward) {
  const parts = Object.entries(reward.parts || {}).map(([name, value]) => pair(name, number(value)));
  return [h('h2', null, 'Verdict'), h('p', null, outcome(reward), ' ', reward.verdict || ''),
    h('dl', null, ['reward', 'quality', 'speed', 'cost', 'agreement'].filter((key) => known(reward[key])).map((key) => pair(key, number(reward[key])))),
    parts.length > 0 && h('h3', null, 'Parts'), h('dl', null, parts)];
}

function column(e, by) {
  if (e.error) return h('article', null, h('p', { class: 'bad', role: 'alert' }, e.error.message));
  const task = e.task || {};
  return h('article', null,
    h('h2', null, `Step ${e.step}, ${phase(e.phase)}`),
    h('p', null, outcome(e.reward || {}), ` reward ${number((e.reward || {}).reward)}`),
    h('pre', null, task.brief || task.id || ''), task.given && h('details', null, h('summary', null, 'given'), h('pre', null, String(task.given))),
    (e.turns || []).map((t, i) => turn(t, i, by)), worth(e.reward || {}),
    e.artifact && h('details', null, h('summary', null, 'what the team handed in'), h('pre', null, String(e.artifact))));
}

export function page(query) {
  const node = h('div', null, h('p', { class: 'faint' }, 'Reading it.'));
  let read = false;
  async function update() {
    if (read) return;
    read = true;
    const at = [query.with, query.at].filter((place) => place !== undefined);
    const list = await Promise.all(at.map((place) => ask('api/episode', { run: query.run, at: place }).catch((error) => ({ error }))));
    list.sort((a, b) => a.step - b.step);
    const any = (has) => list.some((e) => (e.turns || []).some((t) => (t.actions || []).some(has)));
    const ways = [any(tokens) && ['logp', 'log-probability'], any((a) => known(a.advantage)) && ['advantage', 'advantage']].filter(Boolean);
    const below = h('div');
    const draw = (by) => below.replaceChildren(by ? legend(by) : h('p', { class: 'faint' }, 'Nothing is shaded: neither advantages nor log-probabilities of its tokens are written down.'),
      h('div', { class: 'pair' }, list.map((e) => column(e, by))));
    node.replaceChildren(h('p', null, h('a', { href: '#episodes?' + new URLSearchParams({ run: query.run }) }, 'All episodes')),
      ways.length > 0 && h('div', { class: 'filters' }, choose('Shade by', ways, ways[0][0], draw)) || '', below);
    draw(ways.length > 0 && ways[0][0]);
  }
  return { node, update };
}
