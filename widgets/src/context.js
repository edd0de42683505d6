// The context explorer: the forest of nodes, their versions, why a query gives what it gives, what a task read.

import { fill, h, number } from "./dom.js";
import { forest } from "./forest.js";
import { relevance } from "./relevance.js";
import { versions } from "./versions.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./forest.js").ContextNode} ContextNode */
/** @typedef {{id: string, version: number, tokens: number, relevance: number | null}} Note */
/** @typedef {{task: string, attempt: number, agent: string, items: Note[], pushed: Note[],
 *   left_out: [string, string][], tokens: number}} Manifest */

/** Milliseconds between two looks at the store while things happen; lines of a manifest at most. */
export const PAUSE = 2000, LINES = 200;

/**
 * Asks for the forest when it comes into sight, on request, and while it is seen at most every `PAUSE` ms.
 * `shown` says whether it is seen, where the page cannot tell.
 * @param {Store} store @returns {import("./types").View & {shown?: boolean}}
 */
export function contextView(store) {
  const tree = forest(choose), pane = versions(), query = relevance(store, choose, draw);
  const note = h("p", { class: "dt-note", role: "status" }), read = h("div", { class: "dt-read" });
  const reading = h("button", { type: "button", class: "dt-small", onclick: manifest });
  const el = h("div", { class: "dt-context" },
    h("div", { class: "dt-ask-row" },
      h("button", { type: "button", class: "dt-small", onclick: () => refresh() }, "Refresh"), reading, note),
    query.el, read, h("div", { class: "dt-context-body" }, tree.el, pane.el));
  /** @type {ContextNode[]} */ let nodes = [];
  let chosen = "", stale = true, last = -Infinity, highest = 0, turn = 0, visible = false;
  /** @type {ReturnType<typeof setTimeout> | 0} */ let timer = 0;
  const seen = () => view.shown ?? el.offsetParent !== null;

  function draw() { tree.show(nodes, chosen, query.level()); }

  /** Look at the store soon, but not too often. */
  function look() {
    const now = seen(), due = visible ? last + PAUSE - store.now() : 0;
    if (now && !visible) stale = true;
    visible = now;
    if (!now || !stale || timer) return;
    if (due <= 0) refresh();
    else timer = setTimeout(() => { timer = 0; look(); }, due);
  }

  async function refresh() {
    [stale, last] = [false, store.now()];
    const answer = await store.ask("context_tree", { access: null });
    note.classList.toggle("dt-refused", !answer.ok);
    if (!answer.ok) {
      note.textContent = answer.reason;
      return;
    }
    nodes = answer.data.nodes;
    highest = answer.data.highest;
    note.textContent = `${nodes.length} nodes${answer.data.cut ? ", and more that are not shown" : ""}`
      + `${store.past ? "; as they are now, not then" : ""}`;
    query.offer(highest);
    draw();
    const now = nodes.find((node) => node.id === chosen);
    if (pane.id() === chosen && now && now.version !== pane.version()) choose(chosen);
  }

  /** @param {string} id */
  async function choose(id) {
    const mine = ++turn;
    chosen = id;
    draw();
    const answer = await store.ask("context_node", { id, access: null });
    if (mine === turn) pane.show(answer.ok ? answer.data : null, answer.reason);
  }

  function name() {
    const id = store.selected;
    reading.disabled = !id;
    reading.textContent = id ? `What did ${id.length > 60 ? `${id.slice(0, 59)}…` : id}'s task read?` : "Select a task to see what it read";
  }

  async function manifest() {
    const id = store.selected;
    if (!id) return;
    const answer = await store.ask("manifest", { id });
    if (id !== store.selected) return;
    if (answer.ok) tell(answer.data);
    else fill(read, h("p", { class: "dt-refused" }, answer.reason));
  }

  /** @param {Manifest} of */
  function tell(of) {
    const lines = [
      ...of.items.map((one) => noted("+", one)), ...of.pushed.map((one) => noted("↓", one)),
      ...of.left_out.map(([title, reason]) => h("li", { class: "dt-kept" }, `− ${title}: ${reason}`)),
    ];
    fill(read, h("h4", {}, `${of.task}, attempt ${of.attempt}${of.agent && `, ${of.agent}`}: ${of.tokens.toLocaleString("en-US")} tokens`),
      lines.length ? h("ul", {}, lines.slice(0, LINES)) : h("p", { class: "dt-dim" }, "It was given nothing to read."),
      lines.length > LINES && h("p", { class: "dt-dim" }, `${lines.length - LINES} more`),
      of.pushed.length > 0 && h("p", { class: "dt-dim" }, "↓ came while it worked."));
  }

  /** @param {string} sign @param {Note} one */
  function noted(sign, one) {
    const own = one.id.replace(/^result\//, `result/${encodeURIComponent(store.scene.run)}/`);
    const node = nodes.find((known) => known.id === own) ?? nodes.find((known) => known.id === one.id);
    const why = one.relevance === null ? "its predecessor" : `relevance ${number(one.relevance)}`;
    const link = node && h("button", { type: "button", class: "dt-link", onclick: () => choose(node.id) }, one.id);
    return h("li", {}, `${sign} `, link ?? one.id, `, version ${one.version}: ${why}, ${one.tokens} tokens`);
  }

  const observer = typeof IntersectionObserver === "undefined" ? null : new IntersectionObserver(look);
  observer?.observe(el);
  /** @type {import("./types").View & {shown?: boolean}} */
  const view = {
    el,
    update(what) {
      stale ||= what.scene || what.rows === null;
      if (what.scene || what.rows === null) query.offer(highest);
      if (what.selection) fill(read);
      name();
      look();
    },
    destroy() {
      observer?.disconnect();
      clearTimeout(timer);
    },
  };
  name();
  query.offer(0);
  draw();
  return view;
}
