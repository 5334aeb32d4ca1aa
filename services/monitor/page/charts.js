// Lines over steps, drawn by Chart.js (served from here, too).
import { h, known, number } from './dom.js';

const POINTS = 400; // of a line: more are averaged
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 2], [12, 4]];
const COLOURS = ['one', 'two', 'three', 'four', 'five', 'six'];
const MARKS = ['circle', 'triangle', 'rect', 'star', 'cross', 'rectRot'];
const drawn = new Map();

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();

// [{x, y}] of what is known; of a long line means of equal pieces.
function points(x, y) {
  const all = [];
  for (let i = 0; i < x.length; i++) if (known(x[i]) && known(y[i])) all.push({ x: x[i], y: y[i] });
  if (all.length <= POINTS) return all;
  const few = [];
  for (let i = 0; i < POINTS; i++) {
    const from = Math.floor((i * all.length) / POINTS), to = Math.floor(((i + 1) * all.length) / POINTS);
    let sum = 0;
    for (let k = from; k < to; k++) sum += all[k].y;
    few.push({ x: all[to - 1].x, y: sum / (to - from) });
  }
  return few;
}

function datasets(lines) {
  const sets = [];
  lines.forEach((line, i) => {
    const c = colour(COLOURS[i % COLOURS.length]), data = points(line.x, line.y);
    sets.push({ label: line.label, data, borderColor: c, backgroundColor: c, borderWidth: 1.8,
      borderDash: DASHES[i % DASHES.length], pointStyle: MARKS[i % MARKS.length],
      pointRadius: data.length <= 12 ? 3 : 0, pointHitRadius: 8, tension: 0 });
    if (!line.low) return;
    const band = { borderWidth: 0, pointRadius: 0, pointHitRadius: 0, backgroundColor: c + '2e', band: true };
    sets.push({ ...band, label: line.label + ', low', data: points(line.x, line.low), fill: false });
    sets.push({ ...band, label: line.label + ', high', data: points(line.x, line.high), fill: '-1' });
  });
  return sets;
}

function options(spec) {
  // Of nothing but zeros an axis would show as much below as above.
  const flat = spec.min === undefined && spec.lines.every((line) => line.y.every((y) => !y));
  const ink = colour('faint'), grid = colour('line');
  return {
    animation: false, parsing: false, normalized: true, responsive: true, maintainAspectRatio: false,
    interaction: { mode: 'index', intersect: false, axis: 'x' },
    scales: {
      x: { type: 'linear', ticks: { color: ink, maxTicksLimit: 7, precision: 0 }, grid: { color: grid, drawTicks: false } },
      y: { min: flat ? 0 : spec.min, max: flat ? 1 : spec.max, ticks: { color: ink, maxTicksLimit: 5, callback: (v) => number(v, 3) }, grid: { color: grid, drawTicks: false } },
    },
    plugins: {
      legend: { display: false },
      tooltip: { filter: (item) => !item.dataset.band,
        callbacks: { title: (items) => (items.length ? 'step ' + items[0].parsed.x : ''), label: (item) => `${item.dataset.label} ${number(item.parsed.y, 4)}` } },
    },
  };
}

// What a line looks like, and what it is: Chart.js's own keys are too short for a dash to be seen.
function key(lines) {
  if (lines.length < 2) return [];
  return lines.map((line, i) => {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg'), path = document.createElementNS(svg.namespaceURI, 'path');
    svg.setAttribute('viewBox', '0 0 32 8');
    path.setAttribute('d', 'M0 4H32');
    path.setAttribute('stroke', colour(COLOURS[i % COLOURS.length]));
    path.setAttribute('stroke-width', 2);
    path.setAttribute('stroke-dasharray', DASHES[i % DASHES.length].join(' '));
    svg.append(path);
    return h('li', null, svg, line.label);
  });
}

const last = (values) => values.findLast(known);
const words = (spec) => spec.lines.map((l) => (spec.lines.length > 1 ? l.label + '\u00a0' : '') + number(last(l.y))).join(', ');

// spec: {title, lines: [{label, x, y, low, high}], min, max}. Draws into a figure that stays the same.
export function draw(figure, spec) {
  let chart = drawn.get(figure);
  const newest = spec.lines.length <= 4 ? words(spec) : spec.lines.length + ' lines';
  if (!chart) {
    const canvas = h('canvas', { role: 'img' });
    figure.replaceChildren(h('figcaption', null, h('b', null, spec.title), h('span')), h('div', { class: 'plot' }, canvas), h('ul', { class: 'key', 'aria-hidden': 'true' }));
    chart = new globalThis.Chart(canvas, { type: 'line', data: { datasets: [] }, options: options(spec) });
    drawn.set(figure, chart);
  }
  figure.querySelector('span').textContent = newest;
  figure.querySelector('canvas').setAttribute('aria-label', `${spec.title} by step; newest: ${words(spec)}`);
  figure.querySelector('ul').replaceChildren(...key(spec.lines));
  chart.spec = spec;
  chart.options = options(spec);
  chart.data.datasets = datasets(spec.lines);
  chart.update('none');
}

export function forget() {
  for (const chart of drawn.values()) chart.destroy();
  drawn.clear();
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const [figure, chart] of drawn) draw(figure, chart.spec);
});
