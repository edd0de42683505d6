// What was done as Python, and what went wrong.
import { fill, h, seconds } from "./dom.js";
import { copyable } from "./controls.js";

/** @param {import("./store").Store} store @returns {import("./types").View} */
export function codeView(store) {
  const list = h("ol", { class: "dt-calls" }), whole = h("div");
  const el = h("div", {}, h("p", { class: "dt-soft" }, "Each action of this panel as the call that does the same."), list,
    h("button", { type: "button", class: "dt-button", "data-command": "to_python", onclick: async () => {
      const answer = await store.ask("to_python");
      fill(whole, answer.ok ? [copyable(answer.data || "# nothing was edited yet"), h("pre", {}, answer.data)] : h("span", { class: "dt-refused" }, answer.reason));
    } }, "All edits and commands: run.to_python()"), whole);
  let shown = /** @type {string[]} */ ([]);
  return {
    el,
    update() {
      if (shown === store.live.calls || el.offsetParent === null) return;
      shown = store.live.calls;
      fill(list, shown.slice(-100).map((call) => h("li", {}, copyable(call))));
    },
  };
}

/** @param {import("./store").Store} store @param {import("./types").Face} face @returns {import("./types").View} */
export function errorsView(store, face) {
  /** Folded, and asked for when it is unfolded. */
  function traceback(/** @type {string} */ id) {
    const text = h("pre", {}, "…"), el = h("details", {}, h("summary", {}, "traceback"), text);
    el.addEventListener("toggle", async () => {
      const answer = await store.ask("traceback", { id });
      fill(text, answer.ok ? answer.data || "This kernel has not seen it fail." : answer.reason);
    }, { once: true });
    return el;
  }
  const el = h("div", { class: "dt-errors" });
  let shown = "";
  return {
    el,
    update() {
      const failed = [...store.live.rows.values()].filter((row) => row.state === "failed" || (row.state === "skipped" && row.attempt > 0 && row.reason)).slice(0, 100);
      const stamp = `${store.live.failures.length} ${store.live.failures.at(-1)?.message} ${failed.map((row) => row.id + row.attempt).join()}`;
      if (stamp === shown) return;
      shown = stamp;
      const tasks = failed.map((row) => h("div", { class: "dt-failure", role: "alert" }, h("b", {}, "task ", h("bdi", {}, row.id)), ` ${row.state === "failed" ? "failed" : "was skipped, as it failed and is not critical"}${row.attempt > 1 ? ` at attempt ${row.attempt}` : ""}: `, h("bdi", {}, row.reason), traceback(row.id),
        h("div", { class: "dt-buttons" }, h("button", { type: "button", class: "dt-button", onclick: () => store.act("retry", { id: row.id }) }, "Retry"), h("button", { type: "button", class: "dt-button", onclick: () => { store.select(row.id); face.turn("task"); } }, "Show the task"))));
      const others = store.live.failures.map((one) => h("div", { class: "dt-failure", role: "alert" }, h("b", {}, one.where, one.task ? ` (task ${one.task})` : ""), ": ", h("bdi", {}, one.message),
        one.details ? h("details", {}, h("summary", {}, "traceback"), h("pre", {}, one.details)) : null)).reverse();
      fill(el, tasks.length || others.length ? [tasks, others, h("p", { class: "dt-soft" }, "In a cell: ", h("code", {}, "run.raise_if_failed()"))] : h("p", { class: "dt-soft" }, "Nothing has gone wrong."));
    },
  };
}

/** @param {import("./store").Store} store @returns {import("./types").View} */
export function agentsView(store) {
  const body = h("tbody");
  const name = h("input", { placeholder: "name", "aria-label": "Name of the new agent" }), slots = h("input", { type: "number", min: 1, value: 1, "aria-label": "Its slots" });
  const roles = h("input", { placeholder: "roles, or empty for all", "aria-label": "Its roles" });
  const el = h("div", { class: "dt-agents" }, h("div", { class: "dt-table" }, h("table", {}, h("thead", {}, h("tr", {}, ["agent", "roles", "slots", "works on", "done", "busy", "level", ""].map((head) => h("th", { scope: "col" }, head)))), body)),
    h("div", { class: "dt-buttons" }, name, roles, slots, h("button", { type: "button", class: "dt-button", "data-agent": "add", onclick: () => name.value.trim() && set(name.value.trim(), Number(slots.value), roles.value.split(",").map((/** @type {string} */ one) => one.trim()).filter(Boolean), 0) }, "Let it join")));
  let shown = "";
  const set = (/** @type {string} */ id, /** @type {number} */ slots, /** @type {string[]} */ roles, /** @type {number} */ access) =>
    store.act("set_agent", { id, slots, ...(roles.length ? { roles } : {}), ...(access ? { access } : {}) });
  return {
    el,
    update() {
      const agents = store.scene.agents, stamp = JSON.stringify(agents);
      if (stamp === shown || el.offsetParent === null || body.contains(document.activeElement)) return;
      shown = stamp;
      fill(body, agents.slice(0, 200).map((agent) => h("tr", { "data-agent": agent.id }, h("th", { scope: "row" }, h("bdi", {}, agent.id)), h("td", {}, agent.roles.join(", ")),
        h("td", {}, h("input", { type: "number", min: 0, max: 64, value: agent.slots, "aria-label": `Slots of ${agent.id}`, onchange: (/** @type {any} */ event) => { set(agent.id, Number(event.target.value), agent.roles, agent.access); event.target.blur(); } })),
        h("td", {}, h("bdi", {}, agent.running.join(", "))), h("td", {}, String(agent.completed)), h("td", {}, seconds(agent.busy)), h("td", {}, String(agent.access)),
        h("td", {}, h("button", { type: "button", class: "dt-button", onclick: (/** @type {any} */ event) => { set(agent.id, agent.slots ? 0 : 1, agent.roles, agent.access); event.target.blur(); } }, agent.slots ? "Disable" : "Enable")))));
    },
  };
}
