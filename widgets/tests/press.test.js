// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import press from "../src/press.js";
import { LATE } from "../src/store.js";

/** A model as anywidget gives it, with two buttons; `tell` has its listeners hear something. */
function model() {
  const listeners = new Map();
  return {
    sent: [],
    get: () => [["apply", "Apply", "now"], ["preview", "Preview", ""]],
    send(content) { this.sent.push(content); },
    on: (name, listener) => listeners.set(name, [...(listeners.get(name) ?? []), listener]),
    off: (name, listener) => listeners.set(name, (listeners.get(name) ?? []).filter((one) => one !== listener)),
    tell: (name, ...said) => (listeners.get(name) ?? []).forEach((listener) => listener(...said)),
  };
}

let shared, widget;

function view() {
  const el = document.createElement("div");
  const destroy = widget.render({ model: shared, el });
  const buttons = [...el.querySelectorAll("button")];
  return { buttons, destroy, disabled: () => buttons.map((button) => button.disabled), says: () => el.querySelector("[role=status]").textContent };
}

beforeEach(() => {
  vi.useFakeTimers();
  shared = model();
  widget = press();
  widget.initialize({ model: shared });
});
afterEach(() => vi.useRealTimers());

test("a press is pending, then queued, then answered, in its own view alone", () => {
  const [one, other] = [view(), view()];
  one.buttons[0].click();
  expect([one.says(), one.disabled(), other.disabled()]).toEqual(["… Apply", [true, true], [false, false]]);
  vi.advanceTimersByTime(LATE);
  expect(one.says()).toContain("queued, the kernel is busy");
  const [{ id, name }] = shared.sent;
  expect(name).toBe("apply");
  shared.tell("msg:custom", { id: "another", ok: true, text: "no", call: "" });
  expect(one.disabled()).toEqual([true, true]);
  shared.tell("msg:custom", { id, ok: false, text: "<b>no</b>", call: "run.f()" });
  expect([one.says(), one.disabled(), other.says()]).toEqual(["✗ refused: <b>no</b>run.f()", [false, false], ""]);
});

test("where the kernel is gone it says so, at once and at every press", () => {
  const one = view();
  one.buttons[0].click();
  shared.tell("comm_live_update");
  expect([one.says(), one.disabled()]).toEqual(["✗ the kernel is gone; run the cell again", [false, false]]);
  vi.advanceTimersByTime(LATE);
  one.buttons[1].click();
  expect([one.says(), one.disabled(), shared.sent.length]).toEqual(["✗ the kernel is gone; run the cell again", [false, false], 1]);
  expect(view().says()).toContain("gone");
});

test("a view that was taken away hears nothing", () => {
  const one = view();
  one.buttons[0].click();
  one.destroy();
  shared.tell("comm_live_update");
  vi.advanceTimersByTime(LATE);
  expect(one.says()).toBe("… Apply");
});
