// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PAUSE, contextView } from "../src/context.js";
import { items } from "../src/forest.js";
import { Store } from "../src/store.js";
import { textdiff } from "../src/textdiff.js";

const EVIL = "<img src=x onerror=alert(1)>";
const node = (id, more = {}) => ({
  id, name: id, title: id, domain: "run", parent: null, depth: 0, access: 0, version: 1, tags: ["kyoto"], ...more,
});
const version = (number, text, more = {}) => ({
  version: number, text, cut: false, data: "", access: 0, tags: ["kyoto"], owner: "ann", updated: 3, changes: {}, provenance: null, ...more,
});
const seen = (id, verdict, why, more = {}) => ({
  id, name: id, title: id, version: 1, access: 0, relevance: 0.5, shared_tags: [], verdict, why, ...more,
});

let clock, store, asked, answers, view;

/** A store whose kernel answers at once from `answers`; `asked` has what it was asked. */
beforeEach(() => {
  vi.useFakeTimers();
  clock = 0;
  asked = [];
  answers = {
    context_tree: { nodes: [node("a"), node("a1", { parent: "a", depth: 1, access: 2 }), node("b", { domain: "other" })], access: null, highest: 2, cut: false },
    context_node: { id: "a", name: "a", title: "a", domain: "run", deleted: false, left_out: 0, versions: [version(1, "two nights")] },
    context_query: { rows: [], theta: 0.15, cut: false },
    context_for: { rows: [], theta: 0.15, cut: false },
    manifest: { task: "hotel", attempt: 1, agent: "low", items: [], pushed: [], left_out: [], tokens: 0 },
  };
  store = new Store((message) => {
    if (!(message.command in answers)) return;
    asked.push([message.command, message.args]);
    const data = answers[message.command], refused = typeof data === "string";
    const answer = { kind: "answer", id: message.id, ok: !refused, call: "", what: "", reason: refused ? data : "", version: null, data };
    queueMicrotask(() => store.receive(structuredClone(answer)));
  }, () => clock);
  store.live.agents = [{ id: "low", roles: [], slots: 1, running: [], completed: 0, busy: 0, access: 1 }];
  store.live.run = "r 1";
  store.live.rows.set("hotel", { id: "hotel", after: [] });
  view = contextView(store);
  store.watch((what) => view.update(what));
  document.body.append(view.el);
});
afterEach(() => {
  view.destroy();
  view.el.remove();
  vi.useRealTimers();
});

const settle = () => vi.advanceTimersByTimeAsync(0);
const show = async () => { view.shown = true; store.changed({}); await settle(); };
const at = (selector) => view.el.querySelector(selector);
const all = (selector) => [...view.el.querySelectorAll(selector)];
const labels = () => all(".dt-leaf .dt-name").map((el) => el.textContent);
const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const asks = (command) => asked.filter(([name]) => name === command);
const button = (text) => all("button").find((el) => el.textContent.includes(text));
async function type(text) {
  at(".dt-ask-text").value = text;
  at("form").dispatchEvent(new Event("submit", { cancelable: true }));
  await settle();
}
async function slide(label, value) {
  const el = at(`[aria-label="${label}"]`);
  el.value = value;
  el.dispatchEvent(new Event("input"));
  el.dispatchEvent(new Event("change"));
  await settle();
}

test("the forest is asked for when it is shown, then at most every two seconds, and never unseen", async () => {
  view.shown = false;
  store.changed({ scene: true });
  expect(asked).toEqual([]);
  await show();
  expect(asked).toEqual([["context_tree", { access: null }]]);
  store.changed({});
  await vi.advanceTimersByTimeAsync(10 * PAUSE);
  expect(asked.length, "nothing has changed").toBe(1);
  clock = 500;
  for (let i = 0; i < 5; i++) store.changed({ scene: true });
  await settle();
  expect(asked.length).toBe(1);
  clock = PAUSE;
  await vi.advanceTimersByTimeAsync(PAUSE - 500);
  expect(asked.length).toBe(2);
  clock = 3 * PAUSE;
  view.shown = false;
  store.changed({ scene: true });
  await settle();
  expect(asked.length).toBe(2);
  await show();
  expect(asked.length, "shown again").toBe(3);
  view.shown = false;
  store.changed({});
  await show();
  expect(asked.length, "the store may hold more than the scene tells").toBe(4);
  button("Refresh").click();
  await settle();
  expect(asked.length).toBe(5);
});

test("a view that is destroyed asks no more", async () => {
  await show();
  clock = 100;
  store.changed({ scene: true });
  view.destroy();
  clock = 10 * PAUSE;
  await vi.advanceTimersByTimeAsync(10 * PAUSE);
  expect(asked.length).toBe(1);
});

test("nodes lie below their domain and their parent", async () => {
  await show();
  expect(all("[role=treeitem]").map((el) => [el.getAttribute("aria-level"), el.querySelector(".dt-name").textContent]))
    .toEqual([["1", "run"], ["2", "a"], ["3", "a1"], ["1", "other"], ["2", "b"]]);
  expect(items([node("x", { domain: "1" }), node("y", { domain: "2" })]).map((item) => item.parent))
    .toEqual(["", "domain 1", "", "domain 2"]);
});

