"""The fixed parts of the HTML faces: style sheets, script and legend. No data enters here."""

from __future__ import annotations

from dyntaskmas_nb.core.task import TaskState
from dyntaskmas_nb.view.theme import LOOKS, Look

STYLE = """
:root{color-scheme:light dark;--ink:#1c2126;--soft:#59626c;--paper:#fff;--line:#d8dde2;--panel:#f6f8f9}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ec;--soft:#a3adb7;--paper:#14181c;--line:#39424b;--panel:#1b2126}}
*{box-sizing:border-box}
body{margin:0;color:var(--ink);background:var(--paper);font:15px/1.45 system-ui,sans-serif}
main{max-width:1560px;margin:0 auto;padding:16px 20px 48px}
h1{font-size:1.5rem;margin:.3em 0;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:1.6em 0 .5em}
h3{font-size:1rem;margin:1em 0 .3em;overflow-wrap:anywhere}
p{margin:.4em 0;overflow-wrap:anywhere}
.standing,.path{color:var(--soft)}
.reason{border-left:4px solid #d5461e;padding-left:10px}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:10px;margin:14px 0 8px}
dl div{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:8px 12px}
dt{font-size:.85rem;color:var(--soft)}
dd{margin:0}
dd b{display:block;font-size:1.25rem}
dd small{display:block;color:var(--soft);font-size:.78rem;line-height:1.3}
#graph{border:1px solid var(--line);border-radius:6px;overflow:auto;max-height:80vh;position:relative}
#graph.live{overflow:hidden;resize:vertical}
#graph:focus-visible{outline:3px solid #2b8cd6}
#graph>svg{display:block;max-width:100%;height:auto;margin:0 auto}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;list-style:none;margin:8px 0;padding:0;font-size:.85rem}
.legend svg{vertical-align:-3px;margin-right:5px}
.wide{overflow-x:auto}
.tall{max-height:90vh;overflow-y:auto}
.wide:focus-visible{outline:3px solid #2b8cd6}
.tall thead th{position:sticky;top:0;background:var(--paper)}
.wide>svg{min-width:640px;display:block}
table{border-collapse:collapse;width:100%;font-size:.88rem}
caption{text-align:left;color:var(--soft);padding-bottom:4px}
th,td{border-bottom:1px solid var(--line);padding:5px 10px 5px 0;text-align:left;vertical-align:top}
th[scope=row]{font-weight:600}
td,th[scope=row]{overflow-wrap:anywhere;min-width:8.5em;max-width:26em}
td:nth-child(5){min-width:4em}
td:nth-child(4),td:nth-child(8){min-width:0;white-space:nowrap}
td:nth-child(9){min-width:14em}
pre{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:12px;white-space:pre-wrap;
overflow-wrap:anywhere;max-height:40em;overflow-y:auto;font:14px/1.5 ui-monospace,monospace}
div.vis-tooltip{position:absolute;visibility:hidden;white-space:pre-line;max-width:360px;padding:6px 9px;
color:var(--ink);background:var(--paper);border:1px solid var(--line);border-radius:4px;font-size:13px;
overflow-wrap:anywhere;pointer-events:none;z-index:5;box-shadow:0 2px 8px rgba(0,0,0,.25)}
@media print{#graph.live{height:auto}.wide,pre{overflow:visible;max-height:none}}
"""

