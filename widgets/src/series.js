// What the charts show, before anything is drawn: lines from samples, their bounds, numbers with units. Pure.

import { number, seconds } from "./dom.js";
import { plain } from "./lanes.js";

/** @typedef {import("./types").Scene} Scene */
/** @typedef {{label: string, at: (values: Record<string, number | null>) => number | null}} Line */
/** A chart: `name` and `of` are the figure's, for its explanation ("" where nothing explains it); `missing` is said
 * while there is nothing to draw.
 * @typedef {{name: string, of: string, title: string, unit: string, lines: Line[], missing: string}} Chart */

/** Agents that get a line each; of more, the mean is drawn. */
const AGENTS = 8;
const AGENT = "agent:";
/** The name of all processors together among the figures of the machine. */
const CPU = "machine";

/** @param {string} key @param {string} [label] @returns {Line} */
const line = (key, label = "") => ({ label, at: (values) => finite(values[key]) });

/** @param {unknown} value */
const finite = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

/** The charts of `scene`, in order. @param {Scene} scene @returns {Chart[]} */
export function charts(scene) {
  const missing = "no samples yet", cost = scene.figures.find((one) => one.name === "cost")?.unit ?? "";
  /** @param {string} name @param {string} title @param {string} unit @param {Line[]} lines @returns {Chart} */
  const chart = (name, title, unit, ...lines) => ({ name, of: "", title, unit, lines, missing });
  return [
    chart("recent throughput", "Throughput", "tasks/s", line("throughput")),
    chart("recent latency_mean", "Latency", "s", line("latency", "mean"), line("latency_p95", "95 %")),
    chart("", "Queue depth", "waiting", line("queue_depth")),
    chart("recent wait_mean", "Queue wait", "s", line("queue_wait")),
    chart("recent utilisation", "Utilisation by agent", "share", ...agentLines(scene.samples)),
    chart("tokens", "Tokens", "tokens", line("tokens")),
    chart("cost", "Cost", plain(cost, 8), line("cost")),
    machine(scene),
  ];
}

/** A line for each agent, or their mean where they are many. @param {Scene["samples"]} samples @returns {Line[]} */
function agentLines(samples) {
  /** @type {Set<string>} */ const found = new Set();
  for (const { values } of samples) for (const key in values) if (key.startsWith(AGENT)) found.add(key);
  const keys = [...found];
  if (keys.length <= AGENTS) return keys.map((key) => line(key, plain(key.slice(AGENT.length), 24)));
  return [line("utilisation", "all agents")];
}

/** GPU use where a GPU was sampled, else the processor's. @param {Scene} scene @returns {Chart} */
function machine({ samples, clock, figures }) {
  const has = (/** @type {string} */ key) => samples.some(({ values }) => finite(values[key]) !== null);
  const missing = clock === "virtual" ? "not sampled under the virtual clock" : "not sampled yet";
  const [key, title] = has("gpu") ? ["gpu", "GPU use"] : has("cpu") ? ["cpu", "CPU use (no GPU)"] : ["cpu", "Machine use"];
  const of = figures.find(({ name, at }) => name === "busy" && (at === CPU) === (key === "cpu"))?.at ?? "";
  return { name: of && "busy", of, title, unit: "share", lines: [line(key)], missing };
}

/** `value` with its unit; "–" for null. @param {number | null} value @param {string} unit */
export function shown(value, unit) {
  if (value === null) return "–";
  if (unit === "share") return `${number(100 * value)} %`;
  return unit === "s" ? seconds(value) : `${number(value)}${unit && ` ${unit}`}`;
}

/** `value` for an axis, where only the shortest units have room. @param {number} value @param {string} unit */
export const short = (value, unit) => shown(value, unit === "s" || unit === "share" ? unit : "");

/** The least and most of what `lines` show, from 0 on; shares from 0 to 1. Null without a value.
 * @param {Chart} chart @param {Scene["samples"]} samples */
export function bounds({ unit, lines }, samples) {
  let least = 0, most = -Infinity;
  for (const { values } of samples) for (const { at } of lines) {
    const value = at(values) ?? -Infinity;
    if (value > most) most = value;
    if (value < least && value > -Infinity) least = value;
  }
  return most === -Infinity ? null : { least, most: unit === "share" ? Math.max(1, most) : most > least ? most : least + 1 };
}

/**
 * A path through `values` at `times`, broken where a value is null; a lone value is a dot.
 * @param {(number | null)[]} values @param {number[]} times @param {(t: number) => number} x @param {(v: number) => number} y
 */
export function trail(values, times, x, y) {
  const round = (/** @type {number} */ place) => Math.round(place * 100) / 100;
  return values.map((value, i) => {
    if (value === null) return "";
    const starts = i === 0 || values[i - 1] === null, ends = i + 1 === values.length || values[i + 1] === null;
    return `${starts ? "M" : "L"}${round(x(times[i]))} ${round(y(value))}${starts && ends ? "h0" : ""}`;
  }).join("");
}
