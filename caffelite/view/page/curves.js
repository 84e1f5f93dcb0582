// Training curves that grow with the run's log.
import { ask } from "./ask.js";
import { $, el } from "./dom.js";
import { exact, value } from "./numbers.js";
import uPlot from "./vendor/uplot.js";

const PAUSE = 1000; // milliseconds between looks at the log
const COLORS = 8;

export class Curves {
  constructor() {
    this.cursor = "";
    this.curves = new Map(); // name: {x: [], y: []}
    this.hidden = new Set(["lr"]);
    this.last = null; // the last point, with the last value of every curve
    this.passedOver = 0; // lines that are no events
    this.log = false;
    $("log-scale").addEventListener("change", (event) => {
      this.log = event.target.checked;
      this.rebuild();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.rebuild());
    new ResizeObserver(() => this.resize()).observe($("curves"));
    this.follow();
  }

  async follow() {
    let pause = PAUSE;
    try {
      const found = await ask("run", { cursor: this.cursor });
      this.add(found);
      if (found.more) pause = 0;
    } catch (problem) {
      $("run-state").textContent = problem.status
        ? problem.message
        : "caffelite view does not answer any more";
    }
    setTimeout(() => this.follow(), pause);
  }

  add({ points, cursor, restart, passed_over: passedOver, state }) {
    let before = this.curves.size;
    if (restart) {
      this.curves.clear();
      this.last = null;
      this.passedOver = 0;
      $("run-pictures").replaceChildren();
      before = 0;
      if (!points.length) this.rebuild();
    }
    this.cursor = cursor;
    this.passedOver += passedOver;
    for (const point of points) this.point(point);
    this.tell(state);
    if (this.curves.size !== before) this.rebuild();
    else if (points.length) this.chart?.setData(this.data());
  }

  point({ event, iteration, values, picture }) {
    if (picture) this.show(picture, iteration);
    this.last = { event, iteration, values: { ...this.last?.values, ...values } };
    for (const [name, y] of Object.entries(values)) {
      if (!this.curves.has(name)) this.curves.set(name, { x: [], y: [] });
      const curve = this.curves.get(name);
      while (curve.x.length && curve.x.at(-1) >= iteration) {
        curve.x.pop(); // the run went on from a snapshot
        curve.y.pop();
      }
      curve.x.push(iteration);
      curve.y.push(y);
    }
  }

  // The latest picture of each name.
  show({ name, png }, iteration) {
    const all = $("run-pictures");
    let figure = [...all.children].find((one) => one.dataset.name === name);
    if (!figure) {
      figure = el("figure", { "data-name": name }, el("img", { alt: name }), el("figcaption"));
      all.append(figure);
      all.hidden = false;
    }
    figure.firstChild.src = `data:image/png;base64,${png}`;
    figure.lastChild.textContent = `${name}, iteration ${exact(iteration)}`;
  }

  tell(state) {
    const words = [];
    if (state) words.push(state);
    if (this.last) {
      words.push(`iteration ${exact(this.last.iteration)}`);
      for (const name of ["train loss", "test loss", "test accuracy"]) {
        if (name in this.last.values) words.push(`${name} ${value(this.last.values[name])}`);
      }
      if (this.last.event === "done") words.push("done");
    } else if (!state) words.push("no events yet");
    if (this.passedOver) words.push(`${this.passedOver} lines are no events`);
    $("run-state").textContent = words.join(" · ");
  }

  // The chart

  names() {
    return [...this.curves.keys()].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  }

  data() {
    const tables = this.names().map((name) => [this.curves.get(name).x, this.curves.get(name).y]);
    return tables.length ? uPlot.join(tables) : [[]];
  }

  rebuild() {
    this.chart?.destroy();
    this.chart = null;
    if (!this.curves.size) return;
    const names = this.names();
    const used = new Set(names.map(scaleOf));
    const look = getComputedStyle(document.documentElement);
    const axis = { stroke: look.getPropertyValue("--quiet"), grid: { show: false }, size: 50 };
    const lines = { ...axis.grid, show: true, stroke: look.getPropertyValue("--grid"), width: 1 };
    this.chart = new uPlot(
      {
        ...this.size(),
        cursor: { drag: { x: true, y: false } },
        scales: {
          x: { time: false },
          loss: { distr: this.log ? 3 : 1 },
          other: {},
          lr: {},
        },
        axes: [
          { ...axis, size: 34, grid: lines, values: (_, at) => at.map(exact) },
          { ...axis, scale: "loss", show: used.has("loss"), grid: lines },
          { ...axis, scale: "other", side: 1, show: used.has("other") },
        ],
        series: [
          { label: "iteration", value: (_, x) => (x === null ? "–" : exact(x)) },
          ...names.map((name, k) => ({
            label: name,
            scale: scaleOf(name),
            show: !this.hidden.has(name),
            stroke: look.getPropertyValue(`--curve-${k % COLORS}`),
            width: 1.6,
            dash: name.startsWith("test") ? [5, 3] : undefined,
            points: { show: name.startsWith("test"), size: 5 },
            value: (_, y) => value(y),
          })),
        ],
        hooks: {
          ready: [() => requestAnimationFrame(() => this.resize())],
          setSeries: [
            (chart, index, { show }) => {
              if (index && show === true) this.hidden.delete(names[index - 1]);
              if (index && show === false) this.hidden.add(names[index - 1]);
            },
          ],
        },
      },
      this.data(),
      $("curves"),
    );
    for (const row of $("curves").querySelectorAll(".u-legend .u-series")) {
      row.querySelector("th").setAttribute("tabindex", "0");
      row.querySelector("th").addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") event.target.click();
      });
    }
  }

  size() {
    const { width, height } = $("curves").getBoundingClientRect();
    const legend = $("curves").querySelector(".u-legend")?.offsetHeight ?? 28;
    return { width: Math.max(width, 200), height: Math.max(height - legend, 80) };
  }

  resize() {
    this.chart?.setSize(this.size());
  }
}

// Losses share the axis on the left, other outputs that on the right; rates have none.
function scaleOf(name) {
  if (name === "lr") return "lr";
  return /loss/i.test(name) ? "loss" : "other";
}

function rank(name) {
  return ["train loss", "test loss", "test accuracy"].indexOf(name) + 1 || (name === "lr" ? 9 : 5);
}
