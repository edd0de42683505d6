// What the timeline shows, before anything is drawn: lanes by agent and slot, bars, waits, round times. Pure.
// The same in Python: dyntaskmas_nb/view/{lanes,theme,words}.py.

/** @typedef {import("./types").Attempt} Attempt */
/** @typedef {import("./types").Scene} Scene */
/**
 * One bar. `past` is what happened (or runs), `predicted` what is forecast, a `ghost` what a change would make.
 * @typedef {{key: string, task: string, attempt: number, agent: string, start: number, end: number,
 *   kind: "past" | "predicted" | "ghost", outcome: string, slot: number, lane: number}} Bar
 */
/** @typedef {{name: string, slot: string}} Lane */
/** @typedef {{lanes: Lane[], bars: Bar[], ghosts: Bar[], start: number, end: number}} Layout */

/** How an outcome looks: by colour, mark and text, so that no one needs to see all three. */
export const LOOKS = {
  done: { colour: "#0c8f6b", mark: "✓", words: "done" },
  failed: { colour: "#d5461e", mark: "✗", words: "failed" },
  stopped: { colour: "#94704a", mark: "⊘", words: "stopped" },
  running: { colour: "#d97f00", mark: "▶", words: "running" },
  predicted: { colour: "#7f8792", mark: "○", words: "predicted" },
};

/** @param {Bar} bar */
export function lookOf({ kind, outcome }) {
  const known = /** @type {Record<string, typeof LOOKS.done>} */ (LOOKS);
  return kind === "past" ? (Object.hasOwn(known, outcome) ? known[outcome] : LOOKS.stopped) : LOOKS.predicted;
}

const STEERING = new RegExp(
  "[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f" +
  "\\ufeff\\ufff9-\\uffff\\ud800-\\udfff\\u{e0000}-\\u{e001f}]", "gu");

/** `text` on one line without what steers a screen, at most `most` long. @param {string} text */
export function plain(text, most = 80) {
  const cut = text.length > most ? `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, "")}…` : text;
  return cut.replace(/\s+/g, " ").replace(STEERING, "\ufffd");
}

/** @param {{task: string, attempt: number}} one */
const keyOf = (one) => `${one.task}#${one.attempt}`;

/** Spelled out: a spread is ten times slower here. @param {Attempt} one @param {Bar["kind"]} kind @returns {Bar} */
function barOf(one, kind, /** @type {number} */ start, /** @type {number} */ end, /** @type {number} */ slot) {
  const { task, attempt, agent, outcome } = one;
  return { key: keyOf(one), task, attempt, agent, start, end, kind, outcome, slot, lane: 0 };
}

/** @param {Iterable<Attempt>} attempts */
const inOrder = (attempts) => [...attempts].sort((a, b) =>
  a.start - b.start || (a.end ?? Infinity) - (b.end ?? Infinity) || (a.task < b.task ? -1 : 1));

/** The first free slot of `agent`, taken until `end`. @param {Map<string, number[]>} ends @param {string} agent */
function take(ends, agent, /** @type {number} */ start, /** @type {number} */ end) {
  const own = ends.get(agent) ?? [];
  ends.set(agent, own);
  const free = own.findIndex((until) => until <= start + 1e-9), slot = free < 0 ? own.length : free;
  own[slot] = end;
  return slot;
}

/**
 * Bars in lanes: an agent that does several things at once gets a lane a slot. What is predicted of a running
 * attempt goes on in its lane; `ghosts` are laid out by themselves, beside the forecast.
 * @param {Scene} scene @param {Attempt[]} [ghosts] @returns {Layout}
 */
export function layout(scene, ghosts = []) {
  const now = scene.t;
  /** @type {Map<string, number[]>} */ const ends = new Map(scene.agents.map((agent) => [agent.id, []]));
  /** @type {Map<string, Bar>} */ const open = new Map();
  const past = inOrder(scene.attempts.values()).map((one) => {
    const slot = take(ends, one.agent, one.start, one.end ?? Infinity);
    const bar = barOf(one, "past", one.start, one.end ?? Math.max(now, one.start), slot);
    if (one.end === null) open.set(bar.key, bar);
    return bar;
  });
  const come = (/** @type {Attempt[]} */ list, /** @type {"predicted" | "ghost"} */ kind) =>
    toCome(list, kind, new Map([...ends].map(([agent, own]) => [agent, [...own]])), open, scene);
  const bars = [...past, ...come(scene.forecast?.attempts ?? [], "predicted")], shadows = come(ghosts, "ghost");
  const all = [...bars, ...shadows], lanes = number(all, [...ends.keys()]);
  return {
    lanes, bars, ghosts: shadows,
    start: all.reduce((least, bar) => Math.min(least, bar.start), all.length ? Infinity : 0),
    end: all.reduce((most, bar) => Math.max(most, bar.end), now),
  };
}

