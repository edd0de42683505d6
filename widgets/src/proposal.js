// An edit before it is made: what it would do, and the choice to apply, collect or drop it.
import { fill, h, seconds } from "./dom.js";
import { copyable } from "./controls.js";

/** Milliseconds between two looks of the simulator at the same proposal at least. */
const PACE = 1000;

/** @param {import("./store").Store} store */
export function proposalView(store) {
  const el = h("div", { class: "dt-proposed", role: "region", "aria-label": "Proposed edit", hidden: true });
  /** @type {{command: string, args: object} | null} */ let proposed = null;
  let drafts = 0, tried = { version: -1, at: 0 };
  const button = (/** @type {string} */ name, /** @type {string} */ label, /** @type {() => void} */ act) =>
    h("button", { type: "button", class: "dt-button", "data-proposal": name, onclick: act }, label);

  async function propose(/** @type {string} */ command, /** @type {object} */ args) {
    proposed = { command, args };
    fill(el, "… trying it in the simulator");
    el.hidden = false;
    await look();
  }

  /** Try what is proposed, or else what was collected, from how the run stands now. */
  async function look() {
    const asked = proposed;
    tried = { version: store.live.version, at: store.now() };
    const answer = await (asked ? store.ask(asked.command, asked.args, { mode: "preview" }) : store.ask("preview_drafts"));
    if (proposed !== asked || (!asked && !drafts)) return;
    store.try(answer.data?.accepted ? answer.data : null);
    show(answer);
  }

  function show(/** @type {any} */ answer) {
    const data = answer.data, refused = !answer.ok || !data?.accepted;
    if (refused) fill(el, h("span", { class: "dt-refused", role: "alert" }, `✗ would be refused: ${answer.reason || data?.reason}`), " ", button("drop", "Close", drop));
    else fill(el, h("b", {}, "Would be: "), words(data), " ",
      proposed ? [button("apply", "Apply", apply), button("collect", "Collect", collect)] : null,
      drafts ? button("commit", `Apply ${drafts} collected`, commit) : null, button("drop", "Drop", drop),
      h("details", { open: el.querySelector("details")?.open }, h("summary", {}, "before and after"), h("pre", {}, data.words)), answer.call && copyable(answer.call));
    el.hidden = false;
  }

  async function apply() {
    const { command, args } = /** @type {any} */ (proposed);
    clear();
    await store.act(command, args);
  }

  async function collect() {
    const { command, args } = /** @type {any} */ (proposed);
    const answer = await store.act(command, args, { mode: "draft" });
    if (answer.ok) drafts += 1;
    proposed = null;
    if (drafts) await look(); else clear();
  }

  async function commit() {
    drafts = 0;
    clear();
    await store.act("commit_drafts");
  }

  function drop() {
    if (!proposed && drafts) store.act("drop_drafts");
    if (!proposed) drafts = 0;
    clear();
    if (drafts) look();
  }

  function clear() {
    proposed = null;
    el.hidden = true;
    fill(el);
    store.try(null);
  }

  store.suggested = (command, args, answer) => {
    if (!command) { drafts += 1; proposed = null; look(); return; }
    proposed = { command, args };
    tried = { version: store.live.version, at: store.now() };
    store.try(answer.data?.accepted ? answer.data : null);
    show(answer);
  };
  return {
    el, propose,
    update() { // the run has moved on: what was foreseen is of another moment
      if (!el.hidden && (proposed || drafts) && store.live.version !== tried.version && store.now() - tried.at > PACE) look();
    },
  };
}

/** A preview in a line. @param {import("./types").Preview} preview */
export function words(preview) {
  const gain = preview.gain, changed = gain > 0 ? `${seconds(gain)} sooner` : gain < 0 ? `${seconds(-gain)} later` : "no later, no sooner";
  const path = preview.after.path.join(" → "), old = preview.before.path.join(" → ");
  return [`ends at ${seconds(preview.before.makespan)} → ${seconds(preview.after.makespan)} (${changed})`,
    path === old ? "" : `; critical path becomes ${path.slice(0, 300)}`, preview.reruns.length ? `; runs again: ${preview.reruns.join(", ").slice(0, 300)}` : ""].join("");
}
