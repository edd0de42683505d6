// The live panel of one run. One store a widget, shared by all its views; a view is everything in one place
// of a page. Knows nothing of runs: it puts the parts together.
import { agentsView, codeView, errorsView } from "./journal.js";
import { contextView } from "./context.js";
import { controlsView } from "./controls.js";
import { explainView, taskView } from "./inspector.js";
import { FAULT, fill, h } from "./dom.js";
import { graphView } from "./graph.js";
import { historyView } from "./history.js";
import { metricsView } from "./charts.js";
import { proposalView } from "./proposal.js";
import { Store } from "./store.js";
import { tableView } from "./table.js";
import { timelineView } from "./timeline.js";

/** Narrower than this, all is in tabs until the user arranges it otherwise. */
const WIDE = 1000;
const TABS = [
  ["graph", "Graph"], ["task", "Task"], ["table", "Table"], ["timeline", "Timeline"], ["metrics", "Metrics"], ["context", "Context"],
  ["history", "History"], ["explain", "Explain"], ["agents", "Agents"], ["code", "Code"], ["errors", "Errors"],
];

let faces = 0;

/** The equation of the explained number, typeset by the notebook: a child widget's view. */
async function typeset(/** @type {any} */ model) {
  const child = await model.widget_manager.get_model(String(model.get("math")).slice("IPY_MODEL_".length));
  const view = await model.widget_manager.create_view(child);
  view.trigger("displayed");
  return view.el;
}

