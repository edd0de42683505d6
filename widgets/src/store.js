// What the browser knows of a run, and what it asks of it. Knows nothing of pages: tested without one.

/** @typedef {import("./types").Scene} Scene */
/** @typedef {import("./types").Change} Change */

/** Milliseconds after which a command without an answer is said to wait. */
export const LATE = 500;

/** What may be asked while the past is looked at: all else speaks of the present. */
const PAST = new Set(["at", "fork", "history", "to_python", "trace", "traceback", "manifest", "context_tree", "context_node", "context_query", "context_for"]);

/** @returns {Scene} */
export function emptyScene() {
  return {
    seq: -1, t: 0, rate: 0, version: 0, status: "", standing: "", reason: "", run: "", request: "", clock: "real", total: 0,
    rows: new Map(), attempts: new Map(), agents: [], settings: {}, policies: [], forecast: null, figures: [], drafts: 0, edits: [],
    samples: [], failures: [], calls: [], proposals: [],
  };
}

/** Samples and failures kept at most. */
const KEPT = { samples: 600, failures: 50, calls: 500 };
const PLAIN = ["seq", "t", "rate", "version", "status", "standing", "reason", "run", "request", "clock", "total"];
const WHOLE = ["drafts", "edits", "agents", "settings", "policies", "forecast", "figures", "proposals"];

/**
 * Take `news` into `scene`; the ids of changed tasks (null: all), or undefined when a message is missing.
 * @param {Scene} scene @param {import("./types").News} news @returns {Set<string> | null | undefined}
 */
export function apply(scene, news) {
  if (news.full) Object.assign(scene, emptyScene());
  else if (news.seq !== scene.seq + 1) return undefined;
  const into = /** @type {any} */ (scene), from = /** @type {any} */ (news);
  for (const name of PLAIN) if (from[name] !== undefined) into[name] = from[name];
  for (const name of WHOLE) if (from[name] !== undefined) into[name] = from[name];
  for (const [name, most] of Object.entries(KEPT)) if (from[name]) into[name] = [...into[name], ...from[name]].slice(-most);
  for (const id of news.removals) scene.rows.delete(id);
  for (const row of news.upserts) scene.rows.set(row.id, row);
  for (const attempt of news.attempts) scene.attempts.set(`${attempt.task}#${attempt.attempt}`, attempt);
  return news.full ? null : new Set([...news.upserts.map((row) => row.id), ...news.removals]);
}

const GONE = "The kernel is gone; run the cell again.";
/** @param {string} command @param {string} reason @returns {import("./types").Answer} */
const refused = (command, reason) => ({ kind: "answer", id: "", ok: false, command, call: "", what: "", reason, version: null });

/** The outermost folded group that a task lies in, "" for none.
 * @param {import("./types").Row} row @param {Set<string>} folded */
export const foldedIn = (row, folded) => (folded.size ? row.groups.findLast((group) => folded.has(group)) ?? "" : "");

/** Tasks that `id` waits for, directly or not (or with `down` those that wait for it). */
export function related(/** @type {Map<string, import("./types").Row>} */ rows, /** @type {string} */ id, down = false) {
  /** @type {Map<string, string[]>} */ const next = new Map();
  for (const row of rows.values()) for (const before of row.after) {
    const [from, to] = down ? [before, row.id] : [row.id, before];
    const list = next.get(from);
    if (list) list.push(to); else next.set(from, [to]);
  }
  /** @type {Set<string>} */ const found = new Set();
  const waiting = [id];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    for (const to of next.get(at) ?? []) if (!found.has(to)) { found.add(to); waiting.push(to); }
  }
  return found;
}

/**
 * The one thing all views share: the live scene, a moment of the past where one is looked at, the selection,
 * the filter, the preview, and the commands that wait for an answer. `send` carries an object to the kernel.
 */
