// What is drawn. Words of models and peers become text nodes here, never markup.

export function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {}))
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, '');
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(key, value);
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const known = (value) => typeof value === 'number' && Number.isFinite(value);

export function number(value, digits = 3) {
  if (!known(value)) return '-';
  const size = Math.abs(value);
  if (size >= 1e6) return (value / 1e6).toFixed(1) + 'M';
  if (size >= 1e4) return (value / 1e3).toFixed(0) + 'k';
  if (Number.isInteger(value)) return String(value);
  if (size >= 100) return value.toFixed(0);
  return size > 0 && size < 10 ** -digits ? value.toExponential(1) : value.toFixed(size >= 10 ? 1 : digits);
}

export function time(seconds) {
  if (!known(seconds)) return '-';
  if (seconds < 100) return seconds.toFixed(0) + ' s';
  if (seconds < 6000) return (seconds / 60).toFixed(0) + ' min';
  return seconds < 172800 ? (seconds / 3600).toFixed(1) + ' h' : (seconds / 86400).toFixed(1) + ' d';
}

// A rate of an evaluation with its 95% interval.
export function rate(evaluation, key) {
  if (!evaluation || !known(evaluation[key])) return '-';
  const low = evaluation[key + '_low'], high = evaluation[key + '_high'];
  return number(evaluation[key]) + (known(low) && known(high) ? ` [${number(low)}, ${number(high)}]` : '');
}

export const pair = (term, ...what) => h('div', null, h('dt', null, term), h('dd', null, ...what));

// columns: [{title, n: right-aligned, words: wide}]; rows: arrays of cells; cards: on a narrow screen a row is a block.
export function table(caption, columns, rows, cards) {
  const kind = (column) => (column.n ? 'n' : column.words ? 'words' : column.name ? 'name' : null);
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    h('table', { class: cards ? 'cards' : null },
      h('thead', null, h('tr', null, columns.map((c) => h('th', { scope: 'col', class: kind(c) }, c.title)))),
      h('tbody', null, rows.map((row) => h('tr', null, row.map((cell, i) => h('td', { class: kind(columns[i]), 'data-title': columns[i].title }, cell)))))));
}

export function choose(label, options, value, onchange) {
  const select = h('select', { onchange: () => onchange(select.value) },
    options.map(([key, text]) => h('option', { value: key, selected: key === value }, text)));
  return h('label', null, label + ' ', select);
}
