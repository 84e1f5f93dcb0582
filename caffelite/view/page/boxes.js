// What is drawn of a net: boxes of layers, or one box for repeated blocks that are folded, with
// the size of each, and the edges between them.
import { short, shape, total } from "./numbers.js";

const PAD = 9; // inside a box, left and right
const ROW = 19; // height of a layer's name, and of each small line
const SMALL = 14;
const LEAST = 110;
const MOST = 290; // width
const WIDE = 190; // of a line with several names
const MANY = 8; // names of blocks in a folded box

const fonts = {
  name: "600 12px system-ui, sans-serif",
  small: "11px system-ui, sans-serif",
};
const measure = document.createElement("canvas").getContext("2d");

function widthOf(text, font) {
  measure.font = fonts[font];
  return measure.measureText(text).width;
}

// What of a text fits a width: of names both ends, in which they differ; of other words the start.
function fitting(text, font, width) {
  const cut = (keep) => {
    const head = font === "name" ? Math.ceil(keep / 2) : keep;
    return `${text.slice(0, head)}…${text.slice(text.length - (keep - head))}`;
  };
  if (widthOf(text, font) <= width) return text;
  let keep = text.length;
  while (keep > 2 && widthOf(cut(keep), font) > width) keep -= 1;
  return cut(keep);
}

// {graph, nodes, groups, nodeOf, edges}: the nodes, outlines of the folds that are `unfolded`, and
// the node that each layer, by its index, is in. `folding` is "repeats", "scopes" or "none".
export function visible(graph, folding, unfolded) {
  const ids = uniqueIds(graph);
  const nodes = [];
  const nodeOf = [];
  const open = [];
  const place = graph.boxes.map(() => null);
  const folds = foldsAt(graph, folding, ids);
  for (let box = 0; box < graph.boxes.length; ) {
    const here = folds.get(box) ?? []; // the outermost first
    const closed = here.findIndex(({ key }) => !unfolded.has(key));
    open.push(...(closed < 0 ? here : here.slice(0, closed)));
    if (closed < 0) nodes.push(boxNode(graph, graph.boxes[box], ids[box], box));
    else nodes.push(foldNode(graph, here[closed]));
    const { length } = closed < 0 ? [box] : here[closed].boxes;
    place.fill(nodes.at(-1), box, box + length);
    box += length;
  }
  const groups = open.map(({ boxes, ...rest }) => ({
    ...rest,
    ids: [...new Set(boxes.map((each) => place[each].id))],
    level: levelOf(boxes, open),
  }));
  graph.boxes.forEach((layers, box) => layers.forEach((layer) => (nodeOf[layer] = place[box])));
  return { graph, nodes, groups, nodeOf, edges: edgesBetween(graph, place) };
}

// {box: the folds that begin there}, each {fold, key, boxes}; keys stay the same while the text is
// edited.
function foldsAt(graph, folding, ids) {
  const found = new Map();
  for (const fold of graph.folds[folding] ?? []) {
    const boxes = Array.from({ length: fold.period * fold.count }, (_, k) => fold.first + k);
    const key = `${folding} ${fold.count > 1 ? "" : fold.names[0]} ${ids[fold.first]}`;
    found.set(fold.first, [...(found.get(fold.first) ?? []), { fold, key, boxes }]);
  }
  return found;
}

// 1 for a fold that holds no other one that is open, 2 for one that holds such a one, ...
function levelOf(boxes, open) {
  const inside = open.filter(
    (other) => other.boxes.length < boxes.length && boxes.includes(other.boxes[0]),
  );
  return 1 + Math.max(0, ...inside.map((other) => levelOf(other.boxes, open)));
}

// The folding that leaves the fewest nodes: what a large net is shown with at first.
export function shortest(graph) {
  const left = (folding) => visible(graph, folding, new Set()).nodes.length;
  return ["repeats", "scopes"].sort((a, b) => left(a) - left(b))[0];
}

// What a fold stands for.
export function titleOf({ count, names }) {
  return count > 1 ? `${count} × the same block` : names[0];
}

// Names of boxes that stay the same while the text is edited: that of the first layer.
function uniqueIds(graph) {
  const seen = new Map();
  return graph.boxes.map(([first]) => {
    const { name } = graph.layers[first];
    seen.set(name, (seen.get(name) ?? 0) + 1);
    return `${name}#${seen.get(name)}`;
  });
}

