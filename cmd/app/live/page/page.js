'use strict';
// The page asks for /api/live once a second and draws what it is told, and for
// /api/explain when somebody enters an id. Every text from outside enters by
// textContent; nothing is ever parsed as markup.
(() => {
  const $ = (id) => document.getElementById(id);

  // ---- words and numbers ----

  const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
  const rates = [2, 1, 0].map((n) => new Intl.NumberFormat('en-US', { minimumFractionDigits: n, maximumFractionDigits: n }));
  const count = (n) => whole.format(n);
  const rate = (n) => rates[n >= 100 ? 2 : n >= 10 ? 1 : 0].format(n);
  const percent = (part, all) => (all > 0 ? rates[part === all ? 2 : 1].format((100 * part) / all) + '%' : '–');
  const millis = (n) => (n === null ? '–' : rates[n >= 100 ? 2 : n >= 10 ? 1 : 0].format(n));

  let currency = '';
  let exact = rates[0];
  let rough = whole;
  function setCurrency(code) {
    if (code === currency) return;
    currency = code;
    try {
      exact = new Intl.NumberFormat('en-US', { style: 'currency', currency: code });
      rough = new Intl.NumberFormat('en-US', { style: 'currency', currency: code, maximumFractionDigits: 0 });
    } catch {
      exact = rates[0];
      rough = whole;
    }
  }
  const money = (n) => (Math.abs(n) >= 1000 ? rough : exact).format(n);

  const clock = (at, seconds = true) =>
    new Date(at).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: seconds ? '2-digit' : undefined });

  function age(s) {
    const two = (n) => String(n).padStart(2, '0');
    const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
    if (d > 0) return `${d}d ${two(h)}h ${two(m)}m`;
    return h > 0 ? `${h}h ${two(m)}m ${two(s % 60)}s` : `${m}m ${two(s % 60)}s`;
  }

  // ---- the document: only what changed is touched ----

  function put(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }
  function set(node, name, value) {
    if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
  function make(name, className, parent, text) {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    if (parent) parent.append(node);
    return node;
  }
  function draw(name, className, parent) {
    const node = document.createElementNS('http://www.w3.org/2000/svg', name);
    if (className) node.setAttribute('class', className);
    if (parent) parent.append(node);
    return node;
  }

  // Keyed keeps one element per item of a list, in the list's order.
  function keyed(parent, build) {
    const kept = new Map();
    return (items, keyOf, fill) => {
      const keys = new Set(items.map(keyOf));
      for (const [key, part] of kept) {
        if (!keys.has(key)) { part.node.remove(); kept.delete(key); }
      }
      let place = parent.firstElementChild;
      for (const item of items) {
        let part = kept.get(keyOf(item));
        if (!part) { part = build(); kept.set(keyOf(item), part); }
        if (part.node === place) place = place.nextElementSibling;
        else parent.insertBefore(part.node, place);
        fill(part, item);
      }
    };
  }

  // ---- plots ----

  const perSecond = (list, step) => list.map((n) => n / step);
  const perMinute = (list, step) => list.map((n) => (n * 60) / step);
  const latency = (kind) => ({
    unit: 'ms', show: millis, tick: count,
    layers: (s) => [
      { name: 'p99', color: 'tail', values: s[kind + '_p99_ms'] },
      { name: 'p50', color: 'blue', values: s[kind + '_p50_ms'] },
    ],
  });
  const plots = [
    {
      title: 'Leads', unit: '/s', stacked: true, show: rate, tick: count,
      layers: (s) => [
        { name: 'sold', color: 'good', values: perSecond(s.sold, s.step_s) },
        { name: 'pending', color: 'warn', values: perSecond(s.pending, s.step_s) },
        { name: 'unsold', color: 'idle', values: perSecond(s.unsold, s.step_s) },
      ],
    },
    {
      title: 'Revenue', unit: '/min', stacked: true, show: money, tick: (n) => rough.format(n),
      layers: (s) => [
        { name: 'payout', color: 'sky', values: perMinute(s.payout, s.step_s) },
        { name: 'margin', color: 'blue', values: perMinute(s.revenue.map((n, i) => n - s.payout[i]), s.step_s) },
      ],
    },
    { title: 'Ping latency', ...latency('ping') },
    { title: 'Post latency', ...latency('post') },
  ];

  const edge = { left: 52, right: 8, top: 12, bottom: 20 };
  const tickEvery = { 60: 15, 120: 30, 300: 60, 600: 120 };
  let pointer = null; // where over the plots the pointer is, as a share of their width
  let latest = null;

  for (const plot of plots) {
    const figure = make('figure', plot.unit === '/min' ? 'wide' : '', $('plots'));
    const caption = make('figcaption', '', figure);
    const title = make('h2', '', caption, plot.title);
    plot.unitNode = make('small', '', title, '');
    plot.keys = plot.layers({ sold: [], unsold: [], pending: [], revenue: [], payout: [] }).map((layer) => {
      const key = make('span', 'key ' + layer.color, caption);
      make('span', '', key, layer.name);
      return make('b', '', key, '–');
    });
    plot.when = make('span', 'when', caption, '');
    plot.svg = draw('svg', '', figure);
    set(plot.svg, 'role', 'img');
    set(plot.svg, 'tabindex', 0);
    plot.grid = draw('path', 'grid', plot.svg);
    plot.paths = plot.keys.map((_, i) => draw('path', '', plot.svg));
    plot.cross = draw('path', 'cross', plot.svg);
    plot.labels = draw('g', '', plot.svg);
    plot.svg.addEventListener('pointermove', (e) => {
      const box = plot.svg.getBoundingClientRect();
      point((e.clientX - box.left - edge.left) / (box.width - edge.left - edge.right));
    });
    plot.svg.addEventListener('pointerleave', () => point(null));
    plot.svg.addEventListener('blur', () => point(null));
    plot.svg.addEventListener('keydown', (e) => {
      if (!latest || (e.key !== 'ArrowLeft' && e.key !== 'ArrowRight')) return;
      e.preventDefault();
      const step = latest.series.step_s / latest.series.span_s;
      point(Math.min(Math.max((pointer ?? 1 - step / 2) + (e.key === 'ArrowLeft' ? -step : step), step / 2), 1 - step / 2));
    });
    new ResizeObserver(() => latest && drawPlot(plot, latest)).observe(plot.svg);
  }

  function point(share) {
    pointer = share;
    if (latest) plots.forEach((plot) => drawPlot(plot, latest));
  }

  // A round number at or above n, in steps coarse enough to stay the same while n wavers.
  function roundUp(n) {
    const unit = 10 ** Math.floor(Math.log10(n));
    return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((f) => f * unit >= n * 0.9999) * unit;
  }

  function drawPlot(plot, data) {
    const s = data.series;
    const box = plot.svg.getBoundingClientRect();
    if (box.width < 1) return;
    const layers = plot.layers(s);
    const n = layers[0].values.length;
    const width = box.width - edge.left - edge.right, height = box.height - edge.top - edge.bottom;
    const x = (i) => edge.left + width * (1 - ((n - i - 0.5) * s.step_s) / s.span_s);

    const bottoms = new Array(n).fill(0);
    for (const layer of layers) {
      layer.base = plot.stacked ? bottoms.slice() : null;
      layer.tops = layer.values.map((v, i) => (v === null ? null : plot.stacked ? (bottoms[i] += v) : v));
    }
    const top = roundUp(Math.max(plot.unit === 'ms' ? 1 : plot.unit === '/s' ? 2 : 10, ...layers.flatMap((l) => l.tops)));
    const y = (v) => edge.top + height * (1 - v / top);

    layers.forEach((layer, i) => {
      set(plot.paths[i], 'class', (plot.stacked ? 'area ' : 'line ') + layer.color);
      set(plot.paths[i], 'd', plot.stacked ? areaOf(layer, x, y) : lineOf(layer, x, y));
    });
    drawAxes(plot, data, top, x, y, box);
    readOut(plot, data, layers, x, box);
  }

  function areaOf(layer, x, y) {
    if (layer.tops.length === 0) return '';
    const upper = layer.tops.map((v, i) => `${x(i).toFixed(1)} ${y(v).toFixed(1)}`);
    const lower = layer.base.map((v, i) => `${x(i).toFixed(1)} ${y(v).toFixed(1)}`).reverse();
    return `M${upper.join('L')}L${lower.join('L')}Z`;
  }

  // A lone value between two gaps is a line of no length: a dot.
  function lineOf(layer, x, y) {
    let path = '';
    layer.tops.forEach((v, i) => {
      if (v === null) return;
      const at = `${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
      path += (i > 0 && layer.tops[i - 1] !== null ? 'L' : 'M' + at + 'L') + at;
    });
    return path;
  }

  function drawAxes(plot, data, top, x, y, box) {
    const s = data.series;
    const texts = [];
    let grid = '';
    for (const share of [0, 0.5, 1]) {
      const at = Math.round(y(top * share)) + 0.5;
      grid += `M${edge.left} ${at}H${box.width - edge.right}`;
      texts.push([edge.left - 6, at + 3.5, 'end', top * share < 10 && !Number.isInteger(top * share) ? rates[1].format(top * share) : plot.tick(top * share)]);
    }
    const end = Date.parse(data.now) - s.end_ago_s * 1000;
    const every = tickEvery[s.span_s] * 1000;
    const width = box.width - edge.left - edge.right;
    for (let t = Math.floor(end / every) * every; t > end - s.span_s * 1000; t -= every) {
      const at = edge.left + width * (1 - (end - t) / (s.span_s * 1000));
      if (at < edge.left + 4 || at > box.width - 24) continue;
      grid += `M${Math.round(at) + 0.5} ${edge.top + box.height - edge.top - edge.bottom}v4`;
      texts.push([at, box.height - 4, 'middle', clock(t, s.span_s <= 120)]);
    }
    set(plot.grid, 'd', grid);
    put(plot.unitNode, plot.unit === '/min' ? `${data.currency} per minute` : plot.unit === '/s' ? 'per second' : 'ms');
    while (plot.labels.childElementCount > texts.length) plot.labels.lastChild.remove();
    texts.forEach(([left, base, anchor, text], i) => {
      const node = plot.labels.children[i] ?? draw('text', '', plot.labels);
      set(node, 'x', left.toFixed(1));
      set(node, 'y', base.toFixed(1));
      set(node, 'text-anchor', anchor);
      put(node, text);
    });
  }

  // The legend shows the newest step, or the one under the pointer.
  function readOut(plot, data, layers, x, box) {
    const s = data.series;
    const n = layers[0].values.length;
    const slots = s.span_s / s.step_s;
    let i = n - 1;
    if (pointer !== null) i = Math.min(n - 1, Math.floor(pointer * slots) - (slots - n));
    const value = (layer) => (i >= 0 && i < n && layer.values[i] !== null ? plot.show(layer.values[i]) : '–');
    layers.forEach((layer, k) => put(plot.keys[k], value(layer)));
    set(plot.cross, 'd', pointer === null || i < 0 ? '' : `M${Math.round(x(i)) + 0.5} ${edge.top}V${box.height - edge.bottom}`);
    const end = Date.parse(data.now) - s.end_ago_s * 1000;
    put(plot.when, pointer === null ? 'now' : i < 0 ? '–' : clock(end - (n - 1 - i) * s.step_s * 1000));
    set(plot.svg, 'aria-label', `${plot.title}: ` + layers.map((layer) => `${layer.name} ${value(layer)}`).join(', '));
  }

  // ---- contracts ----

  const columns = [
    { head: 'Contract', value: (c) => c.contract },
    { head: 'Pings', value: (c) => c.pings },
    { head: 'Bids', value: (c) => c.bids },
    { head: 'Bid rate', value: (c) => (c.pings > 0 ? c.bids / c.pings : -1), show: (c) => percent(c.bids, c.pings) },
    { head: 'Wins', value: (c) => c.wins },
    { head: 'Posts', value: (c) => c.posts },
    { head: 'Accepts', value: (c) => c.accepts },
    { head: 'Rejects', value: (c) => c.rejects },
    { head: 'Unknown', value: (c) => c.unknown, warn: true },
    { head: 'Timeouts', value: (c) => c.timeouts },
    { head: 'Errors', value: (c) => c.errors },
    { head: 'Avg bid', value: (c) => c.avg_bid, show: (c) => (c.bids > 0 ? exact.format(c.avg_bid) : '–') },
    { head: 'Revenue', value: (c) => c.revenue, show: (c) => money(c.revenue) },
    { head: 'p95 ms', title: 'Readable answers to pings', value: (c) => c.ping_p95_ms ?? -1, show: (c) => millis(c.ping_p95_ms) },
  ];
  let sortBy = 0, descending = false;
  const heads = columns.map((column, i) => {
    const th = make('th', '', document.querySelector('#contracts thead tr'));
    set(th, 'scope', 'col');
    const button = make('button', '', th, column.head);
    if (column.title) button.title = column.title;
    button.addEventListener('click', () => {
      descending = sortBy === i ? !descending : i > 0;
      sortBy = i;
      if (latest) drawContracts(latest);
    });
    return th;
  });
  $('filter').addEventListener('input', () => latest && drawContracts(latest));

  const contractRows = keyed(document.querySelector('#contracts tbody'), () => {
    const node = document.createElement('tr');
    const cells = columns.map(() => make('td', '', node));
    const name = make('span', '', cells[0]), buyer = make('small', '', cells[0]);
    return { node, cells, name, buyer };
  });

  function drawContracts(data) {
    heads.forEach((th, i) => (i === sortBy ? set(th, 'aria-sort', descending ? 'descending' : 'ascending') : th.removeAttribute('aria-sort')));
    $('filter').hidden = data.contracts.length <= 15;
    const wanted = $('filter').value.trim().toLowerCase();
    const rows = data.contracts.filter((c) => (c.contract + ' ' + (c.buyer ?? '')).toLowerCase().includes(wanted));
    const { value } = columns[sortBy];
    const order = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0);
    rows.sort((a, b) => (descending ? order(b, a) : order(a, b)) || (a.contract < b.contract ? -1 : 1));
    contractRows(rows, (c) => c.contract, (row, c) => {
      row.node.className = c.gone ? 'gone' : '';
      put(row.name, c.contract);
      put(row.buyer, c.gone ? 'no longer configured' : c.buyer ?? '');
      for (let i = 1; i < columns.length; i++) {
        const v = columns[i].value(c);
        put(row.cells[i], columns[i].show ? columns[i].show(c) : count(v));
        row.cells[i].className = v <= 0 ? 'zero' : columns[i].warn ? 'warn' : '';
      }
    });
    const note = $('contracts-note');
    note.hidden = data.contracts.length > 0 && !data.contracts_left_off;
    put(note, data.contracts.length === 0 ? 'No contract is configured.' : `${count(data.contracts_left_off ?? 0)} more contracts, less busy than these, are left off.`);
  }

  // ---- caps, reasons, after the sale ----

  function bar(parent, classes) {
    const svg = draw('svg', '', parent);
    set(svg, 'aria-hidden', 'true');
    return ['track', ...classes].map((c, i) => {
      const rect = draw('rect', c, svg);
      set(rect, 'height', '100%');
      set(rect, 'width', i === 0 ? '100%' : '0');
      return rect;
    });
  }
  const share = (part, all) => (all > 0 ? Math.min((100 * part) / all, 100) : 0).toFixed(2) + '%';

  function pair(className, bars) {
    return () => {
      const node = make('div', className);
      const p = make('p', '', node);
      const left = make('span', '', p), name = make('span', '', left), detail = make('small', '', left);
      const middle = make('span', '', p);
      return { node, name, detail, p, middle, bars: bar(node, bars) };
    };
  }

  const capRows = keyed($('caps'), pair('cap', ['committed', 'held']));
  function drawCaps(data) {
    capRows(data.caps, (c) => c.id, (row, c) => {
      const show = c.unit === 'spend' ? money : count;
      const [, name, , unit, days] = c.id.split('/'); // OWNER/NAME/PER/UNIT, and the weekdays of a cap that has some
      put(row.name, name || c.id);
      put(row.detail, (unit === 'balance' ? 'balance' : `${c.unit} per ${c.per}`.replace('per total', 'in all')) + (days ? `, ${days}` : ''));
      put(row.middle, `${show(c.committed)}${c.held > 0 ? ' + ' + show(c.held) : ''} of ${show(c.limit)} · ${show(c.left)} left`);
      row.node.title = c.id + (c.start ? `\nwindow since ${new Date(c.start).toLocaleString()}` : '');
      set(row.bars[1], 'width', share(c.committed, c.limit));
      set(row.bars[2], 'x', share(c.committed, c.limit));
      set(row.bars[2], 'width', share(Math.min(c.held, c.limit - c.committed), c.limit));
    });
    empty($('caps'), data.caps.length === 0 ? 'No cap is set.' : '');
  }

  const reasonRows = keyed($('unsold'), () => {
    const row = pair('reason', ['share'])();
    row.total = make('span', '', row.p);
    return row;
  });
  function drawUnsold(data) {
    const all = data.unsold.reduce((sum, u) => sum + u.total, 0);
    reasonRows(data.unsold, (u) => u.reason, (row, u) => {
      put(row.name, u.reason.replaceAll('_', ' '));
      put(row.middle, count(u.recent));
      put(row.total, count(u.total));
      set(row.bars[1], 'width', share(u.total, all));
    });
    put($('recent-head'), `last ${data.series.span_s / 60} min`);
    empty($('unsold'), data.unsold.length === 0 ? 'Every lead was sold so far, or none came.' : '');
  }

  function empty(parent, text) {
    const next = parent.nextElementSibling;
    const note = next?.classList.contains('none') ? next : text ? make('p', 'none', parent.parentElement) : null;
    if (note) { put(note, text); note.hidden = text === ''; }
  }

  function fact(id, text, wrong) {
    put($(id).querySelector('dd'), text);
    $(id).className = wrong || '';
  }

  function drawAfter(data) {
    const p = data.postbacks;
    fact('doubt', count(data.in_doubt.count), data.in_doubt.count > 0 && 'wrong');
    fact('doubt-value', money(data.in_doubt.value), data.in_doubt.count > 0 && 'wrong');
    fact('doubt-oldest', data.in_doubt.count > 0 ? age(data.in_doubt.oldest_s) : '–', data.in_doubt.count > 0 && 'wrong');
    fact('conflicts', count(data.in_doubt.conflicts), data.in_doubt.conflicts > 0 && 'broken');
    fact('waiting', count(p.waiting));
    fact('delivered', count(p.delivered));
    fact('dead', count(p.dead), p.dead > 0 && 'broken');
    fact('not-sent', count(p.not_sent), p.not_sent > 0 && 'wrong');
    fact('disabled', count(p.disabled), p.disabled > 0 && 'broken');
    fact('unbalanced', count(p.unbalanced), p.unbalanced > 0 && 'broken');
    fact('credits', count(p.credits));
    fact('commission', money(p.commission));
    fact('tests', count(data.tests));
  }

  // ---- head and tiles ----

  function drawHead(data) {
    const state = $('state');
    state.className = 'state ' + (data.ready ? 'ready' : 'wrong');
    put(state.lastChild, data.ready ? 'Ready' : 'Not ready: ' + data.not_ready);
    put($('uptime'), age(data.uptime_s));
    const behind = data.journal.seq - data.journal.durable;
    put($('journal'), `#${count(data.journal.seq)}${behind > 0 ? ` (${count(behind)} not on disk yet)` : ''}`);
    put($('config'), data.config.slice(0, 10) || '–');
    $('config').title = data.config;
    put($('go'), data.go);
    put($('clock'), clock(data.now));
  }

  function drawTiles(data) {
    const m = data.minute, t = data.total;
    put($('leads'), m.span_s > 0 ? rate(m.leads / m.span_s) : '–');
    put($('leads-sub'), `${count(t.leads)} since start`);
    put($('sold'), percent(m.sold, m.leads));
    put($('sold-sub'), `${count(t.sold)} since start`);
    put($('revenue'), money(m.revenue));
    put($('revenue-sub'), `${money(t.revenue)} since start`);
    put($('payout'), money(m.payout));
    put($('payout-sub'), `${money(t.payout)} since start`);
    put($('margin'), money(m.margin));
    put($('margin-sub'), `${percent(m.margin, m.revenue)} of revenue`);
  }

  // ---- the second hand ----

  function show(data) {
    latest = data;
    setCurrency(data.currency);
    drawHead(data);
    drawTiles(data);
    plots.forEach((plot) => drawPlot(plot, data));
    drawContracts(data);
    drawCaps(data);
    drawUnsold(data);
    drawAfter(data);
    $('main').classList.remove('stale');
  }

  // ---- why ----

  async function explain() {
    const id = $('why-id').value.trim();
    const rows = $('why').tBodies[0];
    if (id === '') return;
    let told;
    try {
      const query = new URLSearchParams({ contract: $('why-contract').value.trim() });
      const response = await fetch(`/api/explain/${encodeURIComponent(id)}?${query}`, { cache: 'no-store', signal: AbortSignal.timeout(5000) });
      told = await response.json();
    } catch (fault) {
      told = { detail: 'No answer.' };
    }
    rows.replaceChildren();
    if (!told.why) {
      put($('why-note'), told.detail || 'No answer.');
      return;
    }
    const why = told.why;
    put($('why-note'), [why.headline, why.winner, ...why.attempts, ...why.notes].filter(Boolean).join('. '));
    for (const said of [...why.contracts, ...(why.asked ? [why.asked] : []), ...why.others]) {
      const row = make('tr', '', rows);
      for (const text of [said.contract || `${count(said.count)} more`, said.reason, said.said]) make('td', '', row, text);
    }
  }
  for (const id of ['why-id', 'why-contract']) $(id).addEventListener('change', explain);

  function lost() {
    const since = latest ? ` since ${clock(latest.now)}` : '';
    $('state').className = 'state wrong';
    put($('state').lastChild, 'No answer' + since);
    $('main').classList.add('stale');
  }

  async function ask() {
    try {
      const response = await fetch('/api/live', { cache: 'no-store', signal: AbortSignal.timeout(5000) });
      if (!response.ok) throw new Error(`status ${response.status}`);
      show(await response.json());
    } catch (fault) {
      lost();
      console.error(fault);
    }
  }

  async function run() {
    for (;;) {
      if (!document.hidden) await ask();
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
  document.addEventListener('visibilitychange', () => document.hidden || ask());
  run();
})();
