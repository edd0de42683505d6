// The controls of a run, what came of the last one, and where the run stands.
import { fill, h, seconds } from "./dom.js";

/** Name, label, command, arguments, tip, whether it makes sense. */
const CONTROLS = [
  ["pause", "Pause", "pause", {}, "Start nothing new; what runs may finish", "running"],
  ["hard", "Stop and pause", "pause", { hard: true }, "Pause, stop what runs and queue it again", "live"],
  ["step", "Step", "step", {}, "Pause, and start the one task that is next", "live"],
  ["completion", "Step to completion", "step", { until: "completion" }, "Go on until a task ends", "live"],
  ["resume", "▶ Resume", "resume", {}, "Start tasks again", "paused"],
  ["undo", "↶ Undo", "undo", {}, "Take your last edit back", "any"],
  ["redo", "↷ Redo", "redo", {}, "Make the edit again that was taken back", "any"],
  ["cancel", "✕ Cancel the run", "cancel", {}, "Stop everything", "live"],
];
const LIVE = new Set(["planning", "running", "paused"]);

/** @param {import("./store").Store} store @param {import("./types").Face} face @returns {import("./types").View} */
export function controlsView(store, face) {
  const standing = h("div", { class: "dt-standing" });
  const said = h("div", { class: "dt-note", role: "status", "aria-live": "polite" });
  const waiting = h("span", { class: "dt-waiting" });
  const buttons = CONTROLS.map(([name, label, command, args, tip, when]) => ({
    when, command,
    el: h("button", { type: "button", class: name === "cancel" ? "dt-button dt-danger" : "dt-button", title: tip, "data-command": name, onclick: () => press(String(command), /** @type {object} */ (args)) }, label),
  }));
  const policy = h("select", { "aria-label": "Priority policy", title: "Priority policy", "data-command": "policy", onchange: () => store.act("configure", { policy: policy.value }) });
  const awm = h("select", { "aria-label": "Workflow manager", title: "Workflow manager (AWM)", "data-command": "awm", onchange: () => store.act("configure", { awm: awm.value }) },
    ["off", "advise", "auto"].map((mode) => h("option", { value: mode }, `AWM ${mode}`)));
  const until = h("input", { class: "dt-until", placeholder: "task or seconds", "aria-label": "Run until: a task, or seconds", onkeydown: (/** @type {KeyboardEvent} */ event) => { if (event.key === "Enter") runUntil(); } });
  const speed = h("input", { type: "number", class: "dt-speed", min: 0.1, step: "any", value: 1, "aria-label": "Simulated seconds a second" });
  const virtual = h("span", { class: "dt-group", hidden: true },
    h("button", { type: "button", class: "dt-button", "data-command": "play", title: "Let virtual time pass", onclick: () => store.act("play", { speed: Number(speed.value) }) }, "▶ Play at"),
    speed, "s/s");
  const bar = h("div", { class: "dt-buttons", role: "toolbar", "aria-label": "Controls" },
    buttons.map((button) => button.el), virtual,
    h("span", { class: "dt-group" }, h("button", { type: "button", class: "dt-button", "data-command": "until", title: "Go on until a task has ended, or (virtual clock) a time", onclick: runUntil }, "Run until"), until),
    policy, awm);
  const el = h("div", { class: "dt-controls" }, standing, bar, h("div", { class: "dt-said" }, waiting, " ", said));

  function runUntil() {
    const text = until.value.trim();
    store.act("run_until", text ? { point: store.live.rows.has(text) || !Number.isFinite(Number(text)) ? text : Number(text) } : {});
  }
  function press(/** @type {string} */ command, /** @type {object} */ args) {
    store.act(command, args);
  }
  const busy = () => {
    const asked = [...store.pending.values()].map((one) => one.command);
    const late = store.late() ? ": queued, the kernel is busy" : "";
    fill(waiting, asked.length ? `… ${[...new Set(asked)].join(", ")}${late}` : "");
    for (const { el: button, command } of buttons) button.classList.toggle("dt-pending", asked.includes(String(command)));
  };
  const timer = setInterval(busy, 100);

  const place = { gone: h("b", { class: "dt-refused", role: "alert" }), past: h("b", { class: "dt-past" }), status: h("b"), counts: h("span"), reason: h("div", { class: "dt-reason" }), proposals: h("div") };
  const end = h("button", { type: "button", class: "dt-number", "data-number": "expected end", title: "Explain this number", onclick: () => face.explain("expected end") });
  standing.append(place.gone, place.past, place.status, " ", place.counts, end, place.reason, place.proposals);
  let proposed = "", told = /** @type {any} */ (null);

  /** Change the words alone: what is pressed or read aloud stays where it is. */
  function words() {
    const { live, past, scene } = store, foretold = live.forecast && !past && LIVE.has(live.status);
    say(place.gone, store.connected ? "" : "The kernel is gone: this is the last that was heard of the run. Run the cell again. ");
    say(place.past, past ? `as it was at event ${past.version}, ${seconds(past.t)} ` : "");
    say(place.status, scene.status);
    say(place.counts, scene.standing.replace(`${scene.status} · `, "") + (foretold ? " · " : ""));
    end.hidden = !foretold;
    say(end, foretold ? `expected end ${seconds(expectedEnd(live))}` : "");
    say(place.reason, scene.reason);
    place.reason.hidden = !scene.reason;
    const stamp = JSON.stringify(past ? [] : live.proposals);
    if (stamp !== proposed) fill(place.proposals, (past ? [] : live.proposals).map((one) => h("div", { class: "dt-proposal" }, `The AWM proposes: ${one.name} (${seconds(one.gain)} sooner). ${one.reason} `,
      h("button", { type: "button", class: "dt-button", "data-command": "accept", onclick: () => store.act("accept", { number: one.number }) }, "Accept"))));
    proposed = stamp;
  }

  return {
    el,
    update(what) {
      busy();
      if (what.scene || what.rows === null || what.rows.size) words();
      const live = store.live, running = LIVE.has(live.status);
      for (const { el: button, when } of buttons)
        button.disabled = !store.connected || (when === "running" ? live.status !== "running" && live.status !== "planning" : when === "paused" ? live.status !== "paused" : when === "live" && !running);
      virtual.hidden = live.clock !== "virtual";
      if (live.policies.length && policy.options.length !== live.policies.length) fill(policy, live.policies.map((name) => h("option", { value: name }, name)));
      if (document.activeElement !== policy && live.settings.policy) policy.value = live.settings.policy;
      if (document.activeElement !== awm && live.settings.awm) awm.value = live.settings.awm;
      const answer = store.said;
      if (answer === told) return;
      told = answer;
      fill(said, answer && [
        h("span", { class: answer.ok ? "dt-made" : "dt-refused" }, answer.ok ? "✓ " : "✗ refused: "),
        h("bdi", { class: "dt-lines" }, answer.ok ? answer.what : answer.reason), answer.version !== null && answer.version !== undefined && answer.ok ? ` (version ${answer.version}) ` : " ",
        answer.call && copyable(answer.call)]);
    },
    destroy() { clearInterval(timer); },
  };
}

/** @param {HTMLElement} el @param {string} text */
const say = (el, text) => { if (el.textContent !== text) el.textContent = text; };

/** Seconds: as foretold; later by as long as the run stands still, and never before now.
 * @param {import("./types").Scene} scene */
function expectedEnd({ forecast, status, t }) {
  const waited = status === "paused" ? Math.max(0, t - (forecast?.t ?? t)) : 0;
  return Math.max(t, (forecast?.makespan ?? 0) + waited);
}

/** Code with a button that copies it. @param {string} code */
export function copyable(code) {
  const button = h("button", { type: "button", class: "dt-copy", title: "Copy this code", onclick: async () => {
    try {
      await navigator.clipboard.writeText(code);
      button.textContent = "copied";
    } catch {
      button.textContent = "select and copy it by hand";
    }
  } }, "copy");
  return h("span", { class: "dt-code" }, h("code", {}, code), button);
}
