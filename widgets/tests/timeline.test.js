// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { layout, plain, readiness, thin, ticks } from "../src/lanes.js";
import { timeWindow } from "../src/lens.js";
import { Store } from "../src/store.js";
import { compared, timelineView } from "../src/timeline.js";

const NAMES = ["task", "agent", "start", "end", "outcome"];
const attempt = (...values) => ({ attempt: 1, ...Object.fromEntries(NAMES.map((name, i) => [name, values[i]])) });
const row = (id, more = {}) => ({ id, after: [], resources: [], join: "all", state: "done", reason: "", ...more });
const forecast = (attempts, more = {}) => ({ makespan: 12, path: [], order: [], tokens: 0, cost: 0, attempts, ...more });

let frames, store, view, sent;
const frame = () => frames.splice(0).forEach((one) => one());
const all = (selector) => [...view.el.querySelectorAll(selector)];
const bar = (task) => all(".dt-bar").filter((one) => one.getAttribute("data-task") === task);
const rect = (task, i = 0) => bar(task)[i].querySelector("rect");
const words = (task, i = 0) => bar(task)[i].querySelector("text").textContent;
const titled = (task, i = 0) => bar(task)[i].querySelector("title").textContent;
const notes = () => all(".dt-timeline-notes p").map((one) => one.textContent);
const press = (key, more = {}) => view.el.querySelector("svg").dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...more }));
const click = (label) => all("button").find((one) => one.textContent === label).click();

function show(attempts, more = {}) {
  Object.assign(store.live, { t: 10, agents: ["a", "b"].map((id) => ({ id })), ...more });
  for (const one of attempts) {
    store.live.attempts.set(`${one.task}#${one.attempt}`, one);
    if (!store.live.rows.has(one.task)) store.live.rows.set(one.task, row(one.task));
  }
  store.changed({ scene: true, rows: null });
  frame();
}

beforeEach(() => {
  [frames, sent] = [[], []];
  vi.stubGlobal("requestAnimationFrame", (one) => frames.push(one));
  store = new Store((message) => sent.push(message));
  view = timelineView(store);
  document.body.append(view.el);
  store.watch((what) => view.update(what));
  frame();
});
afterEach(() => { view.destroy(); view.el.remove(); vi.unstubAllGlobals(); vi.restoreAllMocks(); });

test("an agent that does two things at once has two lanes, an idle one has one", () => {
  show([attempt("x", "a", 0, 4, "done"), attempt("y", "a", 2, null, "running"), attempt("z", "a", 4, 6, "done")]);
  const { lanes, bars } = layout(store.live);
  expect(lanes.map(({ name, slot }) => name + slot)).toEqual(["a 1", "a 2", "b"]);
  expect(Object.fromEntries(bars.map((one) => [one.task, one.lane]))).toEqual({ x: 0, y: 1, z: 0 });
});

test("what is predicted of a running attempt goes on in its lane, what has ended is not predicted again", () => {
  show([attempt("x", "a", 0, 4, "done"), attempt("y", "a", 4, null, "running")], {
    forecast: forecast([attempt("x", "a", 0, 5, "done"), attempt("y", "a", 4, 11, "done"), attempt("z", "a", 11, 12, "done")]),
  });
  const bars = layout(store.live).bars.map(({ task, kind, start, end, lane }) => [task, kind, start, end, lane]);
  expect(bars).toEqual([["x", "past", 0, 4, 0], ["y", "past", 4, 10, 0], ["y", "predicted", 10, 11, 0], ["z", "predicted", 11, 12, 0]]);
});

test("an outcome shows by colour, mark and words; a running bar is dashed to now, a predicted one is light", () => {
  show([attempt("d", "a", 0, 4, "done"), attempt("f", "a", 4, 6, "failed"), attempt("s", "a", 6, 8, "stopped"),
    { ...attempt("r", "a", 8, null, "running"), attempt: 2 }], { forecast: forecast([attempt("p", "b", 10, 12, "done")]) });
  const looks = { d: ["#0c8f6b", "✓", "done"], f: ["#d5461e", "✗", "failed"], s: ["#94704a", "⊘", "stopped"],
    r: ["#d97f00", "▶", "running"], p: ["#7f8792", "○", "predicted"] };
  for (const [task, [colour, mark, said]] of Object.entries(looks)) {
    expect(rect(task).getAttribute("fill")).toBe(colour);
    expect(words(task)[0]).toBe(mark);
    expect(titled(task)).toContain(said);
  }
  expect(words("r")).toContain("#2");
  expect(rect("r").hasAttribute("stroke-dasharray")).toBe(true);
  expect(rect("d").hasAttribute("stroke-dasharray")).toBe(false);
  const edge = (one) => Number(one.getAttribute("x")) + Number(one.getAttribute("width"));
  expect(edge(rect("r"))).toBeCloseTo(Number(view.el.querySelector(".dt-now").getAttribute("x1")), 0);
  expect(Number(rect("p").getAttribute("fill-opacity"))).toBeLessThan(0.5);
  const label = view.el.querySelector("svg").getAttribute("aria-label");
  for (const part of ["1 done", "1 failed", "1 stopped", "1 running", "1 predicted"]) expect(label).toContain(part);
});

