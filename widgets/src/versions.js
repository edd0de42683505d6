// One context node: its versions, who made each, and what each changed.

import { fill, h, seconds } from "./dom.js";
import { textdiff } from "./textdiff.js";

/** A version as `context_node` tells it.
 * @typedef {{version: number, text: string, cut: boolean, data: string, access: number, tags: string[],
 *   owner: string, updated: number, changes: Record<string, [string, string]>,
 *   provenance: {run: string, task: string, agent: string, attempt: number, result: boolean} | null}} Version */
/** @typedef {{id: string, name: string, title: string, domain: string, deleted: boolean, left_out: number,
 *   versions: Version[]}} History */

/** The pane of one node; `show` puts another in, at its latest version. */
export function versions() {
  const el = h("div", { class: "dt-versions" });
  /** @type {History | null} */ let node = null;
  let at = 0, why = "";

  function draw() {
    if (!node) {
      fill(el, h("p", { class: why ? "dt-refused" : "dt-dim", role: "status" }, why || "Choose a node to see its versions."));
      return;
    }
    const now = node.versions[at], before = node.versions[at - 1];
    fill(el, h("h4", {}, node.title), h("p", { class: "dt-dim" }, `${node.name} in ${node.domain}`),
      node.deleted && h("p", { class: "dt-refused" }, "Deleted: it has no current version."),
      picker(node), facts(now),
      before && h("h5", {}, `Changed since version ${before.version}`),
      before && changes(before, now),
      h("h5", {}, `Text of version ${now.version}`), h("pre", { class: "dt-text" }, now.text || "(empty)"),
      now.cut && h("p", { class: "dt-dim" }, "The text is longer; only its beginning is shown."),
      now.data && [h("h5", {}, "Data"), h("pre", { class: "dt-text" }, now.data)]);
  }

  /** @param {History} of */
  function picker(of) {
    const choose = (/** @type {number} */ place) => {
      at = place;
      draw();
      /** @type {HTMLElement | null} */ (el.querySelector('[aria-current="true"]'))?.focus();
    };
    return h("ol", { class: "dt-picker", "aria-label": "Versions" },
      of.left_out > 0 && h("li", { class: "dt-dim" }, `${of.left_out} older`),
      of.versions.map((one, place) => h("li", {}, h("button", {
        type: "button", class: "dt-small", "aria-current": place === at ? "true" : null, onclick: () => choose(place),
      }, `v${one.version}`))));
  }

  draw();
  return {
    el,
    /** The id of the node that is shown, "" for none. */
    id: () => node?.id ?? "",
    /** Its latest version. */
    version: () => node?.versions.at(-1)?.version ?? 0,
    /** Show a node, or say why there is none. @param {History | null} other @param {string} [reason] */
    show(other, reason = "") {
      [node, at, why] = [other, (other?.versions.length ?? 1) - 1, reason];
      draw();
    },
  };
}

/** @param {Version} one */
function facts(one) {
  const made = one.provenance;
  const by = made ? `${made.task}, attempt ${made.attempt}${made.agent && `, ${made.agent}`}, run ${made.run}` : one.owner;
  const rows = [["level", String(one.access)], ["made by", by || "nobody named"], ["at", seconds(one.updated)]];
  return h("dl", { class: "dt-facts" },
    rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    h("dt", {}, "tags"), h("dd", {}, one.tags.length ? h("ul", { class: "dt-tags" }, one.tags.map((tag) => h("li", {}, tag))) : "none"));
}

/** Field by field; the text as what was added and taken away. @param {Version} before @param {Version} now */
function changes(before, now) {
  const plain = Object.entries(now.changes).filter(([name]) => name !== "text");
  const { lines, parts } = textdiff(before.text, now.text);
  const same = parts.every(([sign]) => !sign);
  const words = same ? "The texts differ beyond what is shown." : "";
  return h("div", { class: "dt-changes" },
    !Object.keys(now.changes).length && h("p", { class: "dt-dim" }, "Nothing but its time."),
    plain.map(([name, [old, next]]) =>
      h("p", {}, `${name}: `, h("del", {}, `−${old || "nothing"}`), " ", h("ins", {}, `+${next || "nothing"}`))),
    now.changes.text && (words ? h("p", { class: "dt-dim" }, words) : h("pre", { class: lines ? "dt-text dt-lines" : "dt-text" },
      parts.map(([sign, text]) => sign ? h(sign === "+" ? "ins" : "del", {}, lines ? signed(sign, text) : sign + text)
        : h("span", {}, lines ? signed(" ", text) : text)))));
}

/** Every line with its sign. @param {string} sign @param {string} text */
const signed = (sign, text) => text.replace(/\n$/, "").split("\n").map((line) => `${sign} ${line}\n`).join("");
