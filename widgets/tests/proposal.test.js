// @vitest-environment happy-dom
import { beforeEach, expect, test } from "vitest";
import { proposalView } from "../src/proposal.js";
import { Store } from "../src/store.js";

const forecast = (makespan) => ({ makespan, path: ["a"], order: [], attempts: [], tokens: 0, cost: 0 });
const tried = { accepted: true, reason: "", gain: -1, words: "", before: forecast(4), after: forecast(5), nodes: [], edges: [], gone: [], goneEdges: [], reruns: [] };
let store, view, posted, clock;

const settle = async () => { for (let i = 0; i < 20; i += 1) await Promise.resolve(); };
const press = (name) => view.el.querySelector(`[data-proposal=${name}]`)?.click();
const sent = (command) => posted.filter((one) => one.command === command);
const answer = async (message, more = {}) => { store.receive({ kind: "answer", id: message.id, ok: true, call: "", what: "", reason: "", version: null, ...more }); await settle(); };

beforeEach(async () => {
  posted = [];
  clock = 0;
  store = new Store((message) => posted.push(message), () => clock);
  store.live.version = 5;
  view = proposalView(store);
  store.watch(() => view.update());
  document.body.append(view.el);
  view.propose("remove_task", { id: "a" });
  await answer(posted.at(-1), { data: tried });
});

test("it says what an edit would do, and makes it against the version it was tried on", async () => {
  expect(view.el.textContent).toContain("1 s later");
  expect(store.preview).toBe(tried);
  store.live.version = 99;
  press("apply");
  await settle();
  expect(posted.at(-1)).toMatchObject({ command: "remove_task", args: { id: "a" }, base: 5 });
  expect(view.el.hidden).toBe(true);
  expect(store.preview).toBeNull();
});

test("a double click collects once; then all that is collected is tried", async () => {
  const button = view.el.querySelector("[data-proposal=collect]");
  button.click();
  button.click();
  await settle();
  expect(posted.filter((one) => one.mode === "draft")).toHaveLength(1);
  await answer(posted.at(-1), { drafts: 1 });
  expect(posted.at(-1).command).toBe("preview_drafts");
  await answer(posted.at(-1), { data: tried, drafts: 1 });
  expect(view.el.textContent).toContain("Apply 1 collected");
  press("commit");
  await settle();
  await answer(posted.at(-1), { drafts: 0 });
  expect(view.el.hidden).toBe(true);
});

test("when the run moves on it is tried again, not more often than once a second", async () => {
  store.live.version = 6;
  store.changed({ scene: true });
  expect(sent("remove_task")).toHaveLength(1);
  clock = 1500;
  store.changed({ scene: true });
  await settle();
  expect(sent("remove_task")).toHaveLength(2);
});

test("what would be refused says why and cannot be applied", async () => {
  view.propose("add_dependency", { before: "a", after: "a" });
  await answer(posted.at(-1), { ok: false, reason: "a cycle" });
  expect(view.el.textContent).toContain("a cycle");
  expect(view.el.querySelector("[data-proposal=apply]")).toBeNull();
});

test("edits collected before the page was reloaded are offered again", async () => {
  press("drop");
  await settle();
  clock = 5000;
  store.live.drafts = 2;
  store.changed({ scene: true });
  await settle();
  expect(posted.at(-1).command).toBe("preview_drafts");
  await answer(posted.at(-1), { data: tried });
  expect(view.el.textContent).toContain("Apply 2 collected");
});
