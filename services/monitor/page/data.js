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

async function take(event) {
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
  source.onmessage = take;
  source.onerror = () => {
    state.connected = false;
    tell();
  };
}

export function stream() {
  document.addEventListener('visibilitychange', connect);
  connect();
}

// ---- files of a run, read a window at a time ----

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

const empty = () => ({ next: 0, steps: { rows: 0 }, evaluations: { rows: 0 }, episodes: [], faults: [], lines: 0 });
const files = new Map(); // the last few runs' that were looked at
const KEPT = 24, EPISODES = 20000, FAULTS = 20;

function fileOf(kind, run) {
  const key = kind + '/' + run, file = files.get(key) || empty();
  files.delete(key);
  files.set(key, file);
  while (files.size > KEPT) files.delete(files.keys().next().value);
  return file;
}

async function grow(kind, run) {
  const file = fileOf(kind, run);
  if (file.busy) return file.busy;
  file.busy = (async () => {
    let more = true;
    while (more) {
      const window = await ask('api/' + kind, { run, from: file.next });
      if (window.again) Object.assign(file, empty());
      if (window.steps) {
        append(file.steps, window.steps);
        append(file.evaluations, window.evaluations);
      } else {
        file.episodes.push(...window.episodes);
        file.episodes.splice(0, file.episodes.length - EPISODES);
        file.faults.push(...window.faults.map((f) => ({ ...f, line: file.lines + f.line })));
        file.faults.splice(FAULTS);
        file.lines += window.lines;
      }
      file.next = window.next;
      more = window.more;
    }
    return file;
  })();
  try {
    return await file.busy;
  } finally {
    file.busy = null;
  }
}

export const metrics = (run) => grow('metrics', run);
export const episodes = (run) => grow('episodes', run);
