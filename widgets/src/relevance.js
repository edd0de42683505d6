// Asking the context store as an agent would: level, θ, and why each node is given or not (Eqs. 13–15).

import { fill, h, number, set } from "./dom.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {{id: string, name: string, title: string, version: number, access: number, relevance: number,
 *   shared_tags: string[], verdict: string, why: string}} Seen */

/** Nodes that a query gives at most. */
const K = 10;

/** The verdict in words: `hidden: level 2 > 1`. @param {Seen} row */
export const verdict = (row) => row.verdict === "hidden" ? `hidden: ${row.why}` : row.verdict;

/**
 * The query box and its answer. `choose` opens a node; `changed` is called when another level was set.
 * @param {Store} store @param {(id: string) => void} choose @param {() => void} changed
 */
export function relevance(store, choose, changed) {
  /** @type {number | null} */ let level = null;
  /** @type {number | null} */ let theta = null;
  /** @type {number | null} */ let own = null;
  let asked = false, turn = 0, highest = 0, names = "";
  const text = h("input", { type: "search", class: "dt-ask-text", maxlength: 4000, "aria-label": "Query", placeholder: "What would be found for …" });
  const slide = h("input", { type: "range", min: 0, max: 1, step: 0.01, value: "0", "aria-label": "Threshold θ",
    oninput: () => { theta = Number(slide.value); tell(); }, onchange: again });
  const levels = h("input", { type: "range", min: 0, max: 0, step: 1, value: "0", "aria-label": "Access level",
    oninput: () => { agents.value = ""; rise(Number(levels.value)); }, onchange: again });
  const agents = h("select", { "aria-label": "Agent", onchange: () => {
    rise(store.scene.agents.find((agent) => agent.id === agents.value)?.access ?? null);
    again();
  } });
  const shown = h("output"), reached = h("output"), note = h("p", { class: "dt-note", role: "status" });
  const rows = h("tbody");
  const table = h("table", { class: "dt-asked", hidden: true }, h("thead", {}, h("tr", {},
    ["relevance", "node", "level", "verdict", "why"].map((name) => h("th", { scope: "col" }, name)))), rows);
  const el = h("form", { class: "dt-ask", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); ask(); } },
    h("div", { class: "dt-ask-row" }, text, h("button", { type: "submit", class: "dt-small" }, "Ask")),
    h("div", { class: "dt-ask-row" },
      h("label", {}, "θ ", slide, " ", shown), h("label", {}, "level ", levels, " ", reached), h("label", {}, "as ", agents)),
    note, table);

  /** @param {number | null} to */
  function rise(to) {
    level = to;
    tell();
    changed();
  }

  function tell() {
    shown.textContent = theta !== null ? number(theta) : own === null ? "the store's own" : `${number(own)} (the store's own)`;
    reached.textContent = level === null ? "every level" : String(level);
    set(levels, { value: String(level ?? highest), disabled: highest === 0 });
  }

  function again() {
    if (asked) ask();
  }

  async function ask() {
    asked = text.value.trim() !== "";
    const mine = ++turn, blank = { ok: false, reason: "Type what to look for.", data: null };
    // What an agent would really be given: its window too, while θ is left to the store.
    const [question, args] = agents.value && theta === null
      ? ["context_for", { agent: agents.value, text: text.value }] : ["context_query", { text: text.value, access: level, theta, k: K }];
    const answer = asked ? await store.ask(question, args) : blank;
    if (mine !== turn) return;
    note.classList.toggle("dt-refused", !answer.ok);
    table.hidden = !answer.ok;
    if (answer.ok) show(answer.data);
    else note.textContent = answer.reason;
  }

  /** @param {{rows: Seen[], theta: number, cut: boolean}} found */
  function show(found) {
    if (theta === null) {
      own = found.theta;
      slide.value = String(own);
      tell();
    }
    const given = found.rows.filter((row) => row.verdict === "given").length;
    note.textContent = `${given} of ${found.rows.length} nodes given, θ ${number(found.theta)}${found.cut ? "; there are more" : ""}`;
    fill(rows, found.rows.map((row) => h("tr", { class: `dt-verdict ${row.verdict === "given" ? "dt-given" : "dt-kept"}` },
      h("td", {}, row.relevance.toFixed(3)),
      h("td", {}, h("button", { type: "button", class: "dt-link", title: row.name, onclick: () => choose(row.id) }, row.title)),
      h("td", {}, String(row.access)),
      h("td", {}, `${row.verdict === "given" ? "✓" : "✗"} ${verdict(row)}`),
      h("td", {}, [row.verdict !== "hidden" && row.why, !row.why.includes("shares ") && row.shared_tags.length > 0 && `shares ${row.shared_tags.join(", ")}`]
        .filter(Boolean).join("; ")))));
  }

  tell();
  return {
    el,
    /** The level that is asked with, or Infinity for all. */
    level: () => level ?? Infinity,
    /** Offer the scene's agents, and levels up to the highest there is. @param {number} most */
    offer(most) {
      highest = Math.max(most, level ?? 0, ...store.scene.agents.map((agent) => agent.access));
      set(levels, { max: highest });
      const known = JSON.stringify(store.scene.agents.map((agent) => [agent.id, agent.access]));
      if (known !== names) {
        const held = agents.value;
        names = known;
        fill(agents, h("option", { value: "" }, "you"),
          store.scene.agents.map((agent) => h("option", { value: agent.id }, `${agent.id} (level ${agent.access})`)));
        agents.value = store.scene.agents.some((agent) => agent.id === held) ? held : "";
      }
      tell();
    },
  };
}
