// @vitest-environment happy-dom
import { beforeEach, expect, test } from "vitest";
import { h } from "../src/dom.js";
import { roving } from "../src/rove.js";

let body, opened, settle;
const row = (id) => h("tr", { id, "data-task": id, tabindex: -1 }, h("td", {}, h("button", { tabindex: -1 }, id)));
const stops = () => [...body.querySelectorAll("tr, button")].filter((el) => el.tabIndex === 0).map((el) => el.id || `button ${el.textContent}`);
const key = (name, on = document.activeElement) => on.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));

beforeEach(() => {
  opened = [];
  body = h("tbody", {}, row("a"), row("b"), row("c"));
  document.body.replaceChildren(h("table", {}, body));
  settle = roving(body, (tr) => opened.push(tr.id));
  settle();
});

test("one row, with what it holds, is a stop of the tab key", () => {
  expect(stops()).toEqual(["a", "button a"]);
  body.children[1].focus();
  expect(stops()).toEqual(["b", "button b"]);
});

test("arrows go from row to row, and stay inside", () => {
  body.children[0].focus();
  key("ArrowDown");
  key("ArrowDown");
  key("ArrowDown");
  expect(document.activeElement.id).toBe("c");
  key("ArrowUp");
  expect(stops()).toEqual(["b", "button b"]);
});

test("Enter opens a row, not from a button in it", () => {
  body.children[1].focus();
  key("Enter");
  key("Enter", body.querySelector("button"));
  expect(opened).toEqual(["b"]);
});

test("a row made anew stays the stop", () => {
  body.children[1].focus();
  body.children[1].replaceWith(row("b"));
  settle();
  expect(stops()).toEqual(["b", "button b"]);
});

test("when the rows are made anew the first is the stop", () => {
  body.children[1].focus();
  body.replaceChildren(row("x"), row("y"));
  settle();
  expect(stops()).toEqual(["x", "button x"]);
});
