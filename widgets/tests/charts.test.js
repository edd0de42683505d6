// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { metricsView } from "../src/charts.js";
import { bounds, charts, shown, trail } from "../src/series.js";
import { Store } from "../src/store.js";

let frames, store, view;
const frame = () => frames.splice(0).forEach((one) => one());
const figure = (title) => [...view.el.querySelectorAll("figure")].find((one) => one.querySelector("button").textContent === title);
const part = (title, name) => figure(title).querySelector(name);
const sample = (t, values) => ({ t, values });
const row = (name, more = {}) => ({ scope: "run", at: "", name, value: 1, unit: "", shown: "1", meaning: "what it is", ...more });

function show(samples, more = {}) {
  Object.assign(store.live, { samples, ...more });
  store.changed({ scene: true });
  frame();
}

beforeEach(() => {
  frames = [];
  vi.stubGlobal("requestAnimationFrame", (one) => frames.push(one));
  store = new Store(() => {});
  view = metricsView(store);
  document.body.append(view.el);
  store.watch((what) => view.update(what));
  frame();
});
afterEach(() => { view.destroy(); view.el.remove(); vi.unstubAllGlobals(); });

test("a path breaks where a value is null, and a lone value is a dot", () => {
  const same = (v) => v;
  expect(trail([1, 2, null, 4, null, 5, 6], [0, 1, 2, 3, 4, 5, 6], same, same)).toBe("M0 1L1 2M3 4h0M5 5L6 6");
});

test("a chart names its latest value with the unit, and the ends of its axes", () => {
  show([sample(0, { throughput: 1 }), sample(60, { throughput: 4 }), sample(120, { throughput: 2 })]);
  expect(part("Throughput", ".dt-chart-latest").textContent).toBe("2 tasks/s");
  expect([...figure("Throughput").querySelectorAll(".dt-chart-axis span")].map((one) => one.textContent)).toEqual(["4", "0"]);
  const foot = [...figure("Throughput").querySelectorAll(".dt-chart-foot span")].map((one) => one.textContent);
  expect(foot).toEqual(["0 s", "", "2 min"]);
  expect(part("Throughput", "svg").getAttribute("aria-label")).toContain("latest 2 tasks/s");
});

test("latency shows its mean and its 95 %, a gap as –", () => {
  show([sample(0, { latency: 2, latency_p95: 4 }), sample(1, { latency: 3, latency_p95: null })]);
  expect(part("Latency", ".dt-chart-latest").textContent).toBe("mean 3 s, 95 % –");
  expect(figure("Latency").querySelectorAll("path")).toHaveLength(2);
});

test("up to eight agents have a line each; of more the mean is drawn", () => {
  const of = (n) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`agent:${i}`, i % 2 ? 1 : 0]));
  show([sample(0, of(8))]);
  expect(figure("Utilisation by agent").querySelectorAll(".dt-chart-box path")).toHaveLength(8);
  show([sample(0, { ...of(10), utilisation: 0.4 })]);
  expect(figure("Utilisation by agent").querySelectorAll(".dt-chart-box path")).toHaveLength(1);
  expect(figure("Utilisation by agent").textContent).toContain("40 %");
});

test("the machine's use is the GPU's where there is one, else the CPU's, else said to be missing", () => {
  const title = (samples, clock = "real") => charts({ ...store.live, samples, clock }).at(-1);
  expect(title([sample(0, { gpu: 0.5, cpu: 0.1 })]).title).toBe("GPU use");
  expect(title([sample(0, { gpu: null, cpu: 0.1 })]).title).toBe("CPU use (no GPU)");
  expect(title([sample(0, { gpu: null, cpu: null })], "virtual").missing).toBe("not sampled under the virtual clock");
  show([sample(0, { throughput: 1, cpu: null, gpu: null })], { clock: "virtual" });
  expect(part("Machine use", ".dt-chart-missing").textContent).toBe("not sampled under the virtual clock");
  expect([part("Machine use", ".dt-chart-box").hidden, part("Throughput", ".dt-chart-box").hidden]).toEqual([true, false]);
});

