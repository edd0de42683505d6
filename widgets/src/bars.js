// How the timeline's parts are drawn. Colours are written into the picture, so that it stands alone when saved.

import { h, hover, seconds, set } from "./dom.js";
import { lookOf, plain, ticks } from "./lanes.js";

/** @typedef {import("./lanes.js").Bar} Bar */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {{x: (t: number) => number, from: number, to: number, left: number, right: number,
 *   scale: number}} Scale */
/** @typedef {{key: string, task: string, rect: Record<string, any>, label: Record<string, any>, words: string,
 *   facts: string, hover: () => string, opacity: number}} Picture */

/** Pixels: a lane, the axis above them, the lanes' names, what is free at the right. */
export const LANE = 26, TOP = 28, GUTTER = 128, RIGHT = 12;
/** The selection, on light and dark. */
const PICKED = "#2b8cd6";

/** Round times across the top. @param {Scale} scale @param {number} foot @param {number} now */
export function axis({ x, from, to, left, right }, foot, now) {
  const marks = ticks(from, to, Math.max(2, Math.floor((right - left) / 90))).map((t) => [
    h("line", { x1: x(t), x2: x(t), y1: TOP - 6, y2: foot, stroke: "currentColor", "stroke-opacity": 0.15 }),
    h("text", { x: x(t), y: TOP - 11, "text-anchor": x(t) > right - 24 ? "end" : "middle", "font-size": 11,
      fill: "currentColor" }, seconds(t)),
  ]);
  if (now < from || now > to) return marks;
  return [...marks,
    h("line", { class: "dt-now", x1: x(now), x2: x(now), y1: TOP - 4, y2: foot + 14, stroke: "#d97f00", "stroke-width": 1.5 }),
    h("text", { x: Math.min(x(now), right - 12), y: foot + 14, dx: 4, "font-size": 11, fill: "currentColor" }, "now")];
}

/** The lanes' names and the lines between them. @param {import("./lanes.js").Lane[]} lanes @param {number} width */
export function laneNames(lanes, width) {
  return lanes.map(({ name, slot }, lane) => [
    h("text", { x: 4, y: TOP + lane * LANE + 17, "font-size": 12, fill: "currentColor" }, plain(name, 18 - slot.length) + slot,
      hover(name + slot)),
    h("line", { x1: 0, x2: width, y1: TOP + (lane + 1) * LANE, y2: TOP + (lane + 1) * LANE, stroke: "currentColor",
      "stroke-opacity": 0.1 }),
  ]);
}

/** A thin hatched line from when a task with resources was ready to its start.
 * @param {Bar} bar @param {number} since @param {Scale} scale */
export function wait(bar, since, { x }) {
  const y = TOP + bar.lane * LANE + LANE - 2.5;
  const line = { class: "dt-wait", x1: x(since), x2: x(bar.start), y1: y, y2: y, stroke: "currentColor",
    "stroke-opacity": 0.6, "stroke-width": 4, "stroke-dasharray": "1 3" };
  const words = `${plain(bar.task)} was ready at ${seconds(since)}, starts ${seconds(bar.start - since)} later`;
  return h("line", line, hover(words));
}

/**
 * How `bar` is to look.
 * @param {Bar} bar @param {Scale} scale @param {Store} store @param {Set<string>} path @returns {Picture}
 */
