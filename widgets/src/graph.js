// The task graph on a canvas: seen, searched, and edited by hand. Every edit is a proposal first.
import { Network } from "vis-network";
import { DataSet } from "vis-data";
import { fill, guarded, h, seconds } from "./dom.js";
import { ends, ghosts, going, named, picture } from "./picture.js";

/** Above so many tasks edges are straight and disappear while the picture is moved. */
const MANY = 300;
/** Pixels left of a node that are its margin, where a click sets a breakpoint. */
const MARGIN = 18;
/** Milliseconds within which two clicks are one double click. */
const TWICE = 400;
const FIT = { animation: false, maxZoomLevel: 1.3 };

/** @param {HTMLElement} el */
function themeOf(el) {
  const style = getComputedStyle(el.closest(".dyntask-live") ?? el);
  return { ink: hex(style.color), paper: style.backgroundColor, accent: "#2b8cd6" };
}

/** @param {string} colour rgb(…) */
function hex(colour) {
  const parts = colour.match(/\d+/g)?.slice(0, 3) ?? ["40", "40", "40"];
  return `#${parts.map((part) => Number(part).toString(16).padStart(2, "0")).join("")}`;
}

/**
 * @param {import("./store").Store} store
 * @param {import("./types").Face} editing
 * @returns {import("./types").View}
 */
