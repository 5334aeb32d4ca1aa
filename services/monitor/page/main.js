// Which page is shown: the part of the address behind '#', such as #episodes?run=coding.
import { forget } from './charts.js';
import { listen, login, readRuns, Refused, state, stream } from './data.js';
import { h } from './dom.js';
import * as overview from './overview.js';
import * as episodes from './episodes.js';
import * as episode from './episode.js';
import * as services from './services.js';
import * as compare from './compare.js';

const PAGES = { overview, episodes, services, compare, episode };
const NAMED = { overview: 'Overview', episodes: 'Episodes', services: 'Services', compare: 'Compare' };
const main = document.getElementById('page'), nav = document.getElementById('nav');
const select = document.getElementById('run'), live = document.getElementById('live');
let shown = null, at; // the page, and where it is: an address that names no run stays with the one it began with

function where() {
  const [name, rest] = location.hash.slice(1).split('?');
  const query = Object.fromEntries(new URLSearchParams(rest || ''));
  // Where none is named, the newest that goes on, or else the newest that is no part of another one.
  const whole = (run) => !state.runs.some((other) => run.name.startsWith(other.name + '/'));
  query.run ||= (state.now.runs.at(-1) || state.runs.findLast(whole) || {}).name;
  return { name: PAGES[name] ? name : 'overview', query };
}

const address = (name, query) => '#' + name + '?' + new URLSearchParams(query);

function drawHead({ name, query }) {
  nav.replaceChildren(...Object.entries(NAMED).map(([key, text]) =>
    h('a', { href: address(key, query.run ? { run: query.run } : {}), 'aria-current': key === name ? 'page' : null }, text)));
  select.replaceChildren(...state.runs.toReversed().map((run) =>
    h('option', { value: run.name, selected: run.name === query.run }, `${run.name} (${run.state})`)));
  select.disabled = !state.runs.length;
  document.title = PAGES[name].title(query) + ' - Quintet';
}

function drawLive() {
  const now = state.now;
  live.textContent = !state.connected ? 'not connected'
    : !now.bus ? 'no bus: what the folders hold'
      : `live: ${now.services} services${now.silent ? ', ' + now.silent + ' silent' : ''}`;
  live.className = state.connected && !now.silent ? 'good' : 'bad';
}

async function update() {
  drawLive();
  if (!shown) return;
  const page = shown;
  try {
    await page.update();
  } catch (error) {
    if (page === shown) main.querySelector('.error')?.remove();
    if (page === shown) main.append(h('p', { class: 'error bad', role: 'alert' }, error.message));
  }
}

function show() {
  const focus = shown !== null;
  at = where();
  forget();
  drawHead(at);
  shown = PAGES[at.name].page(at.query);
  main.replaceChildren(h('h1', null, PAGES[at.name].title(at.query)), shown.node);
  if (focus) main.focus();
  scrollTo(0, 0);
  update();
}

function askToken(why) {
  const input = h('input', { type: 'password', autocomplete: 'current-password', required: true });
  const said = h('p', { class: 'bad', role: 'alert' }, why);
  const form = h('form', { class: 'login', onsubmit: async (event) => {
    event.preventDefault();
    await login(input.value).then(start, (error) => { said.textContent = error.message; });
  } }, h('p', null, 'The monitor asks for its token.'), h('label', null, 'Token ', input), h('button', null, 'Look'), said);
  main.replaceChildren(h('h1', null, 'Quintet'), form);
  input.focus();
}

async function start() {
  try {
    await readRuns();
  } catch (error) {
    if (error instanceof Refused) return askToken('');
    throw error;
  }
  addEventListener('hashchange', show);
  select.addEventListener('change', () => {
    location.hash = address(at.name === 'episode' ? 'episodes' : at.name, { run: select.value });
  });
  let list;
  listen(() => {
    const changed = state.now.list !== list;
    list = state.now.list;
    if (shown && !at.query.run && where().query.run) return show();
    if (shown && changed) drawHead(at);
    update();
  });
  stream();
  show();
}

start();
