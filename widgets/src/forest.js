// The forest of context nodes as a tree that keys can walk: domains, and the nodes below them.

import { fill, h } from "./dom.js";

/** A node as `context_tree` tells it; `name` and `title` are its id and title as they can be shown.
 * @typedef {{id: string, name: string, title: string, domain: string, parent: string | null, depth: number,
 *   access: number, version: number, tags: string[]}} ContextNode */
/** @typedef {{key: string, depth: number, parent: string, label: string, below: boolean, node: ContextNode | null}} Item */

/** Every line of the tree, each before what lies below it. @param {ContextNode[]} nodes @returns {Item[]} */
export function items(nodes) {
  /** @type {Item[]} */ const found = [];
  /** @type {Map<number, Item>} */ const above = new Map();
  for (const node of nodes) {
    if (above.get(0)?.label !== node.domain) {
      const root = { key: `domain ${node.domain}`, depth: 0, parent: "", label: node.domain, below: true, node: null };
      above.set(0, root);
      found.push(root);
    }
    const over = above.get(node.depth);
    if (over) over.below = true;
    const key = `node ${node.id}`;
    const item = { key, depth: node.depth + 1, parent: over?.key ?? "", label: node.title, below: false, node };
    above.set(item.depth, item);
    found.push(item);
  }
  return found;
}

/**
 * The tree. `choose` is called with the id of a node that is clicked, or entered by key.
 * @param {(id: string) => void} choose
 */
export function forest(choose) {
  const el = h("div", { class: "dt-forest", role: "tree", "aria-label": "Context nodes", onkeydown: key });
  /** @type {Set<string>} */ const folded = new Set();
  /** @type {Item[]} */ let every = [];
  /** @type {Item[]} */ let seen = [];
  let active = "", chosen = "", level = Infinity;

  function draw() {
    /** @type {Set<string>} */ const gone = new Set();
    seen = every.filter((item) => {
      const hidden = gone.has(item.parent) || folded.has(item.parent);
      if (hidden) gone.add(item.key);
      return !hidden;
    });
    if (!seen.some((item) => item.key === active)) active = seen[0]?.key ?? "";
    const held = el.contains(document.activeElement);
    fill(el, seen.map(line));
    if (held) focus();
  }

  /** @param {Item} item */
  function line(item) {
    const { node } = item, open = !folded.has(item.key), above = node !== null && node.access > level;
    const sign = item.below ? (open ? "▾" : "▸") : "·";
    return h("div", {
      class: above ? "dt-leaf dt-above" : "dt-leaf", role: "treeitem", style: `--depth: ${Math.min(item.depth, 12)}`,
      "aria-level": item.depth + 1, "aria-expanded": item.below ? String(open) : null,
      "aria-selected": String(node !== null && node.id === chosen), tabindex: item.key === active ? 0 : -1,
      title: node ? `${node.name}\ntags: ${node.tags.join(", ") || "none"}` : item.label,
      onclick: () => { active = item.key; enter(item); focus(); },
    }, h("span", { class: "dt-fold", "aria-hidden": "true" }, sign), h("span", { class: "dt-name" }, item.label),
    node && h("span", { class: "dt-dim" }, `v${node.version} · level ${node.access}${above ? " (hidden)" : ""}`));
  }

  /** @param {Item} item */
  function enter(item) {
    if (item.node) choose(item.node.id);
    else fold(item, !folded.has(item.key));
  }

  /** @param {Item} item @param {boolean} closed */
  function fold(item, closed) {
    if (closed) folded.add(item.key);
    else folded.delete(item.key);
    draw();
  }

  function focus() {
    /** @type {HTMLElement | null} */ (el.querySelector('[tabindex="0"]'))?.focus();
  }

  /** @param {KeyboardEvent} event */
  function key(event) {
    const at = seen.findIndex((item) => item.key === active), item = seen[at];
    if (!item || event.altKey || event.ctrlKey || event.metaKey) return;
    const open = item.below && !folded.has(item.key);
    const go = (/** @type {Item | undefined} */ to) => { if (to) { active = to.key; draw(); focus(); } };
    /** @type {Record<string, () => void>} */ const act = {
      ArrowDown: () => go(seen[at + 1]),
      ArrowUp: () => go(seen[at - 1]),
      Home: () => go(seen[0]),
      End: () => go(seen.at(-1)),
      ArrowRight: () => { if (open) go(seen[at + 1]); else if (item.below) fold(item, false); },
      ArrowLeft: () => { if (open) fold(item, true); else go(seen.find((one) => one.key === item.parent)); },
      Enter: () => enter(item),
      " ": () => enter(item),
    };
    if (!act[event.key]) return;
    act[event.key]();
    event.preventDefault();
    event.stopPropagation();
  }

  return {
    el,
    /** Show these nodes; those above `upto` are marked. @param {ContextNode[]} nodes @param {string} id @param {number} upto */
    show(nodes, id, upto) {
      every = items(nodes);
      if (id !== chosen && id) reveal(`node ${id}`);
      [chosen, level] = [id, upto];
      draw();
    },
  };

  /** Open what lies above the line, and make it the one that keys start from. @param {string} wanted */
  function reveal(wanted) {
    const by = new Map(every.map((item) => [item.key, item]));
    if (by.has(wanted)) active = wanted;
    for (let item = by.get(wanted); item; item = by.get(item.parent)) folded.delete(item.parent);
  }
}
