// A table whose rows are one stop of the tab key: arrows go from row to row, Enter opens one.

/**
 * @param {HTMLElement} body the rows' parent
 * @param {(row: HTMLElement) => void} open
 * @returns {() => void} to be called when rows were made anew
 */
export function roving(body, open) {
  /** @type {HTMLElement | null} */ let at = null;
  /** The row with all that it holds. @param {HTMLElement} row @param {number} index */
  const stops = (row, index) => {
    for (const stop of [row, ...row.querySelectorAll("input, button")]) /** @type {HTMLElement} */ (stop).tabIndex = index;
  };
  const rove = (/** @type {HTMLElement | null} */ to) => {
    if (at) stops(at, -1);
    at = to;
    if (at) stops(at, 0);
  };
  const rowOf = (/** @type {EventTarget | null} */ target) => /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (target).closest("tr"));
  body.addEventListener("focusin", (event) => rove(rowOf(event.target)));
  body.addEventListener("keydown", (event) => {
    const row = rowOf(event.target);
    const to = event.key === "ArrowDown" ? row?.nextElementSibling : event.key === "ArrowUp" ? row?.previousElementSibling : null;
    if (to) /** @type {HTMLElement} */ (to).focus();
    else if (row && event.target === row && (event.key === "Enter" || event.key === " ")) open(row);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const same = (/** @type {any} */ row) => row.dataset.task === at?.dataset.task && row.dataset.event === at?.dataset.event;
  return () => rove(at?.isConnected ? at : /** @type {any} */ ((at && [...body.children].find(same)) ?? body.firstElementChild));
}
