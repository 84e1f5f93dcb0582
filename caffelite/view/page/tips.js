// What hovering tells: shapes, learnable values, multiply-adds, memory.
import { titleOf } from "./boxes.js";
import { el } from "./dom.js";
import { bytes, exact, shape, total } from "./numbers.js";

export function layerTip(layer) {
  return [
    el("h3", {}, layer.name, " ", el("small", {}, layer.type)),
    facts([
      ...layer.bottom.map((blob) => [`reads ${blob.name}`, shape(blob.shape)]),
      ...layer.top.map((blob) => [`makes ${blob.name}`, shape(blob.shape)]),
      ...counts([layer]),
    ]),
    layer.problem ? el("p", { class: layer.missing ? "missing" : "problem" }, layer.problem) : null,
  ].filter(Boolean);
}

export function boxTip(node) {
  const { names } = node.fold;
  return [
    el("h3", {}, titleOf(node.fold), " ", el("small", {}, "click to unfold")),
    names.length > 1 ? el("p", { class: "quiet" }, names.join(", ")) : null,
    facts([["layers", exact(node.layers.length)], ...counts(node.layers)]),
  ].filter(Boolean);
}

// What layers come to, of one pass.
export function counts(layers) {
  const statistics = layers.some((layer) => layer.statistics);
  return [
    ["learnable values", total(layers, "learnable", exact)],
    ...(statistics ? [["statistics", total(layers, "statistics", exact)]] : []),
    ["multiply-adds a pass", total(layers, "macs", exact)],
    ["memory a pass", total(layers, "memory", bytes)],
  ];
}

export function facts(rows) {
  return el(
    "dl",
    {},
    rows.map(([what, figure]) => [el("dt", {}, what), el("dd", {}, figure)]),
  );
}