test("shares go from 0 to 1, everything else from 0 to its most; all null is nothing", () => {
  const chart = (unit) => ({ name: "", title: "", unit, lines: [{ label: "", at: (v) => v.x }], missing: "" });
  expect(bounds(chart("share"), [sample(0, { x: 0.2 })])).toEqual({ least: 0, most: 1 });
  expect(bounds(chart("s"), [sample(0, { x: 5 }), sample(1, { x: null })])).toEqual({ least: 0, most: 5 });
  expect(bounds(chart("s"), [sample(0, { x: 0 })])).toEqual({ least: 0, most: 1 });
  expect(bounds(chart("s"), [sample(0, { x: null })])).toBe(null);
  expect([shown(0.5, "share"), shown(90, "s"), shown(1200, "tokens"), shown(null, "s")]).toEqual(["50 %", "1 min 30 s", "1,200 tokens", "–"]);
});

test("the pointer and the arrow keys tell the value at a time", () => {
  show([sample(0, { queue_depth: 1 }), sample(5, { queue_depth: 7 }), sample(10, { queue_depth: 3 })]);
  const svg = part("Queue depth", "svg"), told = () => part("Queue depth", ".dt-chart-told").textContent;
  svg.dispatchEvent(new MouseEvent("pointermove", { clientX: 112 }));
  expect(told()).toBe("5 s: 7 waiting");
  svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
  expect(told()).toBe("0 s: 1 waiting");
  svg.dispatchEvent(new MouseEvent("pointerleave"));
  expect(told()).toBe("");
});

test("a name or a row of the table asks for its explanation, once, where there is one", () => {
  show([sample(0, { cpu: 0.5 })], {
    figures: [row("utilisation", { at: "a" }), row("done", { scope: "recent" }), row("busy", { at: "GPU 0" }), row("busy", { at: "machine" })],
  });
  figure("Latency").querySelector("button").click();
  store.explain = vi.fn();
  figure("Latency").querySelector("button").click();
  figure("Queue depth").querySelector("button").click();
  figure("CPU use (no GPU)").querySelector("button").click();
  view.el.querySelector("tbody button").click();
  view.el.querySelector("tbody tr:nth-child(2) td").click();
  expect(store.explain.mock.calls).toEqual([
    ["metric", "recent latency_mean", ""], ["metric", "busy", "machine"], ["metric", "utilisation", "a"], ["metric", "recent done", ""]]);
});

test("the table keeps its rows while values change, so that the focus stays", () => {
  show([], { figures: [row("done"), row("failed")] });
  const before = view.el.querySelector("tbody tr");
  show([], { figures: [row("done", { shown: "2" }), row("failed")] });
  expect(view.el.querySelector("tbody tr")).toBe(before);
  expect([...before.children].map((one) => one.textContent)).toEqual(["run", "", "done", "2", "what it is"]);
  show([], { figures: [row("other")] });
  expect(view.el.querySelectorAll("tbody tr")).toHaveLength(1);
});

test("foreign text stays text, and a long table is cut", () => {
  show([sample(0, { "agent:<b>x</b>": 1 })], { figures: Array.from({ length: 400 }, (_, i) => row("<img>", { at: `${i}` })) });
  expect(view.el.querySelectorAll("img")).toHaveLength(0);
  expect(part("Utilisation by agent", ".dt-chart-legend").textContent).toContain("<b>x</b>");
  expect(view.el.querySelectorAll("tbody tr")).toHaveLength(300);
  expect(view.el.textContent).toContain("showing 300 of 400 figures");
});

test("it draws once a frame, and not while it is hidden", () => {
  for (let i = 0; i < 5; i++) store.changed({ scene: true });
  expect(frames).toHaveLength(1);
  frame();
  view.shown = false;
  store.changed({ scene: true });
  expect(frames).toHaveLength(0);
});
