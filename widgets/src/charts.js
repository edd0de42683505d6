// M(t) in pictures: small line charts of the samples, and every figure with its meaning.

import { fill, h, same, seconds, set } from "./dom.js";
import { frames } from "./frames.js";
import { plain } from "./lanes.js";
import { bounds, charts, short, shown, trail } from "./series.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./types").Sample} Sample */

/** The size a chart is drawn in; the page stretches it. Rows of figures at most. */
const WIDE = 220, HIGH = 70, ROWS = 300;
/** Colours and dashes of a chart's lines: the palette of the states. */
const INK = ["#2b8cd6", "#d97f00", "#0c8f6b", "#c2588f", "#9a7fc4", "#d5461e", "#94704a", "#7f8792"];
const DASHES = [null, "6 3", "2 3", "8 3 2 3", "12 4", "4 4", "1 4", "10 2"];

/**
 * Charts and table. Drawn while it is seen, or as `shown` says where that is set.
 * @param {Store} store @param {{explain: (kind: string, id: string, to: string) => unknown}} face
 * @returns {import("./types").View & {shown?: boolean}}
 */
export function metricsView(store, face = store) {
  const explain = (/** @type {string} */ name, /** @type {string} */ of) => face.explain("metric", name, of);
  const plots = charts(store.scene).map(() => plot(explain)), table = figureTable(explain);
  const el = h("div", { class: "dt-metrics" }, h("div", { class: "dt-charts" }, plots.map((one) => one.el)), table.el);
  const draw = () => {
    charts(store.scene).forEach((chart, i) => plots[i].draw(chart, store.scene.samples));
    table.draw(store.scene.figures);
  };
  /** @type {import("./types").View & {shown?: boolean}} */
  const view = {
    el,
    update(what) { if (what.scene || what.rows === null) pen.ask(); },
    destroy: () => pen.stop(),
  };
  const pen = frames(el, draw, () => view.shown ?? el.offsetParent !== null);
  pen.ask();
  return view;
}

/** One chart: its name, latest value, lines, ends of the axes, and the values under the pointer.
 * @param {(name: string, of: string) => void} explain */
function plot(explain) {
  /** @type {import("./series.js").Chart} */ let chart;
  /** @type {Sample[]} */ let samples = [];
  /** @type {HTMLElement[]} */ let cells = [];
  let cursor = NaN;
  const name = h("button", { type: "button", class: "dt-link", onclick: () => explain(chart.name, chart.of) });
  const latest = h("span", { class: "dt-chart-latest" }), top = h("span"), low = h("span"), missing = h("p", { class: "dt-chart-missing" });
  const first = h("span"), last = h("span"), told = h("span", { class: "dt-chart-told" });
  const lines = h("g"), mark = h("line", { class: "dt-chart-cursor", y1: 0, y2: HIGH, stroke: "currentColor" });
  const svg = h("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", tabindex: 0 }, lines, mark);
  const box = h("div", { class: "dt-chart-box" }, h("div", { class: "dt-chart-axis" }, top, low), svg);
  const foot = h("div", { class: "dt-chart-foot" }, first, told, last), legend = h("div", { class: "dt-chart-legend" });
  const el = h("figure", { class: "dt-chart" }, h("figcaption", {}, name, latest), box, foot, legend, missing);

  /** @param {number} at the sample under the pointer, or NaN */
  function point(at) {
    cursor = Number.isNaN(at) ? NaN : Math.max(0, Math.min(samples.length - 1, at));
    const one = samples[cursor], x = one ? across(samples)(one.t) : 0;
    set(mark, { x1: x, x2: x, visibility: one ? "visible" : "hidden" });
    told.textContent = one ? `${seconds(one.t)}${chart.lines.length > 2 ? "" : `: ${words(chart, one)}`}` : "";
    chart.lines.forEach(({ at }, i) => {
      if (cells[i]) cells[i].textContent = shown(at((one ?? samples[samples.length - 1]).values), chart.unit);
    });
  }
  set(svg, {
    onpointermove(/** @type {PointerEvent} */ event) {
      const { left, width } = svg.getBoundingClientRect();
      point(nearest(samples, WIDE * (event.clientX - left) / (width || WIDE)));
    },
    onpointerleave: () => point(NaN),
    onblur: () => point(NaN),
    onkeydown(/** @type {KeyboardEvent} */ event) {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step === undefined) return;
      point(Number.isNaN(cursor) ? samples.length - 1 : cursor + step);
      event.preventDefault();
    },
  });
  return {
    el,
    /** @param {import("./series.js").Chart} what @param {Sample[]} from */
    draw(what, from) {
      const held = samples[cursor]?.t;
      [chart, samples] = [what, from];
      const range = bounds(chart, samples), values = range ? words(chart, samples[samples.length - 1]) : "";
      for (const part of [box, foot, legend]) part.hidden = !range;
      missing.hidden = Boolean(range);
      name.disabled = !chart.name;
      for (const [part, text] of [[name, chart.title], [latest, chart.lines.length > 2 ? "" : values], [missing, chart.missing]]) part.textContent = text;
      if (!range) return;
      const ends = [seconds(samples[0].t), seconds(samples[samples.length - 1].t)];
      for (const [part, text] of [[top, short(range.most, chart.unit)], [low, short(range.least, chart.unit)], [first, ends[0]], [last, ends[1]]]) {
        part.textContent = text;
      }
      set(svg, { "aria-label": `${chart.title}: latest ${values}; ${top.textContent} at most on the axis, from ${ends.join(" to ")}` });
      fill(lines, paths(chart, samples, range));
      cells = chart.lines.map(() => h("b", {}));
      fill(legend, chart.lines.map((line, i) => (line.label ? key(line.label, i, cells[i]) : null)));
      point(held === undefined ? NaN : samples.findIndex((one) => one.t >= held));
    },
  };
}

