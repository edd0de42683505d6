/** What the kernel and the browser tell each other. Python's half: dyntaskmas_nb/ui/{scene,bridge,inbox}.py. */

export interface Node {
  id: string; label: string; title: string; shape: string; size: number; x: number; y: number;
  color: Record<string, unknown>; borderWidth: number; shapeProperties: Record<string, unknown>;
  state: string; critical: boolean;
}
export interface Edge {
  from: string; to: string; label: string; title: string; width: number; color: string; critical: boolean;
}
/** One task. `edges` lead to it; `breakpoint` is "", "before", "after" or "both";
 * `groups` are the tasks that it was expanded from, the nearest first. */
export interface Row {
  id: string; description: string; role: string; complexity: number; boost: number; critical: boolean;
  timeout: number | null; attempts: number; resources: string[]; join: string; approval: boolean;
  state: string; mark: string; colour: string; priority: number; attempt: number; agent: string; reason: string;
  result: string; layer: number; breakpoint: string; groups: string[];
  after: string[]; node: Node; edges: Edge[];
}
/** One attempt on the timeline, in seconds; `end` is null while it runs. Its key is `task#attempt`. */
export interface Attempt {
  task: string; attempt: number; agent: string; start: number; end: number | null; outcome: string;
}
export interface Agent {
  id: string; roles: string[]; slots: number; running: string[]; completed: number; busy: number; access: number;
}
/** What the simulator expects: attempts still to come, the critical path, when all ends. */
export interface Forecast {
  makespan: number; path: string[]; order: string[]; attempts: Attempt[]; tokens: number; cost: number;
  /** As of when, in seconds; and the slack of each task: not in a preview. */
  t?: number; slack?: Record<string, number>;
}
/** One figure of M(t) with its definition; `at` names its agent or role, "" for the run. */
export interface Figure {
  scope: string; at: string; name: string; value: number | null; unit: string; shown: string; meaning: string;
}
/** Figures at one time, for the charts: by name, `agent:NAME` for the utilisation of one. */
export interface Sample { t: number; values: Record<string, number | null>; }
export interface Failure { where: string; task: string; message: string; details: string; }

/** What changed since message `seq` - 1, or all there is (`full`). */
export interface News {
  /** `rate`: seconds of the run that pass in one second until the next message. */
  kind: "news"; seq: number; full: boolean; t: number; rate: number; version: number; status: string; standing: string;
  reason: string; run: string; request: string; clock: string; upserts: Row[]; removals: string[];
  attempts: Attempt[]; agents?: Agent[]; settings?: Record<string, unknown>; policies?: string[];
  forecast?: Forecast | null; figures?: Figure[]; samples?: Sample[]; failures?: Failure[]; calls?: string[];
  total: number; proposals?: Proposal[];
  /** How many edits are collected; the events that are versions, for the slider. */
  drafts?: number; edits?: number[];
}
export interface Proposal { number: number; name: string; gain: number; reason: string; }
/** What became of command `id`; `call` is the Python that does the same; `data` answers a question. */
export interface Answer {
  kind: "answer"; id: string; ok: boolean; command?: string; drafts?: number; call: string; what: string; reason: string; version: number | null;
  data?: any;
}
/** A change tried out: `accepted`, or why not; ghosts are what it adds and removes. */
export interface Preview {
  accepted: boolean; reason: string; gain: number; words: string; before: Forecast; after: Forecast;
  nodes: Node[]; edges: Edge[]; gone: string[]; goneEdges: [string, string][]; reruns: string[];
}
export type Message = News | Answer;

/** One moment of a run as the panel shows it. */
export interface Scene {
  seq: number; t: number; rate: number; version: number; status: string; standing: string; reason: string; run: string;
  request: string; clock: string; total: number; rows: Map<string, Row>; attempts: Map<string, Attempt>;
  agents: Agent[]; settings: Record<string, any>; policies: string[]; forecast: Forecast | null;
  figures: Figure[]; samples: Sample[]; failures: Failure[]; calls: string[]; proposals: Proposal[]; drafts: number; edits: number[];
}
/** What a view may ask of the panel around it. */
export interface Face {
  propose(command: string, args: object): void; explain(kind: string, id?: string, to?: string): unknown; turn(tab: string): void;
}
/** A part of the panel: `el` is put into the page, `update` is called when what it shows has changed. */
export interface View { el: HTMLElement; update(what: Change): void; destroy?(): void; }
/** What changed: `rows` are the ids of changed tasks (null: all of them). */
export interface Change {
  rows: Set<string> | null; scene: boolean; selection: boolean; preview: boolean; filter: boolean;
}
