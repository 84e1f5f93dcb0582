// The graph: boxes and edges as SVG, with zoom, pan, hover, selection and the keyboard.
import { boxTip, layerTip } from "./tips.js";
import { shortest, sizes, titleOf, visible } from "./boxes.js";
import { $, el, svg } from "./dom.js";
import { Minimap } from "./minimap.js";
import { select, zoom, zoomIdentity, zoomTransform } from "./vendor/d3.js";

const LABEL = "Layers; arrow keys go from one to the next, Enter unfolds, F folds";
const MARGIN = 24;
const READABLE = 0.45; // scale below which the first view shows the top instead of the whole
const LEGIBLE = 0.3; // scale below which words are left out, which makes large nets quick to move
const MANY = 60; // boxes, from which on a net is folded at first

export class GraphView {
  // `onSelect(layer, or null)` is called when the user picks a layer.
  constructor(onSelect) {
    this.onSelect = onSelect;
    this.unfolded = new Set();
    this.folding = null; // how; not decided before the first graph
    this.direction = sessionStorage.getItem("direction") ?? "TB"; // where the data flows
    this.selected = null; // name of a layer
    this.worker = new Worker(new URL("layout.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.laidOut(data);
    this.requests = 0; // for layouts
    this.waiting = null; // the last request, until it is answered
    this.expecting = []; // resolve functions of those who wait for it
    this.scene = null; // what is drawn
    this.shown = null; // what is looked at: "start", "fit", or null where the user chose
    this.room = { width: 0, height: 0 };
    this.viewport = svg("g");
    this.root = svg(
      "svg",
      { role: "application", "aria-label": LABEL, tabindex: 0 },
      svg("defs", {}, arrowHead()),
      this.viewport,
    );
    $("graph").prepend(this.root);
    this.zoom = zoom()
      .scaleExtent([0.005, 4])
      .on("zoom", ({ transform, sourceEvent }) => {
        if (sourceEvent) this.shown = null;
        this.viewport.setAttribute("transform", transform);
        this.viewport.classList.toggle("far", transform.k < LEGIBLE);
        this.map.follow(this.seen());
      });
    this.map = new Minimap((x, y) => {
      const { k } = zoomTransform(this.root);
      this.shown = null;
      this.move(this.middleAt(x, y, k));
    });
    select(this.root).call(this.zoom).on("dblclick.zoom", null);
    this.listen();
  }

  listen() {
    $("fit").addEventListener("click", () => this.fit());
    $("zoom-in").addEventListener("click", () => this.scaleBy(1.4));
    $("zoom-out").addEventListener("click", () => this.scaleBy(1 / 1.4));
    for (const button of document.querySelectorAll("[data-fold-by]")) {
      const { foldBy } = button.dataset;
      const done = () => this.folding === foldBy && !this.unfolded.size;
      button.addEventListener("click", () => this.fold(done() ? "none" : foldBy));
    }
    for (const button of document.querySelectorAll("[data-direction]")) {
      button.addEventListener("click", () => this.turn(button.dataset.direction));
    }
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("focus", () => this.mark());
    this.root.addEventListener("pointermove", (event) => this.hover(event));
    this.root.addEventListener("pointerleave", () => this.tip(null));
    this.root.addEventListener("click", (event) => this.click(event));
    new ResizeObserver(() => this.resized()).observe(this.root);
  }

  // The room has another size: show the same in it, or keep the middle where it was.
  resized() {
    const before = this.room;
    this.room = this.root.getBoundingClientRect();
    const [dx, dy] = ["width", "height"].map((side) => (this.room[side] - before[side]) / 2);
    if (!this.scene) return;
    if (this.shown) this[this.shown]();
    else {
      const { x, y, k } = zoomTransform(this.root);
      this.move(zoomIdentity.translate(x + dx, y + dy).scale(k));
    }
  }

  // Show a graph; resolves when it is drawn.
  show(graph) {
    this.folding ??= graph.boxes.length > MANY ? shortest(graph) : "none";
    this.graph = graph;
    return this.layout();
  }

  layout() {
    const scene = visible(this.graph, this.folding, this.unfolded);
    this.showChoices();
    const key = JSON.stringify([
      this.direction,
      scene.nodes.map(({ id, width, height }) => [id, width, height]),
      scene.edges.map(({ from, to }) => [from, to]),
    ]);
    if (key === this.scene?.key) {
      this.finish({ ...scene, key, placed: this.scene.placed });
      return Promise.resolve();
    }
    this.requests += 1;
    this.waiting = { id: this.requests, scene: { ...scene, key } };
    this.worker.postMessage({
      id: this.requests,
      nodes: scene.nodes.map(({ id, width, height }) => ({ id, width, height })),
      edges: scene.edges.map(({ from, to }) => ({ from, to })),
      direction: this.direction,
    });
    this.root.setAttribute("aria-busy", "true");
    return new Promise((resolve) => this.expecting.push(resolve));
  }

  showChoices() {
    $("folds").hidden = !Object.values(this.graph.folds).some((folds) => folds.length);
    for (const button of document.querySelectorAll("[data-fold-by]")) {
      const { foldBy } = button.dataset;
      button.hidden = !this.graph.folds[foldBy].length;
      button.setAttribute("aria-pressed", String(this.folding === foldBy && !this.unfolded.size));
    }
    for (const button of document.querySelectorAll("[data-direction]")) {
      button.setAttribute("aria-pressed", String(button.dataset.direction === this.direction));
    }
  }

  laidOut(placed) {
    if (placed.id === this.waiting?.id) this.finish({ ...this.waiting.scene, placed });
  }

  // Draw a scene; whoever waits for an earlier one need not wait any more.
  finish(scene) {
    const first = !this.scene;
    this.scene = scene;
    this.waiting = null;
    this.root.removeAttribute("aria-busy");
    this.draw();
    if (first) {
      this.room = this.root.getBoundingClientRect();
      this.start();
    }
    for (const resolve of this.expecting.splice(0)) resolve();
  }

  // Drawing

  draw() {
    const { nodes, edges, groups, placed } = this.scene;
    this.elements = new Map();
    this.viewport.replaceChildren(
      ...groups.map((group) => this.outline(group, placed)),
      ...edges.map((edge, index) => drawEdge(edge, placed.paths[index])),
      ...nodes.map((node) => this.drawNode(node, placed.places[node.id])),
    );
    this.map.draw(nodes, placed);
    this.map.follow(this.seen());
    this.mark();
  }

  outline({ key, fold, ids, level }, placed) {
    const boxes = ids.map((id) => placed.places[id]);
    const [side, head] = [6 + 6 * level, 8 + 18 * level];
    const left = Math.min(...boxes.map(({ x, width }) => x - width / 2)) - side;
    const right = Math.max(...boxes.map(({ x, width }) => x + width / 2)) + side;
    const top = Math.min(...boxes.map(({ y, height }) => y - height / 2)) - head;
    const bottom = Math.max(...boxes.map(({ y, height }) => y + height / 2)) + side;
    const words = `${titleOf(fold)}: fold`;
    return svg(
      "g",
      { class: "outline", "data-fold": key, role: "button", "aria-label": words },
      svg("rect", { x: left, y: top, width: right - left, height: bottom - top, rx: 10 }),
      svg("text", { x: left + 10, y: top + 16 }, words),
    );
  }

  drawNode(node, { x, y }) {
    const [left, top] = [x - node.width / 2, y - node.height / 2];
    const group = svg("g", {
      class: node.fold ? "node folded" : "node",
      transform: `translate(${left},${top})`,
      "data-id": node.id,
    });
    if (node.fold) {
      for (const shift of [8, 4]) {
        const size = { width: node.width, height: node.height, rx: 6, class: "behind" };
        group.append(svg("rect", { x: shift, y: shift, ...size }));
      }
    }
    let at = 0;
    for (const row of node.rows) {
      group.append(this.drawRow(node, row, at));
      at += row.height;
    }
    group.append(svg("rect", { class: "frame", width: node.width, height: node.height, rx: 6 }));
    return group;
  }

  drawRow(node, row, at) {
    const { PAD, ROW, SMALL } = sizes;
    const box = svg(
      "g",
      {
        class: `row ${row.kind}${row.wrong ? " wrong" : ""}`,
        transform: `translate(0,${at})`,
        role: "button",
        "aria-label": this.spoken(node, row),
        "data-layer": row.layer ?? null,
        "data-unfold": node.key ?? null,
      },
      svg("rect", { class: "fill", width: node.width, height: row.height, rx: 6 }),
      svg("rect", { class: "stripe", width: 5, height: row.height - 2, y: 1, rx: 2 }),
      svg("text", { class: "title", x: PAD + 4, y: ROW - 3 }, row.titleText),
      svg("text", { class: "type", x: node.width - PAD, y: ROW - 3 }, row.typeText),
      ...row.smallText.map((line, k) =>
        svg("text", { class: "small", x: PAD + 4, y: ROW + SMALL * (k + 1) - 3 }, line),
      ),
    );
    for (const { name } of node.layers ?? [this.layers[row.layer]]) this.elements.set(name, box);
    return box;
  }

  spoken(node, row) {
    const problem = row.wrong ? ", has a mistake" : "";
    return `${row.title} ${row.type}, ${row.small.join(", ")}${problem}`;
  }

  // Selection

  select(name, { unfold = false, silent = false } = {}) {
    this.selected = name;
    this.mark();
    if (silent || !this.scene) return;
    const index = this.layers.findIndex((layer) => layer.name === name);
    const node = this.scene.nodeOf[index];
    if (node?.fold && unfold) {
      this.unfolded.add(node.key);
      this.layout().then(() => this.select(name, { unfold }));
      return;
    }
    this.onSelect(this.layers[index] ?? null);
    this.center(node);
  }

  // The layers drawn, which are not yet those of a graph that is being laid out.
  get layers() {
    return this.scene.graph.layers;
  }

  mark() {
    for (const old of this.viewport.querySelectorAll(".selected")) {
      old.classList.remove("selected");
      old.removeAttribute("id");
    }
    this.root.removeAttribute("aria-activedescendant");
    const row = this.elements?.get(this.selected);
    if (!row) return;
    row.classList.add("selected");
    row.id = "selected-layer";
    this.root.setAttribute("aria-activedescendant", row.id);
  }

  click(event) {
    const target = event.target.closest("[data-layer],[data-unfold],[data-fold]");
    if (!target) return this.select(null);
    const { layer, unfold, fold } = target.dataset;
    this.tip(null);
    if (unfold !== undefined) this.toggle(unfold, true);
    else if (fold !== undefined) this.toggle(fold, false);
    else this.select(this.layers[Number(layer)].name);
    return undefined;
  }

  // Open or close one fold; the place under it stays in view.
  async toggle(key, open) {
    if (open) this.unfolded.add(key);
    else this.unfolded.delete(key);
    await this.layout();
    const inside = this.scene.groups.find((group) => group.key === key)?.ids[0];
    const node = this.scene.nodes.find(({ id }) => id === (inside ?? `fold ${key}`));
    this.center(node, true);
  }

  async fold(how) {
    this.folding = how;
    this.unfolded.clear();
    await this.layout();
    this.start();
  }

  async turn(direction) {
    this.direction = direction;
    sessionStorage.setItem("direction", direction);
    await this.layout();
    this.start();
  }

  key(event) {
    if (!this.scene || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const act = {
      "+": () => this.scaleBy(1.4),
      "=": () => this.scaleBy(1.4),
      "-": () => this.scaleBy(1 / 1.4),
      0: () => this.fit(),
      Home: () => this.stepTo(0),
      End: () => this.stepTo(Infinity),
      Enter: () => this.enter(),
      f: () => this.foldAround(),
    }[event.key];
    if (!step && !act) return;
    event.preventDefault();
    if (act) act();
    else this.stepTo(this.position() + step);
  }

  // The names at each stop of the arrow keys: a layer's, or all of a folded block.
  stops() {
    return this.scene.nodes.flatMap(({ layers, rows }) =>
      layers
        ? [layers.map(({ name }) => name)]
        : rows.map((row) => [this.layers[row.layer].name]),
    );
  }

  position() {
    return this.stops().findIndex((names) => names.includes(this.selected));
  }

  stepTo(wanted) {
    const stops = this.stops();
    if (!stops.length) return;
    this.select(stops[Math.min(Math.max(wanted, 0), stops.length - 1)][0]);
  }

  enter() {
    const node = this.scene.nodeOf[this.layers.findIndex(({ name }) => name === this.selected)];
    if (node?.fold) this.toggle(node.key, true);
  }

  // Fold the innermost block around the selected layer.
  foldAround() {
    const node = this.scene.nodeOf[this.layers.findIndex(({ name }) => name === this.selected)];
    const around = this.scene.groups.filter(({ ids }) => ids.includes(node?.id)).at(-1);
    if (around) this.toggle(around.key, false);
  }

  // The view

  // The whole net, or, where that is too small to be read, its beginning.
  start() {
    if (this.scaleThatFits() >= READABLE) this.fit();
    else this.move(this.beginning());
    this.shown = "start";
  }

  // Where the data comes in, at the edge of the view; across, all that fits, around the first box.
  beginning() {
    const { places, ...placed } = this.scene.placed;
    const first = places[this.scene.nodes[0].id];
    const across = this.direction === "TB" ? ["width", "x"] : ["height", "y"];
    const fits = (this.room[across[0]] - 2 * MARGIN) / placed[across[0]];
    const scale = Math.min(1, Math.max(READABLE, fits));
    const middle = fits >= READABLE ? placed[across[0]] / 2 : first[across[1]];
    const at = this.room[across[0]] / 2 - middle * scale;
    const [left, top] = this.direction === "TB" ? [at, MARGIN] : [MARGIN, at];
    return zoomIdentity.translate(left, top).scale(scale);
  }

  // What of the net is seen, in its own coordinates.
  seen() {
    const now = zoomTransform(this.root);
    const [left, top] = now.invert([0, 0]);
    const [right, bottom] = now.invert([this.room.width, this.room.height]);
    return { left, top, right, bottom };
  }

  middleAt(x, y, scale) {
    const { width, height } = this.room;
    return zoomIdentity.translate(width / 2 - x * scale, height / 2 - y * scale).scale(scale);
  }

  fit() {
    if (!this.scene) return;
    const { width, height } = this.scene.placed;
    const scale = Math.min(1.2, this.scaleThatFits());
    const [left, top] = [this.room.width - width * scale, this.room.height - height * scale];
    this.move(zoomIdentity.translate(left / 2, top / 2).scale(scale));
    this.shown = "fit";
  }

  scaleThatFits() {
    const { width, height } = this.scene.placed;
    return Math.min(
      (this.room.width - 2 * MARGIN) / width,
      (this.room.height - 2 * MARGIN) / height,
    );
  }

  // Bring a node into the part of the view that the panel leaves free.
  center(node, always = false) {
    const place = node && this.scene.placed.places[node.id];
    if (!place) return;
    const room = this.root.getBoundingClientRect();
    const panel = $("layer").getBoundingClientRect().left;
    const width = panel > room.left + room.width / 3 ? panel - room.left : room.width;
    const now = zoomTransform(this.root);
    const [left, top] = now.apply([place.x - place.width / 2, place.y - place.height / 2]);
    const [right, bottom] = now.apply([place.x + place.width / 2, place.y + place.height / 2]);
    const seen = left > 0 && right < width && top > 0 && bottom < room.height;
    if (seen && now.k >= READABLE && !always) return;
    const scale = Math.max(now.k, 0.8);
    const [x, y] = [width / 2 - place.x * scale, room.height / 2 - place.y * scale];
    this.move(zoomIdentity.translate(x, y).scale(scale));
    this.shown = null;
  }

  move(transform) {
    select(this.root).call(this.zoom.transform, transform);
  }

  scaleBy(factor) {
    this.shown = null;
    select(this.root).call(this.zoom.scaleBy, factor);
  }

  // Hover

  hover(event) {
    const row = event.target.closest("[data-layer],[data-unfold],.edge");
    if (!row || event.buttons) return this.tip(null);
    if (row !== this.tipped) {
      const { layer, unfold, blobs } = row.dataset;
      if (layer !== undefined) this.tip(layerTip(this.layers[Number(layer)]));
      else if (unfold !== undefined) this.tip(boxTip(this.scene.nodes.find((n) => n.key === unfold)));
      else this.tip([el("pre", {}, blobs)]);
      this.tipped = row;
    }
    const tip = $("tip");
    const { width, height } = tip.getBoundingClientRect();
    const [x, y] = [event.clientX + 16, event.clientY + 16];
    tip.style.left = `${Math.max(4, Math.min(x, innerWidth - width - 8))}px`;
    tip.style.top = `${y + height > innerHeight ? event.clientY - height - 10 : y}px`;
    return undefined;
  }

  tip(content) {
    this.tipped = null;
    $("tip").hidden = !content;
    if (content) $("tip").replaceChildren(...content);
  }
}

function arrowHead() {
  return svg(
    "marker",
    { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7,
      orient: "auto" },
    svg("path", { d: "M0 0.5 L8 4 L0 7.5 z" }),
  );
}

function drawEdge(edge, points) {
  const line = smooth(points);
  return svg(
    "g",
    { class: "edge", "data-blobs": edge.blobs.join("\n") },
    svg("path", { class: "wide", d: line }),
    svg("path", { class: "line", d: line, "marker-end": "url(#arrow)" }),
  );
}

// A path that leaves and arrives straight and is round at the points between.
function smooth(points) {
  const [start, ...rest] = points;
  let path = `M${start.x} ${start.y}`;
  rest.slice(0, -1).forEach((point, k) => {
    const next = rest[k + 1];
    const last = k === rest.length - 2;
    const to = last ? next : { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 };
    path += `Q${point.x} ${point.y} ${to.x} ${to.y}`;
  });
  return rest.length === 1 ? `${path}L${rest[0].x} ${rest[0].y}` : path;
}
