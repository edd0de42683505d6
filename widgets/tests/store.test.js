import { expect, test } from "vitest";
import { apply, emptyScene, LATE, related, Store } from "../src/store.js";

const row = (id, after = [], more = {}) => ({ id, description: "", role: "general", state: "ready", agent: "", groups: [], after, edges: [], ...more });
const news = (seq, more = {}) => ({ kind: "news", seq, full: seq === 0, t: seq, version: seq, upserts: [], removals: [], attempts: [], ...more });

function made() {
  const posted = [];
  let time = 0;
  const store = new Store((message) => posted.push(message), () => time);
  return { store, posted, pass: (ms) => { time += ms; } };
}

test("news in order are taken in, and say which rows they changed", () => {
  const scene = emptyScene();
  expect(apply(scene, news(0, { upserts: [row("a"), row("b", ["a"])] }))).toBeNull();
  expect(apply(scene, news(1, { upserts: [row("c")], removals: ["a"] }))).toEqual(new Set(["c", "a"]));
  expect([...scene.rows.keys()]).toEqual(["b", "c"]);
  expect(scene.t).toBe(1);
});

test("a task may be called __proto__", () => {
  const scene = emptyScene();
  apply(scene, news(0, { upserts: [row("__proto__"), row("constructor", ["__proto__"])] }));
  expect(scene.rows.size).toBe(2);
  expect(related(scene.rows, "constructor")).toEqual(new Set(["__proto__"]));
});

test("a gap changes nothing and asks for a snapshot, which heals", () => {
  const { store, posted } = made();
  store.receive(news(0, { upserts: [row("a")] }));
  store.receive(news(2, { upserts: [row("lost")] }));
  expect(store.live.rows.has("lost")).toBe(false);
  expect(posted.at(-1).command).toBe("join");
  store.receive({ ...news(3, { upserts: [row("b")] }), full: true });
  expect([...store.live.rows.keys()]).toEqual(["b"]);
});

test("every message that was drawn is acknowledged with its time", () => {
  const { store, posted, pass } = made();
  store.watch(() => pass(7));
  store.receive(news(0));
  expect(posted.at(-1)).toMatchObject({ command: "applied", args: { seq: 0, ms: 7 } });
});

test("an answer goes to who asked; a command the kernel has not heard of is late", async () => {
  const { store, posted, pass } = made();
  const answer = store.ask("pause");
  const { id, base } = posted.at(-1);
  expect(base).toBe(0);
  pass(LATE);
  expect(store.late()).toBe(true);
  store.receive({ kind: "heard", id });
  expect(store.late()).toBe(false);
  store.receive({ kind: "answer", id: "somebody else's", ok: true });
  store.receive({ kind: "answer", id, ok: true, what: "paused" });
  expect((await answer).what).toBe("paused");
  expect(store.pending.size).toBe(0);
});

test("what was done is remembered as code, what was refused is not", async () => {
  const { store, posted } = made();
  const good = store.act("pause"), bad = store.act("resume");
  store.receive({ kind: "answer", id: posted[0].id, ok: true, call: "run.pause()" });
  store.receive({ kind: "answer", id: posted[1].id, ok: false, call: "run.resume()" });
  await Promise.all([good, bad]);
  expect(store.live.calls).toEqual(["run.pause()"]);
});

test("the selection knows what comes before and after, not what stands beside", () => {
  const { store } = made();
  store.receive(news(0, { upserts: [row("a"), row("b", ["a"]), row("c", ["b"]), row("beside", ["a"])] }));
  store.select("b");
  expect(store.near).toEqual(new Set(["a", "b", "c"]));
  store.receive(news(1, { removals: ["b"] }));
  expect(store.selected).toBe("");
});

test("while the past is looked at the present goes on behind it", () => {
  const { store } = made();
  store.receive(news(0, { upserts: [row("a")] }));
  store.show({ ...news(0, { upserts: [row("old")] }), full: true });
  store.receive(news(1, { upserts: [row("b")] }));
  expect([...store.scene.rows.keys()]).toEqual(["old"]);
  store.show(null);
  expect([...store.scene.rows.keys()]).toEqual(["a", "b"]);
});

