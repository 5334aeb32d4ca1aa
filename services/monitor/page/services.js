// Services: the bus and who is on it, by kind, and every instance.
import { ask, state } from './data.js';
import { h, known, number, pair, table, time } from './dom.js';

const KINDS = ['trainer', 'environment', 'agent', 'reward', 'critic'];

export const title = () => 'Services';

const sum = (list, key) => list.map((s) => s[key]).filter(known).reduce((a, b) => a + b, 0);
const most = (list, key) => Math.max(-Infinity, ...list.map((s) => s[key]).filter(known));

function card(kind, list) {
  const silent = list.filter((s) => s.state === 'silent').length, drops = sum(list, 'drops'), restarts = sum(list, 'restarts');
  const health = !list.length ? 'nobody' : silent ? `${silent} of ${list.length} silent` : 'all well';
  return h('section', { class: 'kind' + (kind === 'bus' ? ' bus' : '') + (silent || restarts ? ' trouble' : '') },
    h('strong', null, kind), ` × ${list.length} `, h('span', { class: silent ? 'bad' : list.length ? 'good' : 'faint' }, (silent ? '✗ ' : list.length ? '✓ ' : '') + health),
    h('dl', null, pair('in hand', number(sum(list, 'in_flight'))), pair('queue', number(sum(list, 'queue'))), pair('done/s', number(sum(list, 'done_per_s'), 1)),
      pair('p99, ms', number(most(list, 'p99_ms'))), pair('restarts', number(restarts)), pair('drops', number(drops))));
}

const COLUMNS = [
  ['Service', 'service'], ['Name', 'name'], ['Host', 'host'], ['State', 'state'], ['In hand', 'in_flight', number], ['Queue', 'queue', number],
  ['Done/s', 'done_per_s', (v) => number(v, 1)], ['p50, ms', 'p50_ms', number], ['p99, ms', 'p99_ms', number], ['Tokens/s', 'tokens_per_s', number],
  ['Version', 'version', number], ['Lag', 'lag', number], ['RSS, MB', 'rss_bytes', (v) => number(v / 1e6, 1)], ['CPU, %', 'cpu', (v) => number(v * 100, 1)],
  ['Drops', 'drops', number], ['Restarts', 'restarts', number], ['Up', 'uptime_s', time]];

export function page() {
  const node = h('div', null, h('p', { class: 'faint' }, 'Listening.'));
  const at = { map: h('div', { class: 'map' }), list: h('div'), waits: h('p', { role: 'status' }) };
  async function update() {
    const now = await ask('api/services');
    if (!now.services.length)
      return node.replaceChildren(h('p', null, state.now.refused ? `Only runs' folders are shown: ${state.now.refused}.`
        : state.now.bus ? 'Nobody has said its status yet.' : 'No bus is heard: --bus names its address.'));
    if (!at.map.isConnected) node.replaceChildren(at.waits, at.map, h('h2', null, 'Instances'), at.list);
    at.waits.textContent = now.waits + (state.now.lost ? `; ${state.now.lost} events did not reach this page` : '');
    const of = (kind) => now.services.filter((s) => s.service === kind);
    const others = [...new Set(now.services.map((s) => s.service))].filter((k) => k !== 'bus' && !KINDS.includes(k));
    at.map.replaceChildren(card('bus', of('bus')), ...KINDS.concat(others).filter((k) => k !== 'critic' || of(k).length).map((k) => card(k, of(k))));
    const scrolled = at.list.firstChild ? at.list.firstChild.scrollLeft : 0;
    at.list.replaceChildren(table('Instances', COLUMNS.map(([text, , format]) => ({ title: text, n: Boolean(format), name: !format })),
      now.services.map((s) => COLUMNS.map(([, key, format]) => (format ? format(s[key]) : String(s[key]))))));
    at.list.firstChild.scrollLeft = scrolled;
  }
  return { node, update };
}
