// The part of the time that is looked at, and the hands that move it: wheel, pointer, keys.

import { set } from "./dom.js";
import { GUTTER, RIGHT } from "./bars.js";

/**
 * All there is, or a window that is zoomed, moved, or follows the present.
 * @param {() => {start: number, end: number}} model @param {() => number} now
 */
export function timeWindow(model, now) {
  /** @type {{from: number, to: number} | null} */ let frame = null;
  let following = false;
  const span = () => {
    const { start, end } = model(), t = now();
    let { from, to } = frame ?? { from: start, to: end };
    if (following) [from, to] = [Math.max(Math.min(start, t), t - (to - from)), t];
    return to > from ? { from, to } : { from, to: from + 1 };
  };
  return {
    span,
    following: () => following,
    fit() { [frame, following] = [null, false]; },
    follow() { [frame, following] = [span(), !following]; },
    /** @param {number} factor below 1 shows less @param {number} [share] what stays: 0 the left edge, 1 the right (it does while following) */
    zoom(factor, share = 0.5) {
      const { from, to } = span(), { start, end } = model();
      const wide = Math.min(4 * (end - start || 1), Math.max(1e-3, (to - from) * factor));
      const left = from + share * (to - from - wide);
      frame = { from: left, to: left + wide };
    },
    /** @param {number} by to the right, as a share of the window */
    pan(by) {
      const { from, to } = span(), { start, end } = model();
      const step = Math.min(end - from, Math.max(start - to, by * (to - from)));
      [frame, following] = [{ from: from + step, to: to + step }, false];
    },
  };
}

/**
 * Let wheel, pointer and keys move `lens`, and clicks and keys select.
 * @param {any} svg @param {ReturnType<typeof timeWindow>} lens @param {() => void} ask for a new picture
 * @param {(task: string) => void} select @param {(step: number) => void} next
 */
export function steer(svg, lens, ask, select, next) {
  const wide = () => Math.max(1, (Number(svg.getAttribute("width")) || 700) - GUTTER - RIGHT);
  const keys = /** @type {Record<string, () => void>} */ ({
    "+": () => lens.zoom(1 / 1.5), "=": () => lens.zoom(1 / 1.5), "-": () => lens.zoom(1.5), 0: lens.fit,
    ArrowLeft: () => lens.pan(-0.2), ArrowRight: () => lens.pan(0.2), ArrowUp: () => next(-1), ArrowDown: () => next(1),
  });
  set(svg, {
    ...dragged(svg, (by) => { lens.pan(by / wide()); ask(); }, select),
    onwheel(/** @type {WheelEvent} */ event) {
      const across = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
      if (event.ctrlKey || event.metaKey) {
        const share = (event.clientX - svg.getBoundingClientRect().left - GUTTER) / wide();
        lens.zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 200))), Math.max(0, Math.min(1, share)));
      } else if (across && (event.shiftKey || Math.abs(across) > Math.abs(event.deltaY))) lens.pan(across / wide());
      else return; // a plain wheel scrolls the notebook
      event.preventDefault();
      ask();
    },
    onkeydown(/** @type {KeyboardEvent} */ event) {
      if (!Object.hasOwn(keys, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
      keys[event.key]();
      event.preventDefault();
      event.stopPropagation();
      ask();
    },
  });
}

/** Listeners that tell a drag, by pixels, from a click on a task. @param {any} svg @param {(by: number) => void} pan
 * @param {(task: string) => void} select */
function dragged(svg, pan, select) {
  let from = NaN, moved = false;
  return {
    onpointerdown(/** @type {PointerEvent} */ event) { if (event.button === 0) [from, moved] = [event.clientX, false]; },
    onpointermove(/** @type {PointerEvent} */ event) {
      if (!(event.buttons & 1)) from = NaN;
      if (Number.isNaN(from) || (!moved && Math.abs(event.clientX - from) < 4)) return;
      if (!moved) svg.setPointerCapture?.(event.pointerId);
      pan(from - event.clientX);
      [from, moved] = [event.clientX, true];
    },
    onclick(/** @type {MouseEvent} */ event) {
      const bar = /** @type {Element} */ (event.target).closest("[data-task]");
      if (!moved && bar) select(bar.getAttribute("data-task") ?? "");
    },
  };
}
