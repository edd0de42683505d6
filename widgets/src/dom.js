// Elements from data. Whatever comes from a run becomes a text node or a property, never markup.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "g", "path", "rect", "line", "circle", "text", "title", "polyline", "clipPath", "defs"]);

/**
 * An element: `h("button", {class: "go", onclick: f, "aria-label": "Go"}, "Go", child)`.
 * Properties starting with "on" are listeners; null, undefined and false are left out.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...any} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const el = SVG_TAGS.has(tag) && tag !== "title" ? document.createElementNS(SVG, tag) : document.createElement(tag);
  set(el, props);
  el.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return el;
}

/** The event that carries an error of a listener up to the panel. */
export const FAULT = "dt-fault";

/** `listener`, whose errors, thrown at once or later, are shown by the panel around `el`.
 * @template {any[]} A @param {Element} el @param {(...args: A) => any} listener @returns {(...args: A) => any} */
export function guarded(el, listener) {
  const failed = (/** @type {any} */ error) => {
    if (!el.isConnected) console.error(error);
    el.dispatchEvent(new CustomEvent(FAULT, { bubbles: true, detail: error }));
  };
  return (...args) => {
    try {
      const made = listener(...args);
      if (typeof made?.catch === "function") made.catch(failed);
      return made;
    } catch (error) {
      failed(error);
    }
  };
}

/** The hover text of an SVG element. @param {string} text @returns {Element} */
export function hover(text) {
  const el = document.createElementNS(SVG, "title");
  el.textContent = text;
  return el;
}

/** Set properties as `h` does. @param {any} el @param {Record<string, any>} props */
export function set(el, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) el.addEventListener(name.slice(2), guarded(el, value));
    else if (name === "value" || name === "checked" || name === "disabled" || name === "hidden") el[name] = value;
    else if (value === null || value === undefined || value === false) el.removeAttribute(name);
    else el.setAttribute(name, value === true ? "" : String(value));
  }
  return el;
}

/** Put `children` in the place of all that `el` holds. @param {Element} el @param {...any} children */
export function fill(el, ...children) {
  el.replaceChildren(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
}

/** Whether two flat lists hold the same. @param {any[]} a @param {any[]} b */
export const same = (a, b) => a.length === b.length && a.every((item, i) => item === b[i]);

/** Seconds for people, as the Python half writes them. @param {number} s */
export function seconds(s) {
  if (!Number.isFinite(s)) return "–";
  if (Math.abs(s) < 60) return `${number(s)} s`;
  const all = Math.round(s), hours = Math.floor(all / 3600), minutes = Math.floor(all / 60) % 60;
  const parts = [[hours, "h"], [minutes, "min"], [hours ? 0 : all % 60, "s"]];
  return parts.filter(([n]) => n).map(([n, unit]) => `${n} ${unit}`).join(" ");
}

/** @type {Intl.NumberFormat[]} one for each number of places: making one is slow */
const formats = [];

/** At most `digits` significant figures, no exponent, no trailing zeros. @param {number} value */
export function number(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const places = value ? Math.max(0, Math.min(9, digits - 1 - Math.floor(Math.log10(Math.abs(value))))) : 0;
  formats[places] ??= new Intl.NumberFormat("en-US", { maximumFractionDigits: places });
  const text = formats[places].format(value);
  return text === "-0" ? "0" : text;
}