test("keys walk the tree, fold and open it, and choose a node", async () => {
  await show();
  expect(all('[tabindex="0"][role=treeitem]').length).toBe(1);
  at('[role=treeitem][tabindex="0"]').focus();
  press("ArrowLeft");
  expect(labels()).toEqual(["run", "other", "b"]);
  press("ArrowRight");
  press("ArrowRight");
  expect(document.activeElement.textContent).toContain("a");
  press("Enter");
  await settle();
  expect(asks("context_node")).toEqual([["context_node", { id: "a", access: null }]]);
  expect(at('[aria-selected="true"] .dt-name').textContent).toBe("a");
  press("End");
  expect(document.activeElement.querySelector(".dt-name").textContent).toBe("b");
  press("ArrowLeft");
  expect(document.activeElement.querySelector(".dt-name").textContent).toBe("other");
  press("Home");
  expect(document.activeElement.querySelector(".dt-name").textContent).toBe("run");
});

test("a node shows its versions, and what each changed", async () => {
  const made = { run: "r", task: "hotel", agent: "low", attempt: 2, result: true };
  answers.context_node.versions = [version(1, "two nights in Kyoto"),
    version(2, "three nights in Kyoto", { provenance: made, access: 1, changes: { text: ["", ""], access: ["0", "1"] } })];
  await show();
  all(".dt-leaf")[1].click();
  await settle();
  expect(at(".dt-versions pre.dt-text").textContent).toBe("−two +three nights in Kyoto");
  expect(at(".dt-changes p").textContent).toBe("access: −0 +1");
  expect(at(".dt-facts").textContent).toContain("hotel, attempt 2, low, run r");
  button("v1").click();
  expect(at(".dt-changes")).toBe(null);
  expect(at("pre").textContent).toBe("two nights in Kyoto");
  expect(at("[aria-current]").textContent).toBe("v1");
});

test("a newer version of the node that is shown is fetched", async () => {
  await show();
  all(".dt-leaf")[1].click();
  await settle();
  button("Refresh").click();
  await settle();
  expect(asks("context_node").length).toBe(1);
  answers.context_tree.nodes[0].version = 2;
  button("Refresh").click();
  await settle();
  expect(asks("context_node").length).toBe(2);
});

test("a query says what is given, and why not", async () => {
  answers.context_query.rows = [
    seen("a", "given", "0.5 > θ 0.15; shares kyoto", { shared_tags: ["kyoto"] }),
    seen("a1", "hidden", "level 2 > 1", { access: 2 }),
    seen("b", "not above θ", "0.1 ≤ θ 0.15", { shared_tags: ["trip"] }),
  ];
  await show();
  await type("hotel");
  expect(asks("context_query")).toEqual([["context_query", { text: "hotel", access: null, theta: null, k: 10 }]]);
  expect(all(".dt-asked tbody tr").map((row) => [...row.children].slice(3).map((cell) => cell.textContent))).toEqual([
    ["✓ given", "0.5 > θ 0.15; shares kyoto"], ["✗ hidden: level 2 > 1", ""], ["✗ not above θ", "0.1 ≤ θ 0.15; shares trip"],
  ]);
  expect(at(".dt-ask").textContent).toContain("0.15 (the store's own)");
  await slide("Threshold θ", "0.4");
  await slide("Access level", "1");
  expect(asks("context_query").at(-1)[1]).toEqual({ text: "hotel", access: 1, theta: 0.4, k: 10 });
  expect(all(".dt-above .dt-name").map((el) => el.textContent)).toEqual(["a1"]);
  all(".dt-asked .dt-link")[1].click();
  await settle();
  expect(asks("context_node").at(-1)[1].id).toBe("a1");
});

test("levels go as high as nodes and agents do; an agent sets its own", async () => {
  await show();
  const levels = at('[aria-label="Access level"]'), agents = at('[aria-label="Agent"]');
  expect(levels.getAttribute("max")).toBe("2");
  expect([...agents.options].map((option) => option.textContent)).toEqual(["you", "low (level 1)"]);
  await type("hotel");
  agents.value = "low";
  agents.dispatchEvent(new Event("change"));
  await settle();
  expect(levels.value).toBe("1");
  expect(asks("context_for").at(-1)[1]).toEqual({ agent: "low", text: "hotel" });
  await slide("Threshold θ", "0.5");
  expect(asks("context_query").at(-1)[1]).toMatchObject({ access: 1, theta: 0.5 });
  await slide("Access level", "2");
  expect(agents.value).toBe("");
});

test("only the latest query's answer is shown", async () => {
  await show();
  const waiting = [];
  store.ask = (command, args) => new Promise((resolve) => waiting.push([args.text, resolve]));
  await type("first");
  await type("second");
  const answer = (id) => ({ ok: true, data: { rows: [seen(id, "given", "")], theta: 0, cut: false } });
  waiting[1][1](answer("second"));
  waiting[0][1](answer("first"));
  await settle();
  expect(all(".dt-asked .dt-link").map((el) => el.textContent)).toEqual(["second"]);
});