export class Store {
  /** @param {(message: object) => void} send @param {() => number} [now] */
  constructor(send, now = () => performance.now()) {
    this.post = send;
    this.now = now;
    this.live = emptyScene();
    /** @type {Scene | null} */ this.past = null;
    /** @type {string} */ this.selected = "";
    /** @type {Set<string>} */ this.near = new Set();
    /** @type {{text: string, state: string, role: string, agent: string, folded: Set<string>}} */
    this.filter = { text: "", state: "", role: "", agent: "", folded: new Set() };
    /** @type {import("./types").Preview | null} */ this.preview = null;
    /** @type {Map<string, {resolve: (answer: any) => void, since: number, command: string, heard: boolean}>} */ this.pending = new Map();
    /** @type {Set<(what: Change) => void>} */ this.watchers = new Set();
    /** @type {import("./types").Answer | null} */ this.said = null;
    /** @type {import("./types").Answer | null} */ this.explained = null;
    /** A form's edit that was previewed, or (without a command) collected.
     * @type {{command: string, args: object, answer: any} | null} */
    this.suggestion = null;
    /** Calls a function when the page has drawn. */
    this.after = (/** @type {() => void} */ then) => then();
    this.heard = { t: 0, at: 0 };
    this.connected = true;
    this.numbers = 0;
    this.face = Math.random().toString(36).slice(2, 10);
  }

  /** What is shown: the past where it is looked at, else the present. */
  get scene() { return this.past ?? this.live; }

