// What is known: asked of the monitor, and streamed by it.

export class Refused extends Error {}

export async function ask(path, query = {}) {
  const answer = await fetch(path + '?' + new URLSearchParams(query));
  if (answer.status === 401) throw new Refused('a token is needed');
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

export async function login(token) {
  const answer = await fetch('login', { headers: { Authorization: 'Bearer ' + token } });
  if (!answer.ok) throw new Refused('this is not the token');
}

export const state = { runs: [], now: { runs: [] }, connected: false };
const heard = new Set();

export function listen(what) {
  heard.add(what);
  return () => heard.delete(what);
}

export async function readRuns() {
  state.runs = (await ask('api/runs')).runs;
}

// The newest of a run: what was read of it, and over that what was streamed since.
export function runOf(name) {
  const run = state.runs.find((r) => r.name === name);
  return run && { ...run, ...state.now.runs.find((r) => r.name === name) };
}

let source = null, list;

const tell = () => heard.forEach((what) => what());

async function hear(event) {
  const now = JSON.parse(event.data);
  if (!now.runs) return;
  state.now = now;
  state.connected = true;
  if (list !== undefined && list !== now.list) await readRuns().catch(() => {});
  list = now.list;
  tell();
}

// A page that nobody sees streams nothing: a browser has few connections to one address, for all its tabs.
function connect() {
  const wanted = document.visibilityState === 'visible';
  if (wanted === Boolean(source)) return;
  if (!wanted) {
    source.close();
    source = null;
    return;
  }
  source = new EventSource('api/stream');
  source.onmessage = hear;
  source.onerror = () => {
    state.connected = false;
    tell();
  };
}

export function stream() {
  document.addEventListener('visibilitychange', connect);
  connect();
}

// ---- files of a run, read a window at a time; of many numbers a sample ----

function append(to, columns) {
  const before = to.rows;
  for (const [key, values] of Object.entries(columns)) {
    to[key] ||= Array(before).fill(null);
    for (const value of values) to[key].push(value);
    to.rows = Math.max(to.rows, before + values.length);
  }
  for (const key of Object.keys(to))
    if (key !== 'rows') while (to[key].length < to.rows) to[key].push(null);
}

const empty = () => ({ next: 0, every: 1, steps: { rows: 0 }, evaluations: { rows: 0 }, episodes: [], faults: [], lines: 0 });
const files = new Map(); // the last few runs' that were looked at
const KEPT = 24, EPISODES = 20000, FAULTS = 20, ROWS = 4096;

function fileOf(kind, run) {
  const key = kind + '/' + run, file = files.get(key) || empty();
  files.delete(key);
  files.set(key, file);
  while (files.size > KEPT) files.delete(files.keys().next().value);
  return file;
}

async function growEpisodes(run, file) {
  for (let more = true; more;) {
    const window = await ask('api/episodes', { run, from: file.next });
    if (window.again) Object.assign(file, empty());
    file.episodes.push(...window.episodes);
    file.episodes.splice(0, file.episodes.length - EPISODES);
    file.faults.push(...window.faults.map((f) => ({ ...f, line: file.lines + f.line })));
    file.faults.splice(FAULTS);
    file.lines += window.lines;
    file.next = window.next;
    more = window.more;
  }
}

function take(file, numbers) {
  append(file.steps, numbers.steps);
  append(file.evaluations, numbers.evaluations);
  file.every = numbers.every || file.every;
  file.next = numbers.next;
  return file;
}

// A sample is asked for anew when it would have a further step; all that is there grows, until it is too much.
async function growMetrics(run, file) {
  for (let more = true; more;) {
    const whole = !file.next || file.every > 1 || file.steps.rows > ROWS;
    if (file.every > 1 && runOf(run)?.step < file.steps.step.at(-1) + file.every) return;
    const numbers = await ask('api/metrics', whole ? { run } : { run, from: file.next });
    if (whole || numbers.again) Object.assign(file, empty());
    more = numbers.more || numbers.again;
    if (!numbers.again) take(file, numbers);
  }
}

async function grown(kind, run, grow) {
  const file = fileOf(kind, run);
  file.busy ||= grow(run, file).finally(() => { file.busy = null; });
  await file.busy;
  return file;
}

export const metrics = (run) => grown('metrics', run, growMetrics);
export const episodes = (run) => grown('episodes', run, growEpisodes);
export const metricsBetween = (run, first, last) => ask('api/metrics', { run, first, last }).then((numbers) => take(empty(), numbers));
