import { expect, test } from "vitest";
import { ends, ghosts, going, grouped, named, picture } from "../src/picture.js";

const theme = { ink: "#111111", paper: "#ffffff", accent: "#2b8cd6" };
const node = (id) => ({ id, label: id, title: id, shape: "dot", size: 12, x: 1, y: 2, color: { background: "#0c8f6b", border: "#0c8f6b" }, borderWidth: 1.5, shapeProperties: {}, state: "done", critical: false });
const edge = (from, to) => ({ from, to, label: "1 s", title: "", width: 1, color: "#888888", critical: false });
const row = (id, after = [], group = "") => ({ id, groups: group ? group.split("<") : [], state: "done", node: node(id), edges: after.map((from) => edge(from, id)), after });

function draw(rows, more = {}) {
  const known = new Map(rows.map((one) => [one.id, one]));
  return picture(rows, { folded: new Set(), near: new Set(), selected: "", theme, fade: () => false, known: (id) => known.get(id), ...more });
}

test("every task and dependency is drawn once, names of every kind apart", () => {
  const { nodes, edges } = draw([row("a"), row("__proto__", ["a"]), row("1:t:a", ["a", "__proto__"])]);
  expect([...nodes.keys()]).toEqual(["t:a", "t:__proto__", "t:1:t:a"]);
  expect(edges.size).toBe(3);
  expect([...edges.keys()].map(ends)).toContainEqual({ before: "__proto__", after: "1:t:a" });
});

test("an edge from a task that is not shown is left out", () => {
  expect(draw([row("b", ["elsewhere"])]).edges.size).toBe(0);
});

test("only the rows asked for are drawn anew", () => {
  const { nodes, edges } = draw([row("a"), row("b", ["a"]), row("c", ["b"])], { only: new Set(["b"]) });
  expect([...nodes.keys()]).toEqual(["t:b"]);
  expect([...edges.values()].map((one) => one.to)).toEqual(["t:b"]);
});

test("what is not near the selection, or not let through, is faint", () => {
  const { nodes } = draw([row("a"), row("b"), row("c")], { near: new Set(["a", "b"]), selected: "a", fade: (id) => id === "b" });
  expect([...nodes.values()].map((one) => one.opacity < 1)).toEqual([false, true, true]);
  expect(nodes.get("t:a").color.border).toBe(theme.accent);
});

test("a folded group is one node, and its inner edges are gone", () => {
  const { nodes, edges } = draw([row("a"), row("g1", ["a"], "g"), row("g2", ["g1"], "g"), row("z", ["g2"])], { folded: new Set(["g"]) });
  expect([...nodes.keys()]).toEqual(["t:a", grouped("g"), "t:z"]);
  expect([...edges.values()].map((one) => [one.from, one.to])).toEqual([["t:a", "g:g"], ["g:g", "t:z"]]);
  expect(nodes.get("g:g").label).toContain("2 of 2 done");
});

test("a group within a folded one is folded with it", () => {
  const { nodes } = draw([row("b1", [], "b"), row("x", ["b1"], "b1<b"), row("z", ["x"])], { folded: new Set(["b"]) });
  expect([...nodes.keys()]).toEqual([grouped("b"), "t:z"]);
});

test("ghosts hang on the tasks that are there, and on each other", () => {
  const preview = { nodes: [node("new")], edges: [edge("a", "new"), edge("new", "z"), edge("a", "z")], gone: ["old"], goneEdges: [["a", "old"]] };
  const made = ghosts(preview, theme);
  expect(made.edges.map((one) => [one.from, one.to])).toEqual([["t:a", "ghost:new"], ["ghost:new", "t:z"], ["t:a", "t:z"]]);
  expect(ends(made.edges[0].id)).toBeNull();
  const gone = going(preview), drawn = draw([row("a"), row("old", ["a"])]);
  expect([...gone.nodes]).toEqual([named("old")]);
  expect([...drawn.edges.keys()]).toEqual([...gone.edges]);
});