export default () => {
  /** @type {Store} */ let store;

  /** @param {{model: any}} context */
  function initialize({ model }) {
    store = new Store((message) => { if (store.connected) model.send(message); });
    model.on("msg:custom", (/** @type {any} */ message) => {
      try {
        store.receive(message);
      } catch (error) {
        store.failed(error);
      }
    });
    model.on("comm_live_update", () => { if (!(model.comm_live ?? false)) store.lose(); });
    store.after = (then) => requestAnimationFrame(() => setTimeout(then));
    model.send({ id: "", command: "join", args: {} });
  }

  /** @param {{model: any, el: HTMLElement}} context */
  function render({ model, el }) {
    const proposal = proposalView(store);
    /** @type {import("./types").Face} */
    const face = {
      propose: (command, args) => (store.past ? store.refuse("You are looking at the past: go back to the present first (History).") : proposal.propose(command, args)),
      explain: (kind, id, to) => store.explain(kind, id, to).then(() => turn("explain")),
      turn: (tab) => turn(tab),
    };
    /** @type {Record<string, import("./types").View>} */
    const views = {
      graph: graphView(store, face), task: taskView(store, face), table: tableView(store, face), timeline: timelineView(store), metrics: metricsView(store, face),
      context: contextView(store), history: historyView(store), explain: explainView(store, () => typeset(model)), agents: agentsView(store),
      code: codeView(store), errors: errorsView(store, face),
    };
    /** @type {Map<object, string>} */ const reported = new Map();
    const controls = controlsView(store, face);
    let current = "graph", split = /** @type {boolean | null} */ (null), chosen = /** @type {boolean | null} */ (null);
    const place = (faces += 1);
    const panes = new Map(TABS.map(([name, label]) => [name, h("div", { class: "dt-pane", role: "tabpanel", id: `dt-${store.face}-${place}-${name}`, "aria-label": label, "data-pane": name, hidden: true }, views[name].el)]));
    const tabs = TABS.map(([name, label]) => h("button", { type: "button", role: "tab", "data-tab": name, "aria-controls": panes.get(name).id, class: "dt-tab", onclick: () => turn(name) }, label));
    const arrange = h("button", { type: "button", class: "dt-button", "data-command": "arrange", onclick: () => { chosen = !split; lay(); } });
    const strip = h("div", { class: "dt-tabs", role: "tablist", "aria-label": "Parts of the panel", onkeydown: (/** @type {KeyboardEvent} */ event) => {
      const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (!step) return;
      const shown = tabs.filter((tab) => !tab.hidden), at = shown.indexOf(/** @type {any} */ (document.activeElement));
      const next = shown[(at + step + shown.length) % shown.length];
      next.focus();
      turn(next.dataset.tab);
    } }, tabs);
    const left = h("div", { class: "dt-left" }), right = h("div", { class: "dt-right" });
    const handle = h("div", { class: "dt-handle", role: "separator", tabindex: 0, "aria-label": "Width of the graph", "aria-orientation": "vertical", "aria-valuemin": 20, "aria-valuemax": 80, "aria-valuenow": 58 });
    const main = h("div", { class: "dt-main" }, left, handle, right);
    const root = h("div", { class: "dyntask-live" }, controls.el, proposal.el, h("div", { class: "dt-strip" }, strip, arrange), main);

    function lay() {
      const wide = chosen ?? root.clientWidth >= WIDE;
      if (wide !== split) {
        split = wide;
        if (split && current === "graph") current = "task";
        main.classList.toggle("dt-split", split);
        tabs[0].hidden = split;
        fill(left, split ? panes.get("graph") : null);
        fill(right, [...panes].filter(([name]) => !split || name !== "graph").map(([, pane]) => pane));
        arrange.textContent = split ? "One at a time" : "Graph beside";
        turn(current);
      }
    }

    function turn(/** @type {string} */ name) {
      if (split && name === "graph") return;
      current = name;
      for (const [key, pane] of panes) pane.hidden = key !== name && !(split && key === "graph");
      for (const tab of tabs) {
        tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
        tab.tabIndex = tab.dataset.tab === name ? 0 : -1;
      }
      update({ rows: null, scene: true, selection: true, preview: true, filter: true });
    }

    function update(/** @type {import("./types").Change} */ what) {
      for (const view of [controls, proposal, ...Object.values(views)]) {
        try {
          view.update(what);
        } catch (error) { // once, however often it fails in the same way
          const words = String(error), known = reported.get(view);
          reported.set(view, words);
          if (known !== words) queueMicrotask(() => store.failed(error));
        }
      }
      const wrong = store.live.failures.length + [...store.live.rows.values()].reduce((sum, row) => sum + Number(row.state === "failed"), 0);
      const last = tabs[tabs.length - 1];
      last.textContent = wrong ? `Errors (${wrong})` : "Errors";
      last.classList.toggle("dt-refused", wrong > 0);
    }

    function drag(/** @type {number} */ x) {
      const box = main.getBoundingClientRect();
      const share = Math.round(Math.max(20, Math.min(80, (100 * (x - box.left)) / box.width)));
      main.style.setProperty("--dt-left", `${share}%`);
      handle.setAttribute("aria-valuenow", share);
    }
    handle.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      handle.setPointerCapture(event.pointerId);
      handle.onpointermove = (/** @type {PointerEvent} */ move) => drag(move.clientX);
      handle.onpointerup = () => { handle.onpointermove = null; };
    });
    handle.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const step = event.key === "ArrowLeft" ? -24 : event.key === "ArrowRight" ? 24 : 0;
      if (step) { drag(handle.getBoundingClientRect().left + step); event.preventDefault(); }
    });

    // JupyterLab's shortcuts must not act on keys meant for the panel.
    root.dataset.lmSuppressShortcuts = "true";
    root.addEventListener(FAULT, (/** @type {CustomEvent} */ event) => store.failed(event.detail));
    el.append(root);
    const watching = store.watch(update);
    const sizing = new ResizeObserver(lay);
    sizing.observe(root);
    const ticking = setInterval(() => store.tick(), 250);
    lay();
    return () => {
      clearInterval(ticking);
      watching();
      sizing.disconnect();
      for (const view of [controls, ...Object.values(views)]) view.destroy?.();
    };
  }

  return { initialize, render };
};
