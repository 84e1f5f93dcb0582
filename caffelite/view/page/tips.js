// What hovering tells: shapes, learnable values, multiply-adds, memory.
import { el } from "./dom.js";
import { bytes, exact, shape } from "./numbers.js";

export function layerTip(layer) {
  return [
    el("h3", {}, layer.name, " ", el("small", {}, layer.type)),
    facts([
      ...layer.bottom.map((blob) => [`reads ${blob.name}`, shape(blob.shape)]),
      ...layer.top.map((blob) => [`makes ${blob.name}`, shape(blob.shape)]),
      ...counts(layer),
    ]),
    layer.problem ? el("p", { class: "problem" }, layer.problem) : null,
  ].filter(Boolean);
}

export function boxTip(node) {
  const sum = (what) => node.layers.reduce((total, layer) => total + layer[what], 0);
  const { count, period } = node.fold;
  const total = Object.fromEntries(
    ["learnable", "statistics", "macs", "memory"].map((what) => [what, sum(what)]),
  );
  return [
    el("h3", {}, `${count} blocks of ${period} boxes`, " ", el("small", {}, "click to unfold")),
    facts([["layers", exact(node.layers.length)], ...counts(total)]),
  ];
}

export function counts({ learnable, statistics, macs, memory }) {
  return [
    ["learnable values", exact(learnable)],
    ...(statistics ? [["statistics", exact(statistics)]] : []),
    ["multiply-adds", exact(macs)],
    ["memory", bytes(memory)],
  ];
}

export function facts(rows) {
  return el(
    "dl",
    {},
    rows.map(([what, figure]) => [el("dt", {}, what), el("dd", {}, figure)]),
  );
}