test("only the node chosen last is shown", async () => {
  await show();
  const waiting = new Map();
  store.ask = (command, args) => new Promise((resolve) => waiting.set(args.id, resolve));
  all(".dt-leaf")[1].click();
  all(".dt-leaf")[2].click();
  for (const id of ["a1", "a"]) waiting.get(id)({ ok: true, data: { ...answers.context_node, id, title: `node ${id}` } });
  await settle();
  expect(at(".dt-versions h4").textContent).toBe("node a1");
});

test("what the selected task read is told, and leads to its nodes", async () => {
  answers.context_tree.nodes = [node("result/r%201/hotel/1")];
  answers.manifest = { ...answers.manifest, tokens: 1200,
    items: [{ id: "result/hotel/1", version: 1, tokens: 7, relevance: null }],
    pushed: [{ id: "gone", version: 2, tokens: 3, relevance: 0.5 }], left_out: [["torque", "needs 9 tokens, 2 are left"]] };
  await show();
  expect(button("Select a task").disabled).toBe(true);
  store.select("hotel");
  button("What did hotel's task read?").click();
  await settle();
  expect(asks("manifest")).toEqual([["manifest", { id: "hotel" }]]);
  expect(at(".dt-read h4").textContent).toBe("hotel, attempt 1, low: 1,200 tokens");
  expect(all(".dt-read li").map((el) => el.textContent)).toEqual([
    "+ result/hotel/1, version 1: its predecessor, 7 tokens", "↓ gone, version 2: relevance 0.5, 3 tokens",
    "− torque: needs 9 tokens, 2 are left"]);
  at(".dt-read button").click();
  await settle();
  expect(asks("context_node").at(-1)[1].id).toBe("result/r%201/hotel/1");
  store.select("");
  expect(at(".dt-read").textContent).toBe("");
});

test.each(["context_tree", "context_node", "context_query", "manifest"])("why %s was refused is said", async (command) => {
  answers[command] = "The kit is closed.";
  await show();
  store.select("hotel");
  all(".dt-leaf")[1]?.click();
  button("hotel's task").click();
  await type("hotel");
  await settle();
  expect(all(".dt-refused").map((el) => el.textContent)).toContain("The kit is closed.");
});

test("hostile text stays text", async () => {
  answers.context_tree.nodes = [node(EVIL, { domain: EVIL, tags: [EVIL] })];
  const made = { run: EVIL, task: EVIL, agent: EVIL, attempt: 1, result: false };
  const nasty = { text: ["", ""], tags: [EVIL, EVIL], owner: [EVIL, ""] };
  answers.context_node = { ...answers.context_node, name: EVIL, title: EVIL, domain: EVIL,
    versions: [version(1, "x"), version(2, EVIL, { data: EVIL, tags: [EVIL], provenance: made, changes: nasty })] };
  answers.context_query.rows = [seen(EVIL, "hidden", EVIL, { shared_tags: [EVIL] })];
  answers.manifest = { ...answers.manifest, task: EVIL, agent: EVIL, left_out: [[EVIL, EVIL]],
    items: [{ id: EVIL, version: 1, tokens: 1, relevance: 0.1 }] };
  store.live.rows.set(EVIL, { id: EVIL, after: [] });
  store.live.agents[0].id = EVIL;
  await show();
  store.changed({ scene: true });
  all(".dt-leaf")[1].click();
  store.select(EVIL);
  button("task read?").click();
  await type(EVIL);
  expect(all("img, script, [onerror]")).toEqual([]);
  for (const place of [".dt-forest", ".dt-versions", ".dt-asked", ".dt-read", "select"]) expect(at(place).textContent).toContain(EVIL);
});

test.each([
  ["a b c", "a x c", false, [["", "a "], ["−", "b "], ["+", "x "], ["", "c"]]],
  ["", "new", false, [["+", "new"]]],
  ["same", "same", false, [["", "same"]]],
  ["one\ntwo\nthree\n", "one\nthree\nfour\n", true, [["", "one\n"], ["−", "two\n"], ["", "three\n"], ["+", "four\n"]]],
])("%j becomes %j by what differs", (before, after, lines, parts) => {
  expect(textdiff(before, after)).toEqual({ lines, parts });
});

test("what is kept and added is the new text, what is kept and taken the old one", () => {
  const word = (i) => `${"abc"[(i * i + 3 * (i % 7)) % 3]} `;
  for (const [n, m] of [[0, 5], [40, 30], [300, 280]]) {
    const [old, next] = [n, m].map((count) => Array.from({ length: count }, (_, i) => word(i + count)).join(""));
    const { parts } = textdiff(old, next), side = (sign) => parts.filter(([s]) => !s || s === sign).map(([, text]) => text).join("");
    expect([side("−"), side("+")]).toEqual([old, next]);
  }
  expect(textdiff("x\n".repeat(4000), "y\n".repeat(4000)).parts.map(([sign]) => sign)).toEqual(["−", "+"]);
});