/** @param {Attempt[]} list @param {"predicted" | "ghost"} kind @param {Map<string, number[]>} ends */
function toCome(list, kind, ends, /** @type {Map<string, Bar>} */ open, /** @type {Scene} */ scene) {
  const now = scene.t, until = new Map(list.map((one) => [keyOf(one), one.end]));
  for (const bar of open.values()) {
    const own = /** @type {number[]} */ (ends.get(bar.agent));
    own[bar.slot] = Math.max(now, until.get(bar.key) ?? now);
  }
  /** @type {Bar[]} */ const found = [];
  for (const one of inOrder(list)) {
    const key = keyOf(one), running = open.get(key), end = one.end ?? one.start;
    if (running ? end <= now : scene.attempts.has(key)) continue;
    const start = running ? Math.max(now, running.start) : one.start, agent = running?.agent ?? one.agent;
    const slot = running ? running.slot : take(ends, agent, start, end);
    found.push(barOf({ ...one, agent }, kind, start, end, slot));
  }
  return found;
}

/** Give each bar its lane; all lanes. @param {Bar[]} bars @param {string[]} agents */
function number(bars, agents) {
  const wide = new Map(agents.map((agent) => [agent, 1]));
  for (const bar of bars) wide.set(bar.agent, Math.max(wide.get(bar.agent) ?? 1, bar.slot + 1));
  /** @type {Map<string, number>} */ const first = new Map();
  /** @type {Lane[]} */ const lanes = [];
  for (const [agent, slots] of wide) {
    first.set(agent, lanes.length);
    const name = plain(agent, 40) || "no agent";
    for (let slot = 1; slot <= slots; slot++) lanes.push({ name, slot: slots > 1 ? ` ${slot}` : "" });
  }
  for (const bar of bars) bar.lane = (first.get(bar.agent) ?? 0) + bar.slot;
  return lanes;
}

/**
 * Of `bars` those to draw between `from` and `to` at `scale` pixels a second: one a pixel of those narrower than
 * a pixel, `most` in all. What `matters` goes first, then what is wide.
 * @param {Bar[]} bars @param {{from: number, to: number, scale: number, most: number}} view
 * @param {(bar: Bar) => boolean} matters @returns {Bar[]}
 */
export function thin(bars, { from, to, scale, most }, matters) {
  const seen = bars.filter((bar) => bar.end >= from && bar.start <= to), taken = new Set();
  const kept = [...seen.filter(matters), ...seen.filter((bar) => !matters(bar))].filter((bar) => {
    if ((bar.end - bar.start) * scale >= 1) return true;
    const place = bar.lane * 1e5 + Math.max(0, Math.floor((bar.start - from) * scale));
    return !taken.has(place) && taken.add(place);
  });
  const weight = (/** @type {Bar} */ bar) => (matters(bar) ? 1e12 : 0) + bar.end - bar.start;
  return kept.length <= most ? kept : kept.sort((a, b) => weight(b) - weight(a)).slice(0, most);
}

/** When a task became ready or will: what it waited for was done. Null where that is unknown. @param {Scene} scene */
export function readiness(scene) {
  /** @type {Map<string, number>} */ const done = new Map();
  for (const one of [...(scene.forecast?.attempts ?? []), ...scene.attempts.values()]) {
    if (one.end !== null && (one.outcome === "done" || !scene.attempts.has(keyOf(one)))) done.set(one.task, one.end);
  }
  return (/** @type {import("./types").Row} */ row) => {
    const ends = row.after.map((id) => done.get(id) ?? NaN);
    return ends.length && row.join === "all" && !ends.some(Number.isNaN) ? Math.max(...ends) : null;
  };
}

const TENTHS = [-6, -5, -4, -3, -2, -1].flatMap((power) => [1, 2, 5].map((factor) => factor * 10 ** power));
const STEPS = [...TENTHS, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200];

/** Round times from `start` to `end` (s), about `most` at most. @param {number} start @param {number} end */
export function ticks(start, end, most = 8) {
  const rough = (end - start) / most;
  const step = STEPS.find((one) => one >= rough * 0.999) ?? 86400 * Math.ceil(rough / 86400);
  const first = Math.ceil(start / step - 1e-9), last = Math.floor(end / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toFixed(9)));
}