#: Ids get a prefix, so that a task called `__proto__` is a name like any other.
SCRIPT = """
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("model").textContent);
  const box = document.getElementById("graph");
  if (!data.nodes.length) return;
  const named = (id) => "t:" + id;
  const nodes = data.nodes.map((node) => Object.assign({}, node, {id: named(node.id)}));
  const edges = data.edges.map((edge) =>
    Object.assign({}, edge, {id: "e:" + edge.id, from: named(edge.from), to: named(edge.to)}));
  const colours = () => {
    const style = getComputedStyle(document.body);
    return {ink: style.color, paper: style.backgroundColor};
  };
  const options = () => {
    const {ink, paper} = colours();
    return {
      physics: false,
      layout: {improvedLayout: false},
      interaction: {hover: true, tooltipDelay: 120, keyboard: {enabled: true, bindToWindow: false},
        hideEdgesOnDrag: nodes.length > 500, zoomSpeed: 0.6},
      nodes: {font: {color: ink, size: 14, strokeWidth: 3, strokeColor: paper}},
      edges: {font: {color: ink, size: 12, strokeWidth: 3, strokeColor: paper, align: "top"},
        smooth: nodes.length > 500 ? false : {enabled: true, type: "cubicBezier",
          forceDirection: "horizontal", roundness: 0.4},
        arrows: {to: {scaleFactor: 0.6}}},
    };
  };
  const span = (key) => nodes.reduce((a, node) => [Math.min(a[0], node[key]), Math.max(a[1], node[key])],
    [Infinity, -Infinity]).reduce((low, high) => high - low);
  const height = () => Math.round(Math.min(Math.max(240, innerHeight * 0.85),
    Math.max(240, (span("y") + 200) * Math.min(1.2, box.clientWidth / (span("x") + 240)))));
  const border = (paint, ink) => {
    const own = {background: paint.background, border: ink};
    return {background: own.background, border: ink, hover: own, highlight: own};
  };
  const inked = () => ({
    nodes: nodes.filter((node) => node.critical).map((node) =>
      ({id: node.id, color: border(node.color, colours().ink)})),
    edges: edges.filter((edge) => edge.critical).map((edge) =>
      ({id: edge.id, color: {color: colours().ink, hover: colours().ink, highlight: colours().ink}})),
  });
  const still = Array.from(box.childNodes);
  box.replaceChildren();
  box.classList.add("live");
  try {
    box.style.height = height() + "px";
    const shown = {nodes: new vis.DataSet(nodes), edges: new vis.DataSet(edges)};
    const ink = () => {
      const changed = inked();
      shown.nodes.update(changed.nodes);
      shown.edges.update(changed.edges);
    };
    ink();
    const network = new vis.Network(box, shown, options());
    const theme = () => {
      network.setOptions(options());
      ink();
    };
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Task graph; the table below holds the same");
    const show = () => network.fit({animation: false, maxZoomLevel: 1.2});
    show();
    addEventListener("resize", () => requestAnimationFrame(show));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);
  } catch (error) {
    box.classList.remove("live");
    box.style.height = "";
    box.replaceChildren(...still);
    console.error(error);
  }
})();
"""

FRAGMENT_STYLE = """
.dyntask{color:var(--jp-ui-font-color1,inherit);max-width:1200px}
.dyntask{font:14px/1.4 var(--jp-ui-font-family,system-ui,sans-serif)}
.dyntask dl{display:flex;flex-wrap:wrap;gap:4px 22px;margin:6px 0}
.dyntask dl div{display:block}
.dyntask dt{display:inline;font-weight:400;opacity:.75}
.dyntask dd{display:inline;margin:0 0 0 5px}
.dyntask dd small{display:none}
.dyntask p{margin:4px 0;overflow-wrap:anywhere}
.dyntask .graph{overflow:auto;max-height:560px}
.dyntask .graph>svg{max-width:100%;height:auto}
.dyntask table{border-collapse:collapse;font-size:13px}
.dyntask th,.dyntask td{text-align:left;vertical-align:top;padding:3px 10px 3px 0;
overflow-wrap:anywhere;min-width:6em;max-width:24em;
border-bottom:1px solid var(--jp-border-color2,rgba(127,127,127,.4))}
.dyntask caption{text-align:left;opacity:.75}
.dyntask summary{cursor:pointer}
"""


def _swatch(look: Look) -> str:
    forms = {
        "dot": '<circle cx="8" cy="8" r="6"{}/>',
        "square": '<rect x="2" y="2" width="12" height="12"{}/>',
        "triangle": '<polygon points="8,1 15,14 1,14"{}/>',
        "triangleDown": '<polygon points="1,2 15,2 8,15"{}/>',
        "diamond": '<polygon points="8,0 16,8 8,16 0,8"{}/>',
        "hexagon": '<polygon points="4,1 12,1 16,8 12,15 4,15 0,8"{}/>',
        "star": '<polygon points="8,0 10,6 16,6 11,10 13,16 8,12 3,16 5,10 0,6 6,6"{}/>',
    }
    hollow = f' fill-opacity="0.15" stroke="{look.colour}" stroke-dasharray="3 2"' if look.hollow else ""
    drawing = forms[look.shape].format(f' fill="{look.colour}"{hollow}')
    return f'<svg width="16" height="16" aria-hidden="true">{drawing}</svg>'


def _legend() -> str:
    items = "".join(
        f"<li>{_swatch(LOOKS[state])}{LOOKS[state].mark} {state.value}</li>" for state in TaskState
    )
    words = ("size: complexity", "p: priority", "on the arrows: weight W", "bold outline: critical path")
    return f'<ul class="legend">{items}{"".join(f"<li>{word}</li>" for word in words)}</ul>'


LEGEND = _legend()
