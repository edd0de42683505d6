// The tasks as a table: the accessible twin of the canvas, with the same selection, filter and breakpoints.
import { fill, h, number, seconds } from "./dom.js";
import { foldedIn } from "./store.js";
import { roving } from "./rove.js";

/** Rows drawn at most; the others are reached by search and filter. */
const MOST = 500;
const FIELDS = ["task", "state", "priority", "complexity", "slack", "agent", "after"];

/** @param {import("./store").Store} store @param {import("./types").Face} face @returns {import("./types").View} */
export function tableView(store, face) {
  const body = h("tbody");
  const note = h("p", { class: "dt-soft" });
  const el = h("div", { class: "dt-table", tabindex: 0, role: "region", "aria-label": "Tasks" }, note,
    h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col", title: "Breakpoint" }, "●"), FIELDS.map((name) => h("th", { scope: "col" }, name)))), body));
  /** @type {Map<string, HTMLElement>} */ const lines = new Map();
  let dirty = /** @type {Set<string> | null} */ (null), frame = 0;

  const settle = roving(body, (row) => store.select(row.dataset.task ?? ""));

  const slackOf = (/** @type {string} */ id) => store.scene.forecast?.slack?.[id];

  function line(/** @type {import("./types").Row} */ row) {
    const slack = slackOf(row.id), group = foldedIn(row, store.filter.folded);
    const remark = [row.attempt > 1 ? `attempt ${row.attempt}` : "", row.reason].filter(Boolean).join(" · ");
    const figure = (/** @type {string} */ kind, /** @type {string} */ text) =>
      h("button", { type: "button", tabindex: -1, class: "dt-number", "data-number": kind, title: "Explain this number", onclick: (/** @type {Event} */ event) => { event.stopPropagation(); face.explain(kind, row.id); } }, text);
    const cell = (/** @type {string} */ field, /** @type {any} */ child) => h("td", { "data-field": field }, child);
    return h("tr", { "data-task": row.id, "data-slack": slack, tabindex: -1, "aria-selected": String(row.id === store.selected), class: row.node.critical ? "dt-path" : "", onclick: () => store.select(row.id) },
      h("td", {}, h("input", { type: "checkbox", tabindex: -1, checked: row.breakpoint !== "", "aria-label": `Breakpoint ${row.breakpoint || "before"} ${row.id}`, onclick: (/** @type {Event} */ event) => event.stopPropagation(), onchange: () => store.toggleBreakpoint(row) })),
      h("th", { scope: "row" }, group ? `⊞ ${group}: folded, the first of them is ` : null, h("bdi", {}, row.id), row.description && row.description !== row.id ? h("small", {}, h("bdi", {}, row.description)) : null, remark ? h("small", { "data-field": "remark" }, h("bdi", {}, remark)) : null),
      cell("state", [h("span", { style: `color:${row.colour}` }, row.mark), ` ${row.state}`]),
      cell("priority", figure("priority", number(row.priority, 4))), cell("complexity", figure("complexity", number(row.complexity, 4))),
      cell("slack", slack === undefined ? "" : figure("slack", seconds(slack))), cell("agent", h("bdi", {}, row.agent)),
      cell("after", h("bdi", {}, row.after.join(", ").slice(0, 200))));
  }

  function draw() {
    frame = 0;
    if (el.offsetParent === null) return;
    const all = store.rows(), shown = all.slice(0, MOST), changed = dirty;
    dirty = new Set();
    const wanted = shown.map((row) => row.id);
    if (changed === null || wanted.length !== lines.size || wanted.some((id) => !lines.has(id))) {
      lines.clear();
      for (const row of shown) lines.set(row.id, line(row));
      const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.closest?.("tr")?.dataset.task;
      fill(body, [...lines.values()]);
      if (focused) lines.get(focused)?.focus();
    } else {
      for (const row of shown) {
        const old = lines.get(row.id);
        if (!changed.has(row.id) && old?.dataset.slack === slackOf(row.id)?.toString()) continue;
        const made = line(row), focused = old?.contains(document.activeElement);
        old?.replaceWith(made);
        lines.set(row.id, made);
        if (focused) made.focus();
      }
    }
    settle();
    const total = store.scene.total || store.scene.rows.size;
    fill(note, shown.length < total ? `showing ${shown.length.toLocaleString("en")} of ${total.toLocaleString("en")} tasks` : "");
  }

  return {
    el,
    update(what) {
      if (what.rows === null || what.filter) dirty = null;
      else if (dirty) for (const id of what.rows) dirty.add(id);
      if (what.selection) for (const [id, tr] of lines) {
        tr.setAttribute("aria-selected", String(id === store.selected));
        tr.classList.toggle("dt-near", store.near.has(id));
        if (id === store.selected && el.offsetParent !== null) tr.scrollIntoView({ block: "nearest" });
      }
      frame ||= requestAnimationFrame(() => { try { draw(); } catch (error) { store.failed(error); } });
    },
    destroy() { cancelAnimationFrame(frame); },
  };
}
