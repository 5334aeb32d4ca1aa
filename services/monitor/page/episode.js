// One episode as a conversation between the roles; or two of a task, side by side.
import { ask } from './data.js';
import { h, known, number, pair } from './dom.js';
import { outcome, phase } from './episodes.js';

export const title = (query) => 'Episode of ' + (query.run || '');

// Blue is above the group's mean, orange below; the number beside it says the same.
function shaded(text, advantage) {
  const pre = h('pre', null, text);
  if (known(advantage)) {
    const of = advantage >= 0 ? '--up' : '--down', strength = Math.min(Math.abs(advantage) / 2, 1) * 0.3;
    const colour = getComputedStyle(document.documentElement).getPropertyValue(of);
    pre.style.backgroundColor = `rgba(${colour}, ${strength.toFixed(3)})`;
  }
  return pre;
}

function said(action) {
  const facts = [number(action.tokens) + ' tokens'];
  if (known(action.advantage)) facts.push(`advantage ${action.advantage >= 0 ? '+' : ''}${number(action.advantage)}`);
  if (action.truncated) facts.push('cut by the limit');
  if (action.tokens_read) facts.push(`read ${number(action.tokens_read)} tokens of others`);
  return h('section', { class: 'said' }, h('h3', null, String(action.role), h('span', null, facts.join(', '))),
    action.prompt && h('details', null, h('summary', null, 'what it saw'), h('pre', null, action.prompt)),
    shaded(action.text ?? '', action.advantage));
}

function tool(role, found) {
  return h('section', { class: 'said' }, h('h3', null, 'tool of ' + role, outcome(found)), h('pre', null, found.verdict ?? ''));
}

function turn(t, i) {
  const seen = Object.entries(t.observed || {}).filter(([, text]) => typeof text === 'string');
  return [h('h2', null, 'Turn ' + (i + 1)),
    seen.map(([role, text]) => h('section', { class: 'said' }, h('h3', null, 'the environment to ' + role), h('pre', null, text))),
    (t.actions || []).map(said), Object.entries(t.tools || {}).map(([role, found]) => tool(role, found))];
}

function worth(reward) {
  const parts = Object.entries(reward.parts || {}).map(([name, value]) => pair(name, number(value)));
  return [h('h2', null, 'Verdict'), h('p', null, outcome(reward), ' ', reward.verdict || ''),
    h('dl', null, ['reward', 'quality', 'speed', 'cost', 'agreement'].filter((key) => known(reward[key])).map((key) => pair(key, number(reward[key])))),
    parts.length > 0 && h('h3', null, 'Parts'), h('dl', null, parts)];
}

function column(e) {
  if (e.error) return h('article', null, h('p', { class: 'bad', role: 'alert' }, e.error.message));
  const task = e.task || {};
  return h('article', null,
    h('h2', null, `Step ${e.step}, ${phase(e.phase)}`),
    h('p', null, outcome(e.reward || {}), ` reward ${number((e.reward || {}).reward)}`),
    h('pre', null, task.brief || task.id || ''), task.given && h('details', null, h('summary', null, 'given'), h('pre', null, String(task.given))),
    (e.turns || []).map(turn), worth(e.reward || {}),
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
    const worthOf = list.some((e) => (e.turns || []).some((t) => (t.actions || []).some((a) => known(a.advantage))));
    node.replaceChildren(h('p', null, h('a', { href: '#episodes?' + new URLSearchParams({ run: query.run }) }, 'All episodes')),
      h('p', { class: 'faint' }, worthOf
        ? 'A completion is shaded by its advantage, which all its tokens share. Transcripts hold no log-probabilities of single tokens.'
        : 'Nothing is shaded: there are no advantages for this episode, and transcripts hold no log-probabilities of single tokens.'),
      h('div', { class: 'pair' }, list.map(column)));
  }
  return { node, update };
}