  /** @param {(what: Change) => void} watcher @returns {() => void} */
  watch(watcher) {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  /** @param {Partial<Change>} what */
  changed(what) {
    const all = { rows: new Set(), scene: false, selection: false, preview: false, filter: false, ...what };
    for (const watcher of this.watchers) watcher(/** @type {Change} */ (all));
  }

  /** Take a message of the kernel in. @param {any} message */
  receive(message) {
    if (message.kind === "answer") this.answered(message);
    else if (message.kind === "failure") this.fault(message);
    else if (message.kind === "form") this.filled(message);
    else if (message.kind === "heard") {
      const waiting = this.pending.get(message.id);
      if (waiting) waiting.heard = true;
    }
    else if (message.kind === "news") {
      const start = this.now();
      const rows = apply(this.live, message);
      this.heard = { t: this.live.t, at: start };
      if (rows === undefined) return this.post({ id: "", command: "join", args: {} });
      if (this.selected && !this.scene.rows.has(this.selected)) this.select("");
      else if (rows === null || rows.size) this.near = this.around();
      if (!this.past) this.changed({ rows, scene: true });
      else this.changed({ rows: new Set(), scene: false });
      this.after(() => this.post({ id: "", command: "applied", args: { seq: message.seq, ms: this.now() - start } }));
    }
  }

  /**
   * Ask the run for something; resolves with its answer, never rejects. An edit names the version it saw.
   * @param {string} command @param {object} [args] @param {object} [more] mode: "preview" or "draft"
   * @returns {Promise<import("./types").Answer>}
   */
  ask(command, args = {}, more = {}) {
    if (!this.connected) return Promise.resolve(refused(command, GONE));
    if (this.past && !PAST.has(command)) return Promise.resolve(refused(command, "You are looking at the past: go back to the present first (History)."));
    const id = `${this.face}-${++this.numbers}`;
    return new Promise((resolve) => {
      this.pending.set(id, { resolve, since: this.now(), command, heard: false });
      this.post({ id, command, args, base: this.live.version, ...more });
      this.changed({});
    });
  }

  /**
   * Ask for something and say what came of it in the panel's status line.
   * @param {string} command @param {object} [args] @param {object} [more]
   */
  async act(command, args = {}, more = {}) {
    const answer = await this.ask(command, args, more);
    this.tell(answer);
    return answer;
  }

  /** Say, as if the run had, why something is not done. @param {string} reason */
  refuse(reason) { this.tell(refused("", reason)); }

  /** Set a breakpoint before a task, or take away the ones it has. @param {import("./types").Row} row */
  async toggleBreakpoint({ id, breakpoint }) {
    const kinds = breakpoint === "both" ? ["before", "after"] : [breakpoint || "before"];
    for (const when of kinds) await this.act("break_at", { id, when, on: !breakpoint });
    this.changed({ rows: new Set([id]) });
  }

  /** Show what came of something; what was done is remembered as code. @param {import("./types").Answer} answer */
  tell(answer) {
    this.said = answer;
    if (answer.ok && answer.call) this.live.calls = [...this.live.calls, answer.call].slice(-KEPT.calls);
    this.changed({ scene: true });
  }

  /** The kernel is gone: what waits will not be answered. */
  lose() {
    this.connected = false;
    for (const [id, one] of this.pending) this.answered({ ...refused(one.command, GONE), id });
    this.changed({ scene: true });
  }

  /** What came of a form's button. @param {any} message */
  filled({ command, args, mode, answer }) {
    this.count(answer);
    if (mode === "preview") this.suggestion = { command, args, answer };
    else if (mode === "draft" && answer.ok) this.suggestion = { command: "", args: {}, answer };
    if (mode === "preview") this.changed({ scene: true }); else this.tell(answer);
  }

  /** Take in how many edits are collected, and the version that one made. @param {any} answer */
  count(answer) {
    if (typeof answer.drafts === "number") this.live.drafts = answer.drafts;
    if (typeof answer.version === "number") this.live.edits = [...this.live.edits, answer.version].slice(-KEPT.calls);
  }

  /** Show an error of this page, and tell the kernel. @param {any} error @param {string} [task] */
  failed(error, task = "") {
    const message = `${error?.name ?? "Error"}: ${error?.message ?? error}`.slice(0, 1000);
    const details = String(error?.stack ?? "").slice(0, 4000);
    this.fault({ where: "the browser", task, message, details });
    this.post({ id: "", command: "failed", args: { message, details } });
  }

  /** @param {import("./types").Failure} failure */
  fault(failure) {
    this.live.failures = [...this.live.failures, failure].slice(-KEPT.failures);
    this.changed({ scene: true });
  }

  /** @param {import("./types").Answer} answer */
  answered(answer) {
    const waiting = this.pending.get(answer.id);
    this.pending.delete(answer.id);
    this.count(answer);
    waiting?.resolve(answer);
    this.changed({});
  }

  /** Let time pass between two messages. */
  tick() {
    if (!(this.live.rate > 0) || this.past || !this.connected) return;
    this.live.t = this.heard.t + (this.live.rate * (this.now() - this.heard.at)) / 1000;
    this.changed({ scene: true });
  }

  /** Whether the kernel has not even heard a command within `LATE` ms. */
  late() {
    const now = this.now();
    return [...this.pending.values()].some((one) => !one.heard && now - one.since >= LATE);
  }

  /** @param {string} id "" for none */
  select(id) {
    this.selected = id;
    this.near = this.around();
    this.changed({ selection: true });
    this.post({ id: "", command: "select", args: { ids: id ? [id] : [] } });
  }

  /** The selected task with all it waits for and all that waits for it. @returns {Set<string>} */
  around() {
    const { selected: id, scene: { rows } } = this;
    return id ? new Set([...related(rows, id), ...related(rows, id, true), id]) : new Set();
  }

  /** Explain a number: its equation, its operands, its source. @param {string} kind */
  async explain(kind, id = "", to = "") {
    this.explained = await this.ask("explain_number", { kind, id, to });
    this.changed({ scene: true });
  }

  /** @param {Partial<Store["filter"]>} filter */
  narrow(filter) {
    Object.assign(this.filter, filter);
    this.changed({ filter: true });
  }

  /** @param {import("./types").Preview | null} preview */
  try(preview) {
    this.preview = preview;
    this.changed({ preview: true });
  }

  /** Show a moment of the past, or the present again (null). @param {any} moment full news of then */
  show(moment) {
    if (moment) apply(this.past = emptyScene(), moment);
    else this.past = null;
    this.near = this.around();
    this.changed({ rows: null, scene: true, selection: true });
  }

  /** The tasks that the filter lets through, in order; a folded group shows as its first task only. */
  rows() {
    const { text, state, role, agent, folded } = this.filter, wanted = text.toLowerCase(), groups = new Set();
    return [...this.scene.rows.values()].filter((row) =>
      (!wanted || `${row.id} ${row.description}`.toLowerCase().includes(wanted)) &&
      (!state || row.state === state) && (!role || row.role === role) && (!agent || row.agent === agent) && first(foldedIn(row, folded)));

    function first(/** @type {string} */ group) {
      if (!group) return true;
      const known = groups.has(group);
      groups.add(group);
      return !known;
    }
  }
}
