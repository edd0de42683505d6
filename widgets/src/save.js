// Files that the browser hands to its user: made in the page, nothing is fetched.

/** @param {string} name @param {string} text @param {string} type */
export function save(name, text, type) {
  const link = document.createElement("a"), address = URL.createObjectURL(new Blob([text], { type }));
  link.href = address;
  link.download = name.replace(/[^\w.-]+/g, "_").slice(0, 100);
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** `svg` as a file that stands alone: the page's ink, paper and font written in. @param {SVGElement} svg */
export function standalone(svg) {
  const style = getComputedStyle(svg), ink = style.color || "#000";
  const paper = style.getPropertyValue("--jp-layout-color1").trim() || "#fff";
  const copy = /** @type {SVGElement} */ (svg.cloneNode(true));
  const width = copy.getAttribute("width") ?? "700", height = copy.getAttribute("height") ?? "300";
  for (const el of copy.querySelectorAll("*")) for (const name of ["fill", "stroke"]) {
    if (el.getAttribute(name) === "currentColor") el.setAttribute(name, ink);
  }
  const ground = document.createElementNS(copy.namespaceURI, "rect");
  for (const [name, value] of [["width", width], ["height", height], ["fill", paper]]) ground.setAttribute(name, value);
  copy.prepend(ground);
  for (const name of ["class", "tabindex"]) copy.removeAttribute(name);
  copy.setAttribute("viewBox", `0 0 ${width} ${height}`);
  copy.setAttribute("font-family", "system-ui, sans-serif");
  copy.setAttribute("fill", ink);
  return new XMLSerializer().serializeToString(copy);
}