test("the critical path has a thick outline", () => {
  show([attempt("x", "a", 0, 4, "done"), attempt("y", "b", 0, 4, "done")], { forecast: forecast([], { path: ["x"] }) });
  expect(Number(rect("x").getAttribute("stroke-width"))).toBeGreaterThan(2);
  expect(Number(rect("y").getAttribute("stroke-width"))).toBeLessThan(1);
});

test("resources are marked and named; who waits for one is listed, and its wait drawn", () => {
  store.live.rows.set("y", row("y", { after: ["x"], resources: ["printer"] }));
  store.live.rows.set("w", row("w", { state: "ready", reason: "waits for its resources", resources: ["scanner"] }));
  store.live.rows.set("v", row("v", { state: "ready", reason: "waits for an agent", resources: ["scanner"] }));
  show([attempt("x", "a", 0, 4, "done"), attempt("y", "b", 7, 9, "done")]);
  expect(words("y")).toContain("◆");
  expect(titled("y")).toContain("printer");
  expect(notes().some((line) => line.startsWith("w waits for scanner"))).toBe(true);
  expect(notes().some((line) => /^[vy]/.test(line))).toBe(false);
  expect(all(".dt-wait")).toHaveLength(1);
  expect(readiness(store.live)(store.live.rows.get("y"))).toBe(4);
  expect(readiness(store.live)(row("q", { after: ["x", "unknown"] }))).toBe(null);
  expect(readiness(store.live)(row("q", { after: ["x"], join: "any" }))).toBe(null);
});

test("a click selects the bar's task; what has nothing to do with it is dimmed", () => {
  store.live.rows.set("y", row("y", { after: ["x"] }));
  show([attempt("x", "a", 0, 4, "done"), attempt("y", "a", 4, 8, "done"), attempt("z", "b", 0, 4, "done")]);
  rect("x").dispatchEvent(new MouseEvent("click", { bubbles: true }));
  frame();
  expect(store.selected).toBe("x");
  expect(["x", "y", "z"].map((task) => Number(bar(task)[0].getAttribute("opacity")) < 1)).toEqual([false, false, true]);
  press("ArrowDown");
  expect(store.selected).not.toBe("x");
});

test("a drag moves the window and selects nothing", () => {
  show([attempt("x", "a", 0, 4, "done"), attempt("y", "a", 4, 8, "done")]);
  const svg = view.el.querySelector("svg"), before = Number(rect("y").getAttribute("x"));
  const point = (type, clientX, buttons) => rect("y").dispatchEvent(new MouseEvent(type, { clientX, buttons, bubbles: true }));
  svg.setPointerCapture = () => {};
  point("pointerdown", 300, 1);
  point("pointermove", 250, 1);
  point("click", 250, 0);
  frame();
  expect(Number(rect("y").getAttribute("x"))).toBeCloseTo(before - 50, 0);
  expect(store.selected).toBe("");
  point("pointermove", 100, 0);
  frame();
  expect(Number(rect("y").getAttribute("x"))).toBeCloseTo(before - 50, 0);
});

test("the wheel zooms with Ctrl only, so that a notebook still scrolls", () => {
  show([attempt("x", "a", 0, 10, "done")]);
  const turn = (ctrlKey) => {
    const event = new WheelEvent("wheel", { deltaY: -100, clientX: 128, bubbles: true, cancelable: true });
    Object.defineProperty(event, "ctrlKey", { value: ctrlKey });
    view.el.querySelector("svg").dispatchEvent(event);
    return event.defaultPrevented;
  };
  expect([turn(false), frames.length]).toEqual([false, 0]);
  expect([turn(true), frames.length]).toEqual([true, 1]);
});

test("a window zooms about a place, moves, follows the present, and fits again", () => {
  const model = { start: 0, end: 40 };
  let t = 20;
  const lens = timeWindow(() => model, () => t);
  lens.zoom(0.5, 0.25);
  expect(lens.span()).toEqual({ from: 5, to: 25 });
  lens.pan(0.5);
  expect(lens.span()).toEqual({ from: 15, to: 35 });
  lens.pan(100);
  expect(lens.span().from).toBe(40);
  lens.fit();
  lens.zoom(0.25);
  lens.follow();
  t = 30;
  expect(lens.span()).toEqual({ from: 20, to: 30 });
  lens.zoom(0.5);
  expect(lens.span()).toEqual({ from: 25, to: 30 });
  lens.fit();
  expect([lens.span(), lens.following()]).toEqual([{ from: 0, to: 40 }, false]);
});