export function graphView(store, editing) {
  const box = h("div", { class: "dt-canvas", tabindex: 0, role: "group", "aria-label": "Task graph; the table holds the same" });
  const note = h("span", { class: "dt-soft" });
  const inline = h("input", { class: "dt-inline", hidden: true, "aria-label": "Text of the task" });
  const search = h("input", { type: "search", class: "dt-search", placeholder: "Search tasks", "aria-label": "Search tasks", oninput: () => store.narrow({ text: search.value }) });
  const selects = Object.fromEntries(["state", "role", "agent"].map((name) =>
    [name, h("select", { "aria-label": `Only tasks of a ${name}`, onchange: (/** @type {any} */ event) => store.narrow({ [name]: event.target.value }) })]));
  const tool = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ tip, /** @type {() => void} */ act) =>
    h("button", { type: "button", class: "dt-button", "data-tool": name, title: tip, onclick: act }, label);
  const connect = tool("connect", "→ Connect", "Drag from a task to the one that shall wait for it", () => connecting(!drawing));
  const bar = h("div", { class: "dt-buttons" },
    tool("add", "+ Task", "Name a new task; it waits for the selected one", () => ask("", (text) => add(text, null))),
    connect,
    tool("edit", "✎ Edit", "Change what the selected task says", () => store.selected && rename(store.selected)),
    tool("delete", "✕ Delete", "Take the selected task or dependency out", remove),
    tool("fold", "⊞ Fold", "Fold the selected task's subgraph into one node, or unfold all", fold),
    tool("fit", "Fit", "Show all", () => network.fit(FIT)),
    search, Object.values(selects), note);
  const el = h("div", { class: "dt-graph" }, bar, h("div", { class: "dt-stage" }, box, inline));
  /** @type {any} */ const nodes = new DataSet(), edges = /** @type {any} */ (new DataSet());
  let theme = themeOf(document.body), drawing = false, fitted = 0, touched = false, picked = "", frame = 0, toggled = -TWICE;
  /** @type {Set<string> | null} */ let stale = null;
  let shown = { nodes: new Map(), edges: new Map() };
  /** @type {{x: number, y: number} | null} */ let wanted = null;
  /** @type {(text: string) => void} */ let entered = () => {};

  const network = new Network(box, /** @type {any} */ ({ nodes, edges }), options(false));
  box.dtNetwork = network; // where a task stands on the page, for whoever steers it by mouse: tests

  const on = (/** @type {any} */ name, /** @type {(event: any) => void} */ act) => network.on(name, guarded(box, act));

  function options(/** @type {boolean} */ many) {
    const font = { color: theme.ink, strokeWidth: 3, strokeColor: theme.paper };
    return {
      physics: false, autoResize: true, layout: { improvedLayout: false },
      interaction: { hover: true, tooltipDelay: 150, keyboard: { enabled: true, bindToWindow: false }, hideEdgesOnDrag: many, hideEdgesOnZoom: many, zoomSpeed: 0.6, dragNodes: false },
      nodes: { font: { ...font, size: 14 } },
      edges: { font: { ...font, size: 12, align: "top" }, arrows: { to: { enabled: true, scaleFactor: 0.6 } }, smooth: !many && { enabled: true, type: "cubicBezier", forceDirection: "horizontal", roundness: 0.4 } },
      manipulation: { enabled: false, addEdge: joined },
    };
  }

  function joined(/** @type {{from: string, to: string}} */ edge, /** @type {(edge: null) => void} */ done) {
    done(null);
    connecting(false);
    if (edge.from.startsWith("t:") && edge.to.startsWith("t:") && edge.from !== edge.to)
      editing.propose("add_dependency", { before: edge.from.slice(2), after: edge.to.slice(2) });
  }

  function connecting(/** @type {boolean} */ on) {
    drawing = on;
    connect.setAttribute("aria-pressed", String(on));
    if (on) network.addEdgeMode(); else network.disableEditMode();
  }

  /** Ask for a line of text over the canvas. */
  function ask(/** @type {string} */ text, /** @type {(text: string) => void} */ then, /** @type {{x: number, y: number} | null} */ at = null) {
    const spot = at ? network.canvasToDOM(at) : { x: box.clientWidth / 2 - 120, y: 24 };
    inline.style.left = `${Math.max(4, Math.min(spot.x, box.clientWidth - 250))}px`;
    inline.style.top = `${Math.max(4, spot.y)}px`;
    inline.value = text;
    inline.hidden = false;
    entered = then;
    inline.focus();
  }
  inline.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    event.stopPropagation();
    if (event.key === "Escape") inline.hidden = true;
    if (event.key !== "Enter" || event.isComposing || !inline.value.trim()) return;
    inline.hidden = true;
    entered(inline.value.trim());
  });
  inline.addEventListener("blur", () => { inline.hidden = true; });

  function add(/** @type {string} */ description, /** @type {any} */ at) {
    wanted = at;
    editing.propose("add_task", { description, after: store.selected ? [store.selected] : [] });
  }

  function rename(/** @type {string} */ id) {
    const row = store.scene.rows.get(id);
    if (!row) return;
    if (row.description.endsWith("…")) return store.refuse("This text is longer than can be edited here; the form below has all of it.");
    ask(row.description, (description) => editing.propose("revise", { id, description }), shown.nodes.has(named(id)) ? network.getPosition(named(id)) : null);
  }

  function remove() {
    const edge = picked && ends(picked);
    if (edge) editing.propose("remove_dependency", edge);
    else if (store.selected) editing.propose("remove_task", { id: store.selected });
  }

  function fold() {
    const folded = new Set(store.filter.folded), group = store.scene.rows.get(store.selected)?.groups.find((one) => !folded.has(one));
    if (group) folded.add(group); else folded.clear();
    store.narrow({ folded });
  }

  // Without its label, which may be much wider.
  const sizeOf = (/** @type {string} */ id) => store.scene.rows.get(id.slice(2))?.node.size ?? 0;

  /** The task in whose margin a point of the canvas lies, "" for none. */
  function margin(/** @type {{x: number, y: number}} */ at) {
    for (const id of [at.x + MARGIN, at.x + 2 * MARGIN].map((x) => network.getNodeAt(network.canvasToDOM({ x, y: at.y })))) {
      if (typeof id === "string" && id.startsWith("t:") && at.x < network.getPosition(id).x - sizeOf(id) + 2) return id.slice(2);
    }
    return "";
  }

  on("click", (/** @type {any} */ event) => {
    const id = event.nodes[0] ?? "", spot = event.pointer.canvas;
    picked = id ? "" : event.edges[0] ?? "";
    const beside = id ? "" : margin(spot);
    if (beside) return toggle(beside);
    if (id.startsWith("g:")) return store.narrow({ folded: new Set([...store.filter.folded].filter((group) => group !== id.slice(2))) });
    store.select(id.startsWith("t:") ? id.slice(2) : "");
  });
  for (const by of ["zoom", "dragStart"]) on(by, () => { touched = true; });
  on("hoverNode", (/** @type {any} */ event) => {
    const slack = store.scene.forecast?.slack?.[event.node.slice(2)], row = store.scene.rows.get(event.node.slice(2));
    if (row && slack !== undefined) nodes.update({ id: event.node, title: `${row.node.title}\nslack: ${seconds(slack)}` });
  });
  on("doubleClick", (/** @type {any} */ event) => {
    const id = event.nodes[0] ?? "";
    if (id.startsWith("t:")) rename(id.slice(2));
    else if (!event.edges.length && !margin(event.pointer.canvas)) ask("", (text) => add(text, event.pointer.canvas), event.pointer.canvas);
  });
  on("afterDrawing", (/** @type {CanvasRenderingContext2D} */ ctx) => {
    for (const row of store.scene.rows.values()) {
      if (!row.breakpoint || !shown.nodes.has(named(row.id))) continue;
      const at = network.getPosition(named(row.id)), sides = { before: [-1], after: [1], both: [-1, 1] }[row.breakpoint] ?? [];
      ctx.fillStyle = "#d5461e";
      for (const side of sides) {
        ctx.beginPath();
        ctx.arc(at.x + side * (row.node.size + 12), at.y, 6, 0, 2 * Math.PI);
        ctx.fill();
      }
    }
  });
  box.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Delete" || event.key === "Backspace") remove();
    else if (event.key === "Escape") { connecting(false); store.select(""); }
    else if (event.key === "Enter" && store.selected) rename(store.selected);
    else if (event.key === "b" && store.selected) toggle(store.selected);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  function toggle(/** @type {string} */ id) {
    const row = store.scene.rows.get(id), now = store.now();
    if (row && now - toggled > TWICE) store.toggleBreakpoint(row).catch((error) => store.failed(error));
    toggled = now;
  }

  /** Draw the rows in `only`, or all (null), in one go. */
  function draw(/** @type {Set<string> | null} */ only) {
    const scene = store.scene, all = [...scene.rows.values()], passing = new Set(store.rows().map((row) => row.id));
    const folded = store.filter.folded;
    const fade = (/** @type {string} */ id) => !passing.has(id);
    if (folded.size) only = null;
    const made = picture(all, { folded, near: store.near, selected: store.selected, theme, fade, known: (id) => scene.rows.get(id), only });
    if (only) {
      for (const id of only) if (!scene.rows.has(id)) { shown.nodes.delete(named(id)); nodes.remove(named(id)); }
      for (const id of only) for (const [key] of incoming.get(id) ?? []) if (!made.edges.has(key)) { shown.edges.delete(key); edges.remove(key); }
      for (const [id, node] of made.nodes) shown.nodes.set(id, node);
      for (const [id, edge] of made.edges) shown.edges.set(id, edge);
      nodes.update([...made.nodes.values()]);
      edges.update([...made.edges.values()]);
    } else {
      nodes.remove([...shown.nodes.keys()].filter((id) => !made.nodes.has(id)));
      edges.remove([...shown.edges.keys()].filter((id) => !made.edges.has(id)));
      shown = made;
      nodes.update([...made.nodes.values()]);
      edges.update([...made.edges.values()]);
    }
    incoming = new Map();
    for (const [key, edge] of shown.edges) {
      const to = edge.to.slice(2);
      incoming.get(to)?.push([key]) ?? incoming.set(to, [[key]]);
    }
    const total = scene.total || all.length, visible = passing.size;
    fill(note, visible < total ? `showing ${visible.toLocaleString("en")} of ${total.toLocaleString("en")} tasks` : "");
    if (!fitted && all.length && box.clientWidth) {
      repaint();
      network.once("afterDrawing", () => { box.dataset.drawn = (store.now() - store.heard.at).toFixed(); }); // ms from the data to the picture
    }
    if (!touched && all.length !== fitted && box.clientWidth) fit(all.length);
  }
  /** @type {Map<string, [string][]>} */ let incoming = new Map();
  /** @type {string[]} */ let ghostly = [], ghostlyEdges = /** @type {string[]} */ ([]);

  /** Show all, at the size the canvas has now, until somebody moves the picture by hand. */
  function fit(/** @type {number} */ size) {
    if ((fitted > MANY) !== (size > MANY)) network.setOptions(options(size > MANY));
    fitted = size;
    network.setSize("100%", "100%");
    network.redraw();
    network.fit(FIT);
  }

  function haunt() {
    nodes.remove(ghostly);
    edges.remove(ghostlyEdges);
    ghostly = ghostlyEdges = [];
    if (!store.preview?.accepted) return;
    const made = ghosts(store.preview, theme), gone = going(store.preview);
    if (wanted && made.nodes.length === 1) Object.assign(made.nodes[0], wanted);
    if (!made.nodes.length) wanted = null;
    ghostly = made.nodes.map((node) => node.id);
    ghostlyEdges = made.edges.map((edge) => edge.id);
    nodes.update(made.nodes);
    edges.update(made.edges);
    nodes.update([...gone.nodes].filter((id) => shown.nodes.has(id)).map((id) => ({ id, opacity: 0.3 })));
    edges.update([...gone.edges].filter((id) => shown.edges.has(id)).map((id) => ({ id, dashes: [3, 6], color: { color: "#d5461e", opacity: 0.6 } })));
  }

  function choices() {
    const rows = [...store.scene.rows.values()];
    for (const name of /** @type {("state" | "role" | "agent")[]} */ (["state", "role", "agent"])) {
      const values = [...new Set([store.filter[name], ...rows.map((row) => row[name])].filter(Boolean))].sort();
      const select = selects[name];
      if (select.dataset.values === values.join("\n")) continue;
      select.dataset.values = values.join("\n");
      fill(select, h("option", { value: "" }, `any ${name}`), values.map((value) => h("option", { value }, value)));
      select.value = store.filter[name];
    }
    if (search.value !== store.filter.text) search.value = store.filter.text;
  }

  function update(/** @type {import("./types").Change} */ what) {
    if (what.rows === null || what.selection || what.filter || what.preview) stale = null;
    else if (!frame) stale = new Set(what.rows);
    else if (stale) for (const id of what.rows) stale.add(id);
    if (!(what.rows === null || what.rows.size || what.selection || what.filter || what.preview)) return;
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      try {
        draw(stale);
        haunt();
        choices();
      } catch (error) {
        store.failed(error);
      }
    });
  }

  const repaint = () => {
    if (el.isConnected) theme = themeOf(el);
    network.setOptions(options(store.scene.rows.size > MANY));
    update({ rows: null, scene: true, selection: false, preview: false, filter: false });
  };
  const watching = new MutationObserver(repaint);
  watching.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
  const sizing = new ResizeObserver(() => {
    if (box.clientWidth && !fitted) repaint();
    else if (box.clientWidth && !touched) fit(fitted);
  });
  sizing.observe(box);
  queueMicrotask(repaint);
  return { el, update, destroy() { watching.disconnect(); sizing.disconnect(); cancelAnimationFrame(frame); network.destroy(); } };
}
