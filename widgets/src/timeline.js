// The timeline: a live Gantt chart by agent, of what happened, what runs, and what the simulator expects.

import { fill, h, seconds, set } from "./dom.js";
import { GUTTER, LANE, RIGHT, TOP, axis, laneNames, layer, picture, wait } from "./bars.js";
import { frames } from "./frames.js";
import { LOOKS, layout, lookOf, plain, readiness, thin } from "./lanes.js";
import { steer, timeWindow } from "./lens.js";
import { save, standalone } from "./save.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./lanes.js").Bar} Bar */
/** @typedef {import("./lanes.js").Layout} Layout */
/** @typedef {ReturnType<typeof timeWindow>} Lens */

/** Bars, bars of a change tried out, lanes drawn at most, and tasks named below them. */
const MOST = { bars: 1500, ghosts: 400, lanes: 200, waiting: 8 };

/**
 * Chart, buttons, and what is said below. Drawn while it is seen, or as `shown` says where that is set.
 * @param {Store} store @returns {import("./types").View & {shown?: boolean}}
 */
export function timelineView(store) {
  const picture = chart(store), { lens, svg } = picture;
  const notes = h("div", { class: "dt-timeline-notes" });
  let stale = true, said = "";
  const say = (/** @type {string} */ words) => { said = words; pen.ask(); };
  const tools = toolbar(store, lens, svg, () => pen.ask(), say);
  const el = h("div", { class: "dt-timeline" }, tools.el, h("div", { class: "dt-timeline-scroll" }, svg), notes);
  const pen = frames(el, () => {
    if (stale) picture.lay();
    stale = false;
    picture.draw(Math.max(320, el.clientWidth || 700));
    tools.follow.setAttribute("aria-pressed", String(lens.following()));
    fill(notes, [...lines(store, picture), said].filter(Boolean).map((line) => h("p", {}, line)));
  }, () => view.shown ?? el.offsetParent !== null);
  steer(svg, lens, () => pen.ask(), picture.select, picture.next);
  /** @type {import("./types").View & {shown?: boolean}} */
  const view = {
    el,
    update(what) {
      stale ||= what.scene || what.preview || what.rows === null;
      if (stale || what.selection) pen.ask();
    },
    destroy: () => pen.stop(),
  };
  pen.ask();
  return view;
}

/** The picture and its window: `lay` puts bars into lanes, `draw` draws those in the window. @param {Store} store */
function chart(store) {
  const parts = Array.from({ length: 5 }, () => h("g")), [grid, names, waits, bars, ghosts] = parts;
  const svg = h("svg", { class: "dt-timeline-chart", role: "img", tabindex: 0 }, parts);
  const paint = { bars: layer(bars), ghosts: layer(ghosts) };
  let model = layout(store.scene);
  /** @type {Bar[]} */ let drawn = [];
  const lens = timeWindow(() => model, () => store.scene.t);
  const select = (/** @type {string} */ task) => { if (store.scene.rows.has(task)) store.select(task); };
  return {
    svg, lens, select,
    model: () => model,
    drawn: () => drawn.length,
    lay() { model = layout(store.scene, store.preview?.accepted ? store.preview.after.attempts : []); },
    /** Select the task `step` bars on. @param {number} step */
    next(step) {
      const tasks = [...new Set(drawn.toSorted((a, b) => a.start - b.start || a.lane - b.lane).map((bar) => bar.task))];
      const at = tasks.indexOf(store.selected), to = at < 0 ? (step > 0 ? 0 : tasks.length - 1) : at + step;
      if (tasks[to] !== undefined) select(tasks[to]);
    },
    /** @param {number} width in pixels */
    draw(width) {
      const { scene, selected } = store, path = new Set(scene.forecast?.path);
      const scale = scaled(lens, width), lanes = model.lanes.slice(0, MOST.lanes), foot = TOP + LANE * lanes.length;
      const matters = (/** @type {Bar} */ bar) => bar.task === selected || path.has(bar.task) ||
        (bar.kind === "past" && bar.outcome !== "done");
      const some = (/** @type {Bar[]} */ all, /** @type {number} */ most) =>
        thin(all.filter((bar) => bar.lane < lanes.length), { ...scale, most }, matters);
      const shadows = some(model.ghosts, MOST.ghosts);
      drawn = some(model.bars, MOST.bars - shadows.length);
      set(svg, { width, height: foot + 20, "aria-label": summary(store, model) });
      fill(grid, axis(scale, foot, scene.t).flat());
      fill(names, laneNames(lanes, width).flat());
      fill(waits, waitLines(store, drawn, scale));
      paint.bars(drawn.map((bar) => picture(bar, scale, store, path)));
      paint.ghosts(shadows.map((bar) => picture(bar, scale, store, path)));
    },
  };
}

/** Times to pixels, kept inside the plot. @param {Lens} lens @param {number} width @returns {import("./bars.js").Scale} */
function scaled(lens, width) {
  const { from, to } = lens.span(), left = GUTTER, right = width - RIGHT, scale = (right - left) / (to - from);
  const x = (/** @type {number} */ t) => Math.round(10 * Math.min(right, Math.max(left, left + (t - from) * scale))) / 10;
  return { x, from, to, left, right, scale };
}