function edgesBetween(graph, place) {
  const edges = new Map();
  for (const edge of graph.edges) {
    const [tail, head] = [place[edge.from], place[edge.to]];
    if (edge.far || tail === head) continue;
    const key = `${tail.id}\n${head.id}`;
    if (!edges.has(key)) edges.set(key, { from: tail.id, to: head.id, blobs: [] });
    edges.get(key).blobs.push(`${edge.name}  ${shape(edge.shape)}`);
  }
  return [...edges.values()];
}

function boxNode(graph, layers, id, box) {
  const far = graph.edges.filter((edge) => edge.far && edge.to === box).map((edge) => edge.name);
  const rows = layers.map((index) => {
    const layer = graph.layers[index];
    const facts = layer.facts.join(" · ");
    return {
      layer: index,
      kind: layer.kind,
      wrong: isWrong(layer),
      title: layer.name,
      type: layer.type,
      small: facts ? [facts] : [],
      height: ROW + 6 + (facts ? SMALL : 0),
    };
  });
  const { top } = graph.layers[layers[0]];
  const lines = top.map(({ name, shape: dims }) =>
    top.length > 1 ? `${name} ${shape(dims)}` : `→ ${shape(dims)}`,
  );
  if (far.length) lines.unshift(`reads ${far.join(", ")}`);
  if (top.length) {
    const last = rows.at(-1);
    last.small = [...last.small, ...lines];
    last.height += SMALL * lines.length;
  }
  return sized({ id, rows });
}

// Whether there is a mistake in it, not only data missing that it would read.
export function isWrong(layer) {
  return Boolean(layer.problem) && !layer.missing;
}

function foldNode(graph, { fold, key, boxes }) {
  const layers = boxes.flatMap((box) => graph.boxes[box]).map((index) => graph.layers[index]);
  const small = [
    ...(fold.count > 1 ? inLines(fold.names) : []),
    ...inLines(types(layers)).slice(0, 3),
    `${layers.length} layers, ${total(layers, "learnable", short)} learnable`,
  ];
  const last = layers.at(-1).top.at(-1);
  if (last) small.push(`→ ${shape(last.shape)}`);
  const wrong = layers.some(isWrong);
  const row = {
    kind: "fold",
    wrong,
    title: titleOf(fold),
    type: "",
    small,
    height: ROW + 8 + SMALL * small.length,
  };
  return sized({ id: `fold ${key}`, key, fold, layers, rows: [row] });
}

// "6 Convolution", ...: how many layers of each type there are, the commonest first.
function types(layers) {
  const counts = new Map();
  for (const { type } of layers) counts.set(type, (counts.get(type) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([type, count]) => `${count} ${type}`);
}

// Words in lines that a box has room for; of very many, the first and the last.
function inLines(all) {
  const words = all.length > MANY ? [...all.slice(0, MANY - 2), "…", all.at(-1)] : all;
  const lines = [];
  for (const word of words) {
    const longer = lines.length ? `${lines.at(-1)}, ${word}` : word;
    if (lines.length && widthOf(longer, "small") <= WIDE) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function sized(node) {
  const wanted = node.rows.flatMap((row) => [
    widthOf(row.title, "name") + (row.type ? widthOf(row.type, "small") + 10 : 0),
    ...row.small.map((line) => widthOf(line, "small")),
  ]);
  const width = Math.min(Math.max(LEAST, ...wanted) + 2 * PAD + 4, MOST);
  node.width = Math.ceil(width / 16) * 16; // in steps, so that few edits move the boxes
  node.height = node.rows.reduce((total, row) => total + row.height, 0);
  for (const row of node.rows) {
    const room = node.width - 2 * PAD - 4;
    row.typeText = fitting(row.type, "small", Math.max(room / 3, room - 10 - widthOf(row.title, "name")));
    const typed = row.type ? widthOf(row.typeText, "small") + 10 : 0;
    row.titleText = fitting(row.title, "name", room - typed);
    row.smallText = row.small.map((line) => fitting(line, "small", room));
  }
  return node;
}

export const sizes = { PAD, ROW, SMALL };
