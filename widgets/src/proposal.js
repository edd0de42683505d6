// An edit before it is made: what it would do, and the choice to apply, collect or drop it.
import { fill, h, seconds } from "./dom.js";
import { copyable } from "./controls.js";

/** Milliseconds between two looks of the simulator at the same proposal at least. */
const PACE = 1000;

/** @param {import("./store").Store} store */
export function proposalView(store) {
  const el = h("div", { class: "dt-proposed", role: "region", "aria-label": "Proposed edit", hidden: true });
  /** @type {{command: string, args: object} | null} */ let proposed = null;
  let tried = { version: -1, at: 0 }, taken = store.suggestion;
  const button = (/** @type {string} */ name, /** @type {string} */ label, /** @type {() => any} */ act) =>
    h("button", { type: "button", class: "dt-button", "data-proposal": name, onclick: act }, label);

  function propose(/** @type {string} */ command, /** @type {object} */ args) {
    proposed = { command, args };
    fill(el, "… trying it in the simulator");
    el.hidden = false;
    return look();
  }

  /** Try what is proposed, or else what was collected, from how the run stands now. */
  async function look() {
    const asked = proposed;
    tried = { version: store.live.version, at: store.now() };
    const answer = await (asked ? store.ask(asked.command, asked.args, { mode: "preview" }) : store.ask("preview_drafts"));
    if (proposed === asked && (asked || store.live.drafts)) show(answer);
  }

  function show(/** @type {any} */ answer) {
    const data = answer.data, refused = !answer.ok || !data?.accepted, drafts = store.live.drafts, open = el.querySelector("details")?.open;
    store.try(refused ? null : data);
    fill(el, refused ? h("span", { class: "dt-refused", role: "alert" }, `✗ would be refused: ${answer.reason || data?.reason} `) : [h("b", {}, "Would be: "), words(data), " "],
      proposed && !refused ? [button("apply", "Apply", apply), button("collect", "Collect", collect)] : null,
      !proposed && drafts && !refused ? button("commit", `Apply ${drafts} collected`, commit) : null,
      button("drop", proposed ? "Drop" : `Drop ${drafts} collected`, drop),
      refused ? null : h("details", { open }, h("summary", {}, "before and after"), h("pre", {}, data.words)), answer.call && copyable(answer.call));
    el.hidden = false;
  }

  /** Take the proposal, so that a second click finds none; `base` is the version that it was tried against. */
  function take() {
    const { command, args } = /** @type {any} */ (proposed), base = tried.version;
    proposed = null;
    hide();
    return /** @type {[string, object, object]} */ ([command, args, { base }]);
  }
  const apply = () => proposed && store.act(...take()).then(rest);

  async function collect() {
    if (!proposed) return;
    const [command, args, more] = take();
    await store.act(command, args, { ...more, mode: "draft" });
    await rest();
  }

  async function commit() {
    hide();
    await store.act("commit_drafts");
    await rest();
  }

  async function drop() {
    if (!proposed) await store.act("drop_drafts");
    proposed = null;
    hide();
    await rest();
  }

  /** Show what is still collected, if anything is. */
  const rest = async () => { if (store.live.drafts && !proposed) await look(); };

  function hide() {
    el.hidden = true;
    fill(el);
    store.try(null);
  }

  return {
    el, propose,
    update() {
      const suggestion = store.suggestion;
      if (suggestion !== taken) { // by a form
        taken = suggestion;
        proposed = suggestion?.command ? { command: suggestion.command, args: suggestion.args } : null;
        tried = { version: store.live.version, at: store.now() };
        if (proposed) queueMicrotask(() => show(suggestion?.answer)); else look();
      } else if (!store.past && (proposed || store.live.drafts) && (el.hidden || store.live.version !== tried.version) && store.now() - tried.at > PACE) look();
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
