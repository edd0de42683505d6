// A row of buttons for a form: pending at once, "queued" when the kernel is busy, then what came of it.
import { h, fill } from "./dom.js";
import { LATE } from "./store.js";

/** @param {{model: any, el: HTMLElement}} context */
function render({ model, el }) {
  const face = Math.random().toString(36).slice(2, 10);
  let count = 0, waiting = "", timer = 0;
  const note = h("div", { role: "status", class: "dt-note" });
  const buttons = model.get("buttons").map((/** @type {string[]} */ [name, label, tip]) =>
    h("button", { type: "button", class: "dt-button", title: tip, "data-press": name, onclick: () => press(name, label) }, label));

  function press(/** @type {string} */ name, /** @type {string} */ label) {
    waiting = `${face}-${++count}`;
    for (const button of buttons) button.disabled = true;
    fill(note, `… ${label}`);
    timer = window.setTimeout(() => fill(note, `… ${label}: queued, the kernel is busy`), LATE);
    model.send({ id: waiting, name });
  }
  const hear = (/** @type {any} */ answer) => {
    if (answer.id !== waiting) return;
    window.clearTimeout(timer);
    for (const button of buttons) button.disabled = false;
    fill(note, h("span", { class: answer.ok ? "dt-made" : "dt-refused" }, answer.ok ? "✓ " : "✗ refused: "),
      h("bdi", { class: "dt-lines" }, answer.text), answer.call && h("code", {}, answer.call));
  };
  model.on("msg:custom", hear);
  el.classList.add("dyntask-press");
  el.append(h("div", { class: "dt-buttons" }, buttons), note);
  return () => { model.off("msg:custom", hear); window.clearTimeout(timer); };
}

export default { render };