export function picture(bar, scale, store, path) {
  const { scene, selected, near } = store, look = lookOf(bar), critical = path.has(bar.task);
  const running = bar.outcome === "running" && bar.kind === "past", ghost = bar.kind === "ghost";
  const needs = scene.rows.get(bar.task)?.resources ?? [];
  const x = scale.x(bar.start), width = Math.max(1, scale.x(bar.end) - x), inset = ghost ? 1 : 4;
  const name = `${plain(bar.task)}${bar.attempt > 1 ? ` #${bar.attempt}` : ""}`;
  const picked = bar.task === selected, y = TOP + bar.lane * LANE + inset, place = { x: x + 4, y: y + 13 };
  return {
    key: `${bar.kind} ${bar.key}`, task: bar.task,
    rect: {
      x, width, y, height: LANE - 1 - 2 * inset, rx: 2,
      fill: ghost ? "none" : look.colour, "fill-opacity": bar.kind === "predicted" ? 0.3 : 1,
      stroke: picked && !ghost ? PICKED : "currentColor", "stroke-width": picked || critical ? 2.5 : width < 4 ? 0 : 0.6,
      "stroke-dasharray": ghost ? "4 3" : running ? "6 3" : null, "pointer-events": "all",
    },
    label: bar.kind === "past"
      ? { ...place, fill: "#fff", stroke: "#000", "stroke-opacity": 0.45, "stroke-width": 2, "paint-order": "stroke" }
      : { ...place, fill: "currentColor" },
    words: ghost ? "" : fitted(`${look.mark} ${name}${needs.length ? " ◆" : ""}`, width),
    facts: `${bar.end} ${bar.outcome} ${critical} ${needs}`,
    hover: () => told(bar, name, running, critical, needs),
    opacity: selected && !near.has(bar.task) ? 0.25 : 1,
  };
}

/** As much of `words` as `width` pixels hold. @param {string} words @param {number} width */
function fitted(words, width) {
  const most = Math.floor((width - 7) / 6.2);
  return most < 1 ? "" : most === 1 ? words.slice(0, 1) : plain(words, most);
}

/** @param {Bar} bar @param {string} name @param {boolean} running @param {boolean} critical @param {string[]} needs */
function told(bar, name, running, critical, needs) {
  const took = seconds(bar.end - bar.start), from = seconds(bar.start), to = running ? "now" : seconds(bar.end);
  const what = bar.kind === "ghost" ? "with the change" : lookOf(bar).words;
  return `${name}: ${what}, ${took} (${from} to ${to}) on ${plain(bar.agent)}, attempt ${bar.attempt}` +
    (critical ? ", on the critical path" : "") +
    (needs.length ? `, needs ◆ ${needs.slice(0, 8).map((one) => plain(one, 40)).join(", ")}` : "");
}

/** Set those of `now` that `before` had otherwise. @param {Element} el @param {Picture["rect"]} before @param {Picture["rect"]} now */
function renew(el, before, now) {
  for (const name in now) if (before[name] !== now[name]) set(el, { [name]: now[name] });
}

/** An element for the bar of `task`. @param {string} task */
function made(task) {
  const rect = h("rect"), text = h("text", { "font-size": 11, "pointer-events": "none" }), title = hover("");
  return { el: h("g", { class: "dt-bar", "data-task": task }, title, rect, text), rect, text, title };
}

/**
 * Keeps an element a bar in `group`, and touches of it only what changed: the rest, hover texts too, stays.
 * @param {SVGElement} group @returns {(pictures: Picture[]) => void}
 */
export function layer(group) {
  /** @type {Map<string, ReturnType<typeof made> & {was: Picture | null}>} */
  const known = new Map();
  return (pictures) => {
    const wanted = new Set(pictures.map((one) => one.key));
    for (const [key, { el }] of known) if (!wanted.has(key)) {
      el.remove();
      known.delete(key);
    }
    for (const one of pictures) {
      const bar = known.get(one.key) ?? { ...made(one.task), was: null }, was = bar.was;
      if (!was) {
        known.set(one.key, bar);
        group.append(bar.el);
      }
      renew(bar.el, { opacity: was?.opacity }, { opacity: one.opacity });
      renew(bar.rect, was?.rect ?? {}, one.rect);
      renew(bar.text, was?.label ?? {}, one.label);
      if (was?.words !== one.words) bar.text.textContent = one.words;
      if (was?.facts !== one.facts) bar.title.textContent = one.hover();
      bar.was = one;
    }
  };
}
