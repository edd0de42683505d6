// Puts vis-network in the place of the static picture. Ids get a prefix, so that a task called `__proto__`
// is a name like any other. What is on the critical path takes the ink of the page's theme.
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("model").textContent);
  const box = document.getElementById("graph");
  if (!data.nodes.length) return;

  const named = (id) => "t:" + id;
  const theme = () => {
    const style = getComputedStyle(document.body);
    return {ink: style.color, paper: style.backgroundColor};
  };
  const nodes = () => data.nodes.map((node) => {
    const paint = {background: node.color.background, border: node.critical ? theme().ink : node.color.border};
    return {...node, id: named(node.id), color: {...paint, hover: paint, highlight: paint}};
  });
  const edges = () => data.edges.map((edge, number) => {
    const ink = edge.critical ? theme().ink : edge.color;
    return {...edge, id: number, from: named(edge.from), to: named(edge.to),
      color: {color: ink, hover: ink, highlight: ink}};
  });

  const options = () => {
    const {ink, paper} = theme();
    const many = data.nodes.length > 500;
    const font = {color: ink, strokeWidth: 3, strokeColor: paper};
    return {
      physics: false,
      layout: {improvedLayout: false},
      interaction: {hover: true, tooltipDelay: 120, keyboard: {enabled: true, bindToWindow: false},
        hideEdgesOnDrag: many, zoomSpeed: 0.6},
      nodes: {font: {...font, size: 14}},
      edges: {font: {...font, size: 12, align: "top"}, arrows: {to: {enabled: true, scaleFactor: 0.6}},
        smooth: !many && {enabled: true, type: "cubicBezier", forceDirection: "horizontal", roundness: 0.4}},
    };
  };
  const span = (key) => {
    const places = data.nodes.map((node) => node[key]);
    return Math.max(...places) - Math.min(...places);
  };
  const height = () => {
    const scale = Math.min(1.2, box.clientWidth / (span("x") + 240));
    return Math.max(240, Math.min(innerHeight * 0.85, (span("y") + 200) * scale));
  };

  const still = Array.from(box.childNodes);
  box.replaceChildren();
  box.classList.add("live");
  try {
    box.style.height = Math.round(height()) + "px";
    const shown = {nodes: new vis.DataSet(nodes()), edges: new vis.DataSet(edges())};
    const network = new vis.Network(box, shown, options());
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Task graph; the table below holds the same");
    const fit = () => network.fit({animation: false, maxZoomLevel: 1.2});
    fit();
    addEventListener("resize", () => requestAnimationFrame(fit));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      network.setOptions(options());
      shown.nodes.update(nodes());
      shown.edges.update(edges());
    });
  } catch (error) {
    box.classList.remove("live");
    box.style.height = "";
    box.replaceChildren(...still);
    console.error(error);
  }
})();