/**
 * Buttons, and what colours, marks and outlines mean.
 * @param {Store} store @param {Lens} lens @param {SVGElement} svg @param {() => void} ask @param {(words: string) => void} say
 */
function toolbar(store, lens, svg, ask, say) {
  const file = (/** @type {string} */ end) => `${store.scene.run || "run"}-${end}`;
  const trace = async () => {
    const answer = await store.ask("trace"), ok = answer.ok && answer.data;
    if (ok) save(file("trace.json"), JSON.stringify(answer.data), "application/json");
    say(ok ? "" : plain(answer.reason || "There is no trace.", 300));
  };
  const button = (/** @type {string} */ label, /** @type {string} */ title, /** @type {() => void} */ go) =>
    h("button", { type: "button", class: "dt-small", title, "aria-label": title, onclick: go }, label);
  const move = (/** @type {() => void} */ step) => () => { step(); ask(); };
  const follow = button("Follow", "Follow: keep now at the right edge", move(lens.follow));
  const looks = Object.values(LOOKS).map(({ colour, mark, words }) =>
    h("span", {}, h("b", { style: `color:${colour}` }, mark), ` ${words}`));
  const el = h("div", { class: "dt-timeline-tools", role: "toolbar", "aria-label": "Timeline" },
    button("−", "Zoom out (Ctrl and wheel, or −)", move(() => lens.zoom(1.5))),
    button("+", "Zoom in (Ctrl and wheel, or +)", move(() => lens.zoom(1 / 1.5))),
    button("Fit", "Fit the whole run (0)", move(lens.fit)), follow,
    button("Save SVG", "Save SVG: the picture as it is", () => save(file("timeline.svg"), standalone(svg), "image/svg+xml")),
    button("Save trace", "Save trace, to be opened in ui.perfetto.dev", trace),
    h("span", { class: "dt-timeline-legend" }, looks, h("span", {}, h("b", { class: "dt-thick" }), " critical path"),
      h("span", {}, h("b", {}, "◆"), " needs a resource"), h("span", {}, h("b", { class: "dt-hatched" }), " was ready")));
  return { el, follow };
}

/** Waits of tasks with resources, where it is known when they were ready.
 * @param {Store} store @param {Bar[]} bars @param {import("./bars.js").Scale} scale */
function waitLines({ scene }, bars, scale) {
  const ready = readiness(scene);
  return bars.map((bar) => {
    const row = bar.attempt === 1 ? scene.rows.get(bar.task) : undefined, since = row?.resources.length ? ready(row) : null;
    const goes = bar.kind === "predicted" && scene.attempts.has(bar.key);
    return since !== null && !goes && bar.start > Math.max(since + 1e-6, scale.from) ? wait(bar, since, scale) : null;
  });
}

/** What is said below the chart. @param {Store} store @param {{model: () => Layout, drawn: () => number}} chart */
function lines({ scene, preview }, chart) {
  const { bars, lanes } = chart.model(), drawn = chart.drawn(), said = bars.length ? [] : ["Nothing has run yet."];
  const some = (/** @type {number} */ n, /** @type {number} */ all, /** @type {string} */ what) =>
    `showing ${n.toLocaleString("en-US")} of ${all.toLocaleString("en-US")} ${what}`;
  const waiting = [...scene.rows.values()].filter((row) => row.state === "ready" && row.reason.includes("resource"));
  if (preview?.accepted) said.push(compared(preview.before.makespan, preview.after.makespan));
  if (drawn < bars.length) said.push(some(drawn, bars.length, "attempts"));
  if (lanes.length > MOST.lanes) said.push(some(MOST.lanes, lanes.length, "lanes"));
  for (const { id, resources } of waiting.slice(0, MOST.waiting)) {
    said.push(`${plain(id)} waits for ${resources.slice(0, 8).map((one) => plain(one, 40)).join(", ")} ◆`);
  }
  if (waiting.length > MOST.waiting) said.push(`${waiting.length - MOST.waiting} more wait for resources`);
  return said;
}

/** @param {number} before @param {number} after in seconds */
export function compared(before, after) {
  const by = after - before, known = Number.isFinite(before) && Number.isFinite(after);
  const way = Math.abs(by) < 1e-9 ? "unchanged" : `${seconds(Math.abs(by))} ${by > 0 ? "later" : "earlier"}`;
  return `makespan ${seconds(before)} → ${seconds(after)}${known ? ` (${way})` : ""}`;
}

/** The chart in words. @param {Store} store @param {Layout} model */
function summary({ scene }, model) {
  /** @type {Record<string, number>} */ const counts = { done: 0, failed: 0, stopped: 0, running: 0, predicted: 0 };
  for (const bar of model.bars) counts[lookOf(bar).words]++;
  const parts = Object.entries(counts).filter(([, n]) => n).map(([what, n]) => `${n} ${what}`).join(", ") || "no attempts";
  const end = scene.forecast && counts.predicted ? `, end expected at ${seconds(scene.forecast.makespan)}` : "";
  return `Timeline: ${parts}, on ${model.lanes.length} lanes, now at ${seconds(scene.t)}${end}. ` +
    "Plus and minus zoom, left and right move, up and down select, 0 fits.";
}
