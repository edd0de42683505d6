// A row of buttons for a form: pending at once, "queued" when the kernel is busy, then what came of it.
import { h, fill } from "./dom.js";
import { LATE } from "./store.js";

const GONE = "the kernel is gone; run the cell again";

export default () => {
  let gone = false;

  /** @param {{model: any}} context */
  function initialize({ model }) {
    model.on("comm_live_update", () => { gone = !(model.comm_live ?? false); });
  }

  /** @param {{model: any, el: HTMLElement}} context */
  function render({ model, el }) {
    const face = Math.random().toString(36).slice(2, 10);
    let count = 0, waiting = "", timer = 0;
    const note = h("div", { role: "status", class: "dt-note" });
    const buttons = model.get("buttons").map((/** @type {string[]} */ [name, label, tip]) =>
      h("button", { type: "button", class: "dt-button", title: tip, "data-press": name, onclick: () => press(name, label) }, label));

    /** No press is under way any more; this is what there is to say. */
    function settle(/** @type {any[]} */ ...said) {
      window.clearTimeout(timer);
      waiting = "";
      for (const button of buttons) button.disabled = false;
      fill(note, ...said);
    }
    const lose = () => { if (gone) settle(h("span", { class: "dt-refused" }, "✗ "), GONE); };

    function press(/** @type {string} */ name, /** @type {string} */ label) {
      if (gone) return lose();
      waiting = `${face}-${++count}`;
      for (const button of buttons) button.disabled = true;
      fill(note, `… ${label}`);
      timer = window.setTimeout(() => fill(note, `… ${label}: queued, the kernel is busy`), LATE);
      model.send({ id: waiting, name });
    }
    const hear = (/** @type {any} */ answer) => {
      if (answer.id !== waiting) return;
      settle(h("span", { class: answer.ok ? "dt-made" : "dt-refused" }, answer.ok ? "✓ " : "✗ refused: "),
        h("bdi", { class: "dt-lines" }, answer.text), answer.call && h("code", {}, answer.call));
    };
    model.on("msg:custom", hear);
    model.on("comm_live_update", lose);
    el.classList.add("dyntask-press");
    el.append(h("div", { class: "dt-buttons" }, buttons), note);
    lose();
    return () => {
      model.off("msg:custom", hear);
      model.off("comm_live_update", lose);
      window.clearTimeout(timer);
    };
  }

  return { initialize, render };
};
