// Time travel: any version or event of the run, shown in the whole panel; fork from there; the event table.
import { fill, h, seconds } from "./dom.js";
import { roving } from "./rove.js";

/** Rows of the event table that are drawn at most, the latest. */
const ROWS = 300;
/** Milliseconds between two looks at the events at least. */
const PAUSE = 1000;

let faces = 0;

/** @param {import("./store").Store} store @returns {import("./types").View} */
export function historyView(store) {
  const slider = h("input", { type: "range", min: 0, max: 0, value: 0, class: "dt-slider", "aria-label": "Event of the run", oninput: () => go(Number(slider.value)) });
  const where = h("output", {}), versions = h("datalist", { id: `dt-versions-${store.face}-${(faces += 1)}` });
  slider.setAttribute("list", versions.id);
  let marked = /** @type {number[]} */ ([]);
  const button = (/** @type {string} */ name, /** @type {string} */ label, /** @type {() => void} */ act) => h("button", { type: "button", class: "dt-button", "data-history": name, onclick: act }, label);
  const fork = button("fork", "Fork a new run from here", async () => {
    const version = store.past?.version;
    await store.act("fork", version === undefined ? {} : { version });
  });
  const body = h("tbody"), note = h("p", { class: "dt-soft" });
  const el = h("div", { class: "dt-history" },
    h("div", { class: "dt-buttons" }, button("back", "◂", () => go(at() - 1)), slider, button("on", "▸", () => go(at() + 1)), versions, button("now", "Back to the present", () => leave()), fork, where),
    note, h("div", { class: "dt-table", tabindex: 0, role: "region", "aria-label": "Events" }, h("table", {}, h("thead", {}, h("tr", {}, ["event", "time", "by", "what", "consequence"].map((name) => h("th", { scope: "col" }, name)))), body)));
  let busy = false, turn = 0, wanted = /** @type {number | null} */ (null), known = -1, loaded = -PAUSE, loading = false;

  const at = () => (store.past ? Number(slider.value) : store.live.version - 1);

  async function go(/** @type {number} */ version) {
    const last = Math.max(0, store.live.version - 1);
    wanted = Math.max(0, Math.min(version, last));
    slider.value = String(wanted);
    if (busy) return;
    busy = true;
    while (wanted !== null) {
      const asked = /** @type {number} */ (wanted);
      wanted = null;
      const began = turn, answer = await store.ask("at", { version: asked });
      if (began !== turn) continue; // back in the present meanwhile
      if (!answer.ok) store.tell(answer);
      else if (answer.data) store.show({ ...answer.data, version: asked, clock: store.live.clock, policies: store.live.policies });
      fill(where, `event ${asked} of ${store.live.version - 1}`, answer.data ? `, ${seconds(answer.data.t)}` : "");
    }
    busy = false;
    mark();
  }

  function leave() {
    turn += 1;
    wanted = null;
    store.show(null);
    fill(where);
    slider.value = slider.max;
    mark();
  }

  const settle = roving(body, (row) => go(Number(row.dataset.event)));

  async function load() {
    if (loading || known === store.live.version || store.now() - loaded < PAUSE) return;
    loading = true;
    loaded = store.now();
    known = store.live.version;
    const answer = await store.ask("history");
    loading = false;
    if (!answer.ok) return fill(note, h("span", { class: "dt-refused" }, answer.reason));
    const { rows, total } = answer.data, last = rows.slice(-ROWS);
    fill(note, last.length < total ? `showing the last ${last.length} of ${total.toLocaleString("en")} events` : "");
    fill(body, last.map((/** @type {any} */ row) => h("tr", { tabindex: -1, "data-event": row.seq, title: "Show the run as it was then", onclick: () => go(row.seq) },
      h("th", { scope: "row" }, String(row.seq)), h("td", {}, seconds(Math.round(row.t * 1e4) / 1e4)), h("td", {}, h("bdi", {}, row.by)), h("td", {}, h("bdi", {}, row.what)), h("td", {}, h("bdi", {}, row.consequence)))));
    settle();
    mark();
  }

  function mark() {
    for (const tr of body.children) tr.setAttribute("aria-selected", String(store.past !== null && Number(/** @type {HTMLElement} */ (tr).dataset.event) === Number(slider.value)));
  }

  return {
    el,
    update() {
      slider.max = String(Math.max(0, store.live.version - 1));
      if (marked !== store.live.edits) fill(versions, store.live.edits.map((edit) => h("option", { value: edit })));
      marked = store.live.edits;
      if (!store.past) slider.value = slider.max;
      if (el.offsetParent !== null) load().catch((error) => store.failed(error));
    },
  };
}