test("of 5,000 attempts at most 1,500 are drawn, and it says so", () => {
  show(Array.from({ length: 5000 }, (_, i) => attempt(`t${i}`, `g${i % 50}`, i / 500, i / 500 + 0.09, "done")));
  const drawn = all(".dt-bar").length;
  expect(drawn).toBeGreaterThan(500);
  expect(drawn).toBeLessThanOrEqual(1500);
  expect(notes()).toContain(`showing ${drawn.toLocaleString("en-US")} of 5,000 attempts`);
  for (let i = 0; i < 12; i++) press("+");
  frame();
  expect(all(".dt-bar").length).toBeLessThan(drawn / 3);
});

test("of bars in one pixel a failure is the one that stays", () => {
  const tiny = (task, outcome) => ({ ...attempt(task, "a", 5, 5.001, outcome), kind: "past", lane: 0 });
  const kept = thin([tiny("x", "done"), tiny("y", "failed")], { from: 0, to: 10, scale: 10, most: 9 }, (one) => one.outcome === "failed");
  expect(kept.map((one) => one.task)).toEqual(["y"]);
});

test("it draws once a frame, and not while it is hidden", () => {
  for (let i = 0; i < 5; i++) store.changed({ scene: true });
  expect(frames).toHaveLength(1);
  frame();
  view.shown = false;
  store.live.rows.set("x", row("x"));
  store.live.attempts.set("x#1", attempt("x", "a", 0, 4, "done"));
  store.changed({ scene: true });
  expect([frames.length, all(".dt-bar").length]).toEqual([0, 0]);
  view.shown = true;
  store.changed({ selection: true });
  frame();
  expect(all(".dt-bar")).toHaveLength(1);
});

test("a bar that did not change keeps its element", () => {
  show([attempt("x", "a", 0, 4, "done"), attempt("y", "b", 0, 20, "done")]);
  const before = bar("x")[0];
  show([attempt("z", "a", 5, 6, "done")]);
  expect(bar("x")[0]).toBe(before);
  store.live.attempts.delete("x#1");
  show([]);
  expect(bar("x")).toHaveLength(0);
});

test("an accepted change shows as ghosts and in words, a refused one does not", () => {
  show([], { forecast: forecast([attempt("p", "b", 10, 12, "done")]) });
  const change = { accepted: true, before: forecast([]), after: forecast([attempt("p", "b", 12, 14, "done")], { makespan: 14 }) };
  store.try(change);
  frame();
  expect(bar("p").map((_, i) => rect("p", i).getAttribute("fill"))).toEqual(["#7f8792", "none"]);
  expect(rect("p", 1).hasAttribute("stroke-dasharray")).toBe(true);
  expect(notes()).toContain("makespan 12 s → 14 s (2 s later)");
  store.try({ ...change, accepted: false });
  frame();
  expect(bar("p")).toHaveLength(1);
  expect([compared(14, 12), compared(3, 3), compared(3, null)]).toEqual(
    ["makespan 14 s → 12 s (2 s earlier)", "makespan 3 s → 3 s (unchanged)", "makespan 3 s → –"]);
});

test("the picture and the trace are saved as files, made in the page", async () => {
  const files = [], names = [];
  vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => `blob:${files.push(blob)}`);
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function () { names.push(this.download); });
  show([attempt("<i>x</i>", "a", 0, 9, "done")], { run: "../r 1" });
  click("Save SVG");
  const text = await files[0].text();
  expect(text).toContain("&lt;i&gt;");
  expect(text).not.toContain("currentColor");
  expect(text).toContain("#0c8f6b");
  click("Save trace");
  const { id } = sent.find((one) => one.command === "trace");
  store.receive({ kind: "answer", id, ok: true, data: { traceEvents: [] } });
  await vi.waitFor(() => expect(files).toHaveLength(2));
  expect(JSON.parse(await files[1].text())).toEqual({ traceEvents: [] });
  expect(names).toEqual([".._r_1-timeline.svg", ".._r_1-trace.json"]);
});

test("a trace that is refused says why", async () => {
  click("Save trace");
  store.receive({ kind: "answer", id: sent.at(-1).id, ok: false, reason: "nothing ran" });
  await vi.waitFor(() => expect(frames).toHaveLength(1));
  frame();
  expect(notes()).toContain("nothing ran");
});

test("foreign text stays text, on one line, without what steers a screen", () => {
  show([attempt("<img src=x onerror=1>", "<b>agent</b>", 0, 9, "done")]);
  expect(all("img, svg b, .dt-timeline-notes b")).toHaveLength(0);
  expect(plain("a\u202eb\nc\u001b[1m")).toBe("a\ufffdb c\ufffd[1m");
  expect(plain("😀😀😀", 4)).toBe("😀…");
});

test("round times, as in Python", () => {
  expect(ticks(0, 1)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(ticks(0, 200)).toEqual([0, 30, 60, 90, 120, 150, 180]);
});
