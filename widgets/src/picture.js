// What the canvas draws: the scene's rows as vis-network's nodes and edges. Pure; ids carry a prefix, so that
// a task called `__proto__` is a name like any other.

import { foldedIn } from "./store.js";

/** @typedef {import("./types").Row} Row */
/** @typedef {{ink: string, paper: string, accent: string}} Theme */

export const named = (/** @type {string} */ id) => `t:${id}`;
export const grouped = (/** @type {string} */ id) => `g:${id}`;
const pair = (/** @type {string} */ from, /** @type {string} */ to) => `${from.length}:${from}>${to}`;
const ALPHA = 0.22;

/** Where each row is drawn: under its own name, or under that of its folded group.
 * @param {Row} row @param {Set<string>} folded */
export const place = (row, folded) => {
  const group = foldedIn(row, folded);
  return group ? grouped(group) : named(row.id);
};

/** @param {any} node @param {Theme} theme @param {boolean} faint @param {boolean} chosen */
export function dressed(node, theme, faint, chosen) {
  const border = chosen ? theme.accent : node.critical ? theme.ink : node.color.border;
  const paint = { background: node.color.background, border };
  return {
    ...node, id: named(node.id), color: { ...paint, hover: paint, highlight: paint },
    borderWidth: chosen ? 5 : node.borderWidth, opacity: faint ? ALPHA : 1,
    font: { color: faint ? theme.ink + "59" : theme.ink },
  };
}

/** @param {any} edge @param {Theme} theme @param {boolean} faint */
function drawn(edge, theme, faint) {
  const ink = edge.critical ? theme.ink : edge.color;
  return { ...edge, dashes: false, color: { color: ink, hover: ink, highlight: ink, opacity: faint ? ALPHA : 1 } };
}

/**
 * Nodes and edges of the given rows.
 * @param {Row[]} rows all rows shown
 * @param {{folded: Set<string>, near: Set<string>, selected: string, theme: Theme,
 *   fade: (id: string) => boolean, known: (id: string) => Row | undefined, only?: Set<string> | null}} how
 *   `fade` says which tasks the filter leaves in the background, `only` which to draw (null: all of them)
 */
export function picture(rows, how) {
  const nodes = new Map(), edges = new Map();
  for (const row of rows) {
    const at = place(row, how.folded);
    if (at !== named(row.id)) {
      const group = nodes.get(at) ?? { members: [] };
      group.members.push(row);
      nodes.set(at, group);
    } else if (!how.only || how.only.has(row.id)) {
      const faint = how.fade(row.id) || (how.near.size > 0 && !how.near.has(row.id));
      nodes.set(at, dressed(row.node, how.theme, faint, row.id === how.selected));
    }
    if (how.only && !how.only.has(row.id) && at === named(row.id)) continue;
    for (const edge of row.edges) {
      const before = how.known(edge.from);
      if (!before) continue;
      const from = place(before, how.folded);
      const faint = how.near.size > 0 && !(how.near.has(row.id) && how.near.has(edge.from));
      if (from !== at) edges.set(pair(from, at), { ...drawn(edge, how.theme, faint), id: pair(from, at), from, to: at });
    }
  }
  for (const [id, node] of nodes) if (node.members) nodes.set(id, groupNode(id, node.members, how.theme));
  return { nodes, edges };
}

/** One node in the place of a folded group. @param {string} id @param {Row[]} members @param {Theme} theme */
function groupNode(id, members, theme) {
  const name = id.slice(2), done = members.filter((row) => row.state === "done").length;
  const mean = (/** @type {"x" | "y"} */ key) => members.reduce((sum, row) => sum + row.node[key], 0) / members.length;
  return {
    id, label: `⊞ ${name}\n${done} of ${members.length} done`, title: `${name}: ${members.length} tasks, folded`,
    shape: "box", x: mean("x"), y: mean("y"), font: { color: theme.ink }, borderWidth: 2, opacity: 1,
    color: { background: theme.paper, border: theme.ink, highlight: { background: theme.paper, border: theme.accent } },
  };
}

/** What a preview adds and takes away, drawn as ghosts. @param {import("./types").Preview} preview @param {Theme} theme */
export function ghosts(preview, theme) {
  const paint = { background: "rgba(43,140,214,0.18)", border: theme.accent };
  const nodes = preview.nodes.map((node) => ({
    ...node, id: `ghost:${node.id}`, label: `${node.id}\n(would be)`, borderWidth: 2, shapeProperties: { borderDashes: [6, 4] },
    color: { ...paint, hover: paint, highlight: paint }, font: { color: theme.ink }, opacity: 1,
  }));
  const made = new Set(preview.nodes.map((node) => node.id));
  const end = (/** @type {string} */ id) => (made.has(id) ? `ghost:${id}` : named(id));
  const edges = preview.edges.map((edge) => ({
    ...edge, id: `ghost:${pair(edge.from, edge.to)}`, from: end(edge.from), to: end(edge.to), dashes: [8, 5],
    color: { color: theme.accent, highlight: theme.accent, hover: theme.accent },
  }));
  return { nodes, edges };
}

/** Ids of the nodes and edges that a preview takes away. @param {import("./types").Preview} preview */
export const going = (preview) => ({
  nodes: new Set(preview.gone.map(named)),
  edges: new Set(preview.goneEdges.map(([from, to]) => pair(named(from), named(to)))),
});

/** The two tasks that an edge of the picture joins, null for a ghost's or a group's. @param {string} id */
export function ends(id) {
  const colon = id.indexOf(":"), size = Number(id.slice(0, colon));
  const from = id.slice(colon + 1, colon + 1 + size), to = id.slice(colon + 2 + size);
  return from.startsWith("t:") && to.startsWith("t:") ? { before: from.slice(2), after: to.slice(2) } : null;
}
