// Curves of runs, a chart for each thing that is drawn: training in full lines, tests dashed.
import { el } from "./dom.js";
import { exact, value } from "./numbers.js";
import uPlot from "./vendor/uplot.js";

const COLORS = 8;

export class Charts {
  constructor(onChange) {
    this.onChange = onChange; // other numbers are wanted
    this.root = el("div", { id: "curves" });
    this.found = null;
    this.panels = []; // names of what is drawn; none: what the server thinks best
    this.smooth = 1;
    this.x = "iteration";
    this.zoom = null; // [from, to]
    this.log = false;
    this.hidden = new Set(); // labels of curves
    this.charts = [];
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.rebuild());
    new ResizeObserver(() => this.resize()).observe(this.root);
  }

  get query() {
    const [from, to] = this.zoom ?? ["", ""];
    return {
      panels: this.panels.join("\n"), x: this.x, from, to,
      smooth: this.smooth, seen: this.found?.version ?? "",
    };
  }

  get colors() {
    return (this.found?.runs ?? []).map((_, at) => this.swatch(at));
  }

  // A mark in the colour of the run at that place.
  swatch(at) {
    return el("span", { class: `swatch curve-${at % COLORS}` });
  }

  setLog(on) {
    this.log = on;
    this.rebuild();
  }

  show(found) {
    const before = this.found && shapeOf(this.found);
    this.found = found;
    if (before === shapeOf(found) && this.charts.length) {
      this.charts.forEach((chart, k) => chart.setData(this.data(found.panels[k])));
    } else this.rebuild();
  }

  data({ curves }) {
    return curves.length ? uPlot.join(curves.map(({ x, y }) => [x, y])) : [[]];
  }

  rebuild() {
    for (const chart of this.charts) chart.destroy();
    this.charts = [];
    this.root.replaceChildren();
    for (const panel of this.found?.panels ?? []) {
      if (!panel.curves.length) continue;
      const place = el("div", { class: "chart" }, el("h3", {}, panel.name));
      this.root.append(place);
      this.charts.push(this.chart(panel, place));
    }
    requestAnimationFrame(() => this.resize());
  }

  chart(panel, place) {
    const look = getComputedStyle(document.documentElement);
    const several = this.found.runs.length > 1;
    const runs = this.found.runs.map(({ run }) => run);
    const names = new Map(this.found.runs.map(({ run, name }) => [run, name]));
    const axis = { stroke: look.getPropertyValue("--quiet"), size: 50 };
    const grid = { show: true, stroke: look.getPropertyValue("--grid"), width: 1 };
    const labels = panel.curves.map(({ run, part, phase }) =>
      [several ? names.get(run) : "", part, `${phase} ${panel.name}`].filter(Boolean).join(" "),
    );
    const parts = [...new Set(panel.curves.map(({ part }) => part))];
    const color = ({ run, part, phase }) => {
      const own = parts.indexOf(part) * 2 + (phase === "test" ? 1 : 0);
      return look.getPropertyValue(`--curve-${(several ? runs.indexOf(run) : own) % COLORS}`);
    };
    const chart = new uPlot(
      {
        ...size(place),
        cursor: { drag: { x: true, y: false, setScale: false }, sync: { key: "runs" } },
        scales: { x: { time: false }, y: { distr: this.log && canBeLog(panel) ? 3 : 1 } },
        axes: [
          { ...axis, size: 34, grid, values: (_, at) => at.map(exact) },
          { ...axis, grid, values: (_, at) => at.map((y) => (y === null ? "" : value(y))) },
        ],
        series: [
          { label: this.x, value: (_, x) => (x === null ? "–" : exact(Math.round(x))) },
          ...panel.curves.map((curve, k) => ({
            label: labels[k],
            show: !this.hidden.has(labels[k]),
            stroke: color(curve),
            width: 1.6,
            dash: curve.phase === "test" ? [5, 3] : undefined,
            points: { show: curve.phase === "test" && curve.x.length < 100, size: 5 },
            value: (_, y) => value(y),
          })),
        ],
        hooks: {
          setSelect: [(chart) => this.select(chart)],
          setSeries: [
            (_, index, { show }) => {
              if (index && show === true) this.hidden.delete(labels[index - 1]);
              if (index && show === false) this.hidden.add(labels[index - 1]);
            },
          ],
        },
      },
      this.data(panel),
      place,
    );
    chart.over.addEventListener("dblclick", () => {
      this.zoom = null;
      this.onChange();
    });
    for (const head of place.querySelectorAll(".u-legend .u-series th")) {
      head.setAttribute("tabindex", "0");
      head.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") event.target.click();
      });
    }
    return chart;
  }

  // Look closer at what was marked.
  select(chart) {
    const { left, width } = chart.select;
    if (width < 4) return;
    const ends = [left, left + width].map((at) => chart.posToVal(at, "x"));
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.zoom = ends;
    this.onChange();
  }

  resize() {
    for (const chart of this.charts) chart.setSize(size(chart.root.parentElement));
  }
}

// What decides which curves there are, not which numbers they have.
function shapeOf({ runs, panels }) {
  return JSON.stringify([
    runs.map(({ run, name }) => [run, name]),
    panels.map(({ name, curves }) => [name, curves.map(({ run, part, phase, x }) =>
      [run, part, phase, x.length < 100])]),
  ]);
}

function canBeLog({ curves }) {
  return curves.some(({ y }) => y.some((one) => one > 0));
}

function size(place) {
  const { clientWidth: width, clientHeight: height } = place;
  const head = place.querySelector("h3")?.offsetHeight ?? 20;
  const legend = place.querySelector(".u-legend")?.offsetHeight ?? 28;
  return { width: Math.max(width, 160), height: Math.max(height - head - legend - 4, 70) };
}