/** Times to places on the chart. @param {Sample[]} samples */
function across(samples) {
  const start = samples[0]?.t ?? 0, long = (samples.at(-1)?.t ?? 0) - start;
  return (/** @type {number} */ t) => (long > 0 ? 2 + (WIDE - 4) * (t - start) / long : WIDE / 2);
}

/** @param {Sample[]} samples @param {number} place */
function nearest(samples, place) {
  const x = across(samples);
  let best = NaN, gap = Infinity;
  samples.forEach(({ t }, i) => { if (Math.abs(x(t) - place) < gap) [best, gap] = [i, Math.abs(x(t) - place)]; });
  return best;
}

/** @param {import("./series.js").Chart} chart @param {Sample} sample */
function words({ lines, unit }, { values }) {
  return lines.map(({ label, at }) => `${label && `${label} `}${shown(at(values), unit)}`).join(", ");
}

/** @param {import("./series.js").Chart} chart @param {Sample[]} samples @param {{least: number, most: number}} range */
function paths({ lines }, samples, { least, most }) {
  const x = across(samples), times = samples.map((one) => one.t);
  const y = (/** @type {number} */ value) => HIGH - 3 - (HIGH - 6) * (value - least) / (most - least);
  return lines.map(({ at }, i) => h("path", {
    d: trail(samples.map((one) => at(one.values)), times, x, y), fill: "none", stroke: INK[i], "stroke-width": 1.6,
    "stroke-dasharray": DASHES[i], "stroke-linecap": "round", "stroke-linejoin": "round", "vector-effect": "non-scaling-stroke",
  }));
}

/** A line's entry in the legend. @param {string} label @param {number} i @param {HTMLElement} value */
function key(label, i, value) {
  const dash = h("svg", { width: 22, height: 8, "aria-hidden": "true" },
    h("line", { x1: 1, x2: 21, y1: 4, y2: 4, stroke: INK[i], "stroke-width": 2, "stroke-dasharray": DASHES[i] }));
  return h("span", {}, dash, ` ${label} `, value);
}

/** All figures; while the same ones are there only their values change. @param {(name: string, of: string) => void} explain */
function figureTable(explain) {
  const body = h("tbody"), more = h("p", {}), heads = ["of", "which", "figure", "value", "meaning"];
  const el = h("div", { class: "dt-figures" },
    h("table", {}, h("thead", {}, h("tr", {}, heads.map((one) => h("th", { scope: "col" }, one)))), body), more);
  /** @type {string[]} */ let keys = [];
  /** @type {HTMLElement[]} */ let cells = [];
  const row = (/** @type {import("./types").Figure} */ { scope, at, name, meaning }, /** @type {number} */ i) =>
    h("tr", { onclick: () => explain(scope === "recent" ? `recent ${name}` : name, at) }, h("td", {}, plain(scope, 40)), h("td", {}, plain(at, 40)),
      h("th", { scope: "row" }, h("button", { type: "button", class: "dt-link" }, plain(name, 60))), cells[i], h("td", {}, plain(meaning, 300)));
  return {
    el,
    /** @param {import("./types").Figure[]} figures */
    draw(figures) {
      const some = figures.slice(0, ROWS), now = some.map((one) => JSON.stringify([one.scope, one.at, one.name, one.meaning]));
      if (!same(now, keys)) {
        cells = some.map(() => h("td", { class: "dt-figure-value" }));
        fill(body, some.map(row));
      }
      keys = now;
      some.forEach((one, i) => { cells[i].textContent = plain(one.shown, 40); });
      more.textContent = figures.length > ROWS ? `showing ${ROWS} of ${figures.length.toLocaleString("en-US")} figures` : "";
      el.hidden = !figures.length;
    },
  };
}
