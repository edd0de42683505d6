// The selected task: what it is, why it is as it is, and what can be done with it; and any number explained.
import { fill, h, number, seconds } from "./dom.js";

const ACTIONS = [["cancel", "Cancel"], ["retry", "Retry"], ["approve", "Approve"], ["reject", "Reject"]];

/**
 * @param {import("./store").Store} store
 * @param {import("./types").Face} editing
 * @returns {import("./types").View}
 */
export function taskView(store, editing) {
  const el = h("div", { class: "dt-task" });
  let asked = "", shown = "", slackShown = /** @type {number | undefined} */ (undefined);

  const slackOf = (/** @type {string} */ id) => store.scene.forecast?.slack?.[id];

  function draw() {
    const row = store.scene.rows.get(store.selected);
    if (!row) return fill(el, h("p", { class: "dt-soft" }, "Select a task: in the graph, the table or the timeline."));
    const slack = slackShown = slackOf(row.id);
    const figure = (/** @type {string} */ kind, /** @type {string} */ text, to = "") =>
      h("button", { type: "button", class: "dt-number", "data-number": kind, title: "Explain this number", onclick: () => (to ? editing.explain(kind, to, row.id) : editing.explain(kind, row.id)) }, text);
    const facts = [
      ["state", [h("span", { style: `color:${row.colour}` }, row.mark), ` ${row.state}${row.attempt > 1 ? `, attempt ${row.attempt}` : ""}`]],
      ["why", row.reason], ["role", row.role], ["agent", row.agent], ["priority", figure("priority", number(row.priority, 4))],
      ["complexity C", figure("complexity", number(row.complexity, 4))], ["boost", row.boost ? number(row.boost) : ""],
      ["slack", slack === undefined ? "" : figure("slack", seconds(slack))], ["starts when", row.after.length > 1 ? `${row.join} of its predecessors are done` : ""],
      ["waits for", row.edges.map((edge) => h("div", {}, h("bdi", {}, edge.from), " ", figure("weight", edge.title.split("\n")[1] ?? "W", edge.from)))],
      ["attempts", row.attempts > 1 ? `at most ${row.attempts}` : ""], ["timeout", row.timeout === null ? "" : seconds(row.timeout)],
      ["resources", row.resources.join(", ")], ["approval", row.approval ? "needed before it starts" : ""], ["critical", row.critical ? "" : "no: the run goes on without it"],
      ["result", row.result ? h("pre", { dir: "auto" }, row.result) : ""],
    ];
    const why = h("div", { class: "dt-why" });
    fill(el, h("h3", {}, h("bdi", {}, row.id)), row.description && row.description !== row.id ? h("p", {}, h("bdi", {}, row.description)) : null,
      h("dl", {}, facts.filter(([, value]) => (Array.isArray(value) ? value.length : value)).map(([name, value]) => [h("dt", {}, name), h("dd", {}, typeof value === "string" ? h("bdi", {}, value) : value)])),
      h("div", { class: "dt-buttons" }, ACTIONS.map(([name, label]) => h("button", { type: "button", class: "dt-button", "data-command": name, onclick: () => store.act(name, { id: row.id }) }, label)),
        h("button", { type: "button", class: "dt-button", "data-tool": "remove", onclick: () => editing.propose("remove_task", { id: row.id }) }, "Remove …"),
        h("button", { type: "button", class: "dt-button", "data-command": "break", onclick: () => store.toggleBreakpoint(row) }, row.breakpoint ? "No breakpoint" : "Breakpoint"),
        h("button", { type: "button", class: "dt-button", "data-command": "explain", onclick: () => { asked = ""; explain(row.id, why); } }, "Why? Explain it")), why);
    if (!store.past) explain(row.id, why);
  }

  async function explain(/** @type {string} */ id, /** @type {HTMLElement} */ why) {
    const stamp = `${id} ${store.live.rows.get(id)?.state} ${store.live.rows.get(id)?.priority}`;
    if (stamp === asked && why.dataset.stamp === stamp) return;
    asked = stamp;
    const answer = await store.ask("explain", { id });
    if (store.selected !== id) return;
    why.dataset.stamp = stamp;
    if (!answer.ok) return fill(why, h("span", { class: "dt-refused" }, answer.reason));
    const data = answer.data;
    fill(why, h("h4", {}, "Why"), h("p", {}, `priority ${number(data.priority, 4)}: ${data.equation}`),
      data.source ? h("p", { class: "dt-soft" }, data.source) : null,
      operands(data.operands), data.successor ? h("p", {}, "set by its successor ", h("bdi", {}, data.successor)) : null,
      data.waits.length ? h("ul", {}, data.waits.map((/** @type {string} */ sentence) => h("li", {}, "waits ", h("bdi", {}, sentence)))) : null,
      data.agent ? h("p", {}, h("bdi", {}, data.agent)) : null, data.made ? h("p", { class: "dt-soft" }, `made by ${data.made}`) : null);
  }

  return {
    el,
    update(what) {
      const touched = what.selection || what.rows === null || what.rows.has(store.selected) || (what.scene && (shown !== store.selected || slackShown !== slackOf(shown)));
      if (!touched || el.offsetParent === null) return;
      shown = store.selected;
      draw();
    },
  };
}

/** @param {Record<string, any>} values */
function operands(values) {
  const rows = Object.entries(values ?? {});
  return rows.length ? h("table", { class: "dt-operands" }, rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, typeof value === "number" ? number(value, 5) : h("bdi", {}, String(value)))))) : null;
}

/**
 * @param {import("./store").Store} store
 * @param {() => Promise<HTMLElement | null>} math the typeset equation, where the page can typeset
 * @returns {import("./types").View}
 */
export function explainView(store, math) {
  const equation = h("div", { class: "dt-math" });
  const words = h("div", {}, h("p", { class: "dt-soft" }, "Click a number anywhere to see its equation, its operands and where the paper has it."));
  const numbers = ["makespan", "critical path", "lower bound", "utilisation", "speed-up", "one after another"];
  const el = h("div", { class: "dt-explain" },
    h("div", { class: "dt-buttons" }, numbers.map((kind) => h("button", { type: "button", class: "dt-button", "data-number": kind, onclick: () => store.explain(kind) }, kind))), words, equation);
  let shown = /** @type {any} */ (null), typeset = false;
  return {
    el,
    update() {
      if (!typeset && el.offsetParent !== null) {
        typeset = true;
        math().then((made) => made && equation.append(made)).catch((error) => store.failed(error));
      }
      const answer = store.explained;
      if (answer === shown) return;
      shown = answer;
      if (!answer) return;
      if (!answer.ok) return fill(words, h("p", { class: "dt-refused" }, answer.reason));
      const data = answer.data;
      fill(words, h("h3", {}, h("bdi", {}, data.name)), h("p", {}, h("bdi", {}, data.words)),
        h("p", {}, h("b", {}, typeof data.value === "number" ? `${number(data.value, 5)} ${data.unit}` : String(data.value ?? "–"))),
        operands(data.operands), h("p", { class: "dt-soft" }, data.source));
    },
  };
}