test("time passes between messages at the run's rate, and never in the past", () => {
  const { store, pass } = made();
  store.receive(news(0, { rate: 2 }));
  pass(500);
  store.tick();
  expect(store.live.t).toBe(1);
  store.receive(news(1, { rate: 0 }));
  pass(500);
  store.tick();
  expect(store.live.t).toBe(1);
});

test("filters narrow the rows", () => {
  const { store } = made();
  store.receive(news(0, { upserts: [row("Flights"), row("hotel", [], { state: "done", agent: "x" }), row("f2", [], { groups: ["g"] }), row("f3", [], { groups: ["h", "g"] })] }));
  store.narrow({ text: "fl" });
  expect(store.rows().map((one) => one.id)).toEqual(["Flights"]);
  store.narrow({ text: "", state: "done" });
  expect(store.rows().map((one) => one.id)).toEqual(["hotel"]);
  store.narrow({ state: "", folded: new Set(["g", "h"]) });
  expect(store.rows().map((one) => one.id)).toEqual(["Flights", "hotel", "f2"]);
});

test("errors of the page are shown and told to the kernel, a bounded number of them", () => {
  const { store, posted } = made();
  for (let i = 0; i < 80; i += 1) store.failed(new Error(`no ${i}`));
  expect(store.live.failures).toHaveLength(50);
  expect(posted.at(-1)).toMatchObject({ command: "failed", args: { message: "Error: no 79" } });
});

test("while the past is looked at, only questions of it pass", async () => {
  const { store, posted } = made();
  store.receive(news(0, { upserts: [row("a")] }));
  store.show({ ...news(0, { upserts: [row("a")] }), full: true });
  const before = posted.length;
  expect((await store.ask("cancel", { id: "a" })).ok).toBe(false);
  expect((await store.act("explain_number", { kind: "priority", id: "a" })).reason).toContain("past");
  expect(posted).toHaveLength(before);
  store.ask("at", { version: 1 });
  expect(posted).toHaveLength(before + 1);
});

test("when the kernel is gone what waits is answered, and nothing more is asked", async () => {
  const { store, posted } = made();
  const waiting = store.ask("pause");
  store.lose();
  expect((await waiting).reason).toContain("kernel is gone");
  expect((await store.ask("resume")).ok).toBe(false);
  expect(posted).toHaveLength(1);
});

test("an edit names the version that it was tried against, where that is given", () => {
  const { store, posted } = made();
  store.receive(news(0));
  store.ask("revise", { id: "a" }, { base: 4 });
  expect(posted.at(-1).base).toBe(4);
});

test("a selection in the past may be of a task that is gone, and follows the edges of then", () => {
  const { store } = made();
  store.receive(news(0, { upserts: [row("a")] }));
  store.show({ ...news(0, { upserts: [row("a"), row("gone", ["a"])] }), full: true });
  store.select("gone");
  store.receive(news(1, { upserts: [row("a")] }));
  expect(store.selected).toBe("gone");
  expect(store.near).toEqual(new Set(["a", "gone"]));
});

test("what is near the selection follows the edits", () => {
  const { store } = made();
  store.receive(news(0, { upserts: [row("a"), row("b")] }));
  store.select("b");
  store.receive(news(1, { upserts: [row("b", ["a"])] }));
  expect(store.near).toEqual(new Set(["a", "b"]));
});

test("a breakpoint is taken away where it stands", async () => {
  const { store, posted } = made();
  const done = store.toggleBreakpoint(row("a", [], { breakpoint: "both" }));
  store.receive({ kind: "answer", id: posted.at(-1).id, ok: true });
  await Promise.resolve();
  await Promise.resolve();
  store.receive({ kind: "answer", id: posted.at(-1).id, ok: true });
  await done;
  expect(posted.map((one) => one.args)).toEqual([{ id: "a", when: "before", on: false }, { id: "a", when: "after", on: false }]);
});

test("how many edits are collected is the kernel's word", () => {
  const { store } = made();
  store.receive(news(0, { drafts: 2 }));
  expect(store.live.drafts).toBe(2);
  store.receive({ kind: "form", command: "add_task", args: {}, mode: "draft", answer: { ok: true, drafts: 3 } });
  expect(store.live.drafts).toBe(3);
  expect(store.suggestion.command).toBe("");
});
