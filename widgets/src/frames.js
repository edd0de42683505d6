// When views draw: at most once a frame, and only while someone can see them.

/**
 * `ask` asks for a `draw`; `stop` ends it. A view that comes into sight or changes its width asks by itself.
 * @param {HTMLElement} el @param {() => void} draw @param {() => boolean} [seen]
 */
export function frames(el, draw, seen = () => el.offsetParent !== null) {
  let asked = 0, width = el.clientWidth;
  const paint = () => {
    asked = 0;
    if (seen()) draw();
  };
  const ask = () => {
    if (!asked && seen()) asked = requestAnimationFrame(paint);
  };
  const sized = () => {
    if (el.clientWidth !== width) ask();
    width = el.clientWidth;
  };
  const observer = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(sized);
  observer?.observe(el);
  return {
    ask,
    stop() {
      cancelAnimationFrame(asked);
      observer?.disconnect();
    },
  };
}
