// The panel of the runs: which are shown, and their curves, comparison, histograms and pictures,
// each in a tab. It asks again and again, so that all grow with the logs.
import { ask } from "./ask.js";
import { Charts } from "./charts.js";
import { compareTables } from "./compare.js";
import { $, el } from "./dom.js";
import { heatMap } from "./heat.js";
import { exact, value } from "./numbers.js";

const PAUSE = 1000; // milliseconds between looks at the logs
const AT_ONCE = 30; // the same, while there is more to read
const LOOK = 5; // looks at what is shown for each at the list
const MOST_SHOWN = 16; // as the server has it
const MEANS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]; // values that are smoothed into one

const TABS = {
  curves: "Curves",
  compare: "Compare",
  spread: "Weights",
  pictures: "Pictures",
  list: "List",
};

export class RunPanel {
  constructor({ alone = false } = {}) {
    this.alone = alone; // there is no net: the list has a place of its own
    this.runs = [];
    this.chosen = null; // numbers of the runs that are shown
    this.tab = "curves";
    this.looks = 0;
    this.blob = "";
    this.kind = "data";
    this.latest = {}; // the last answer of each tab, as text
    this.charts = new Charts(() => this.soon());
    this.places = Object.fromEntries(
      Object.keys(TABS).map((name) => [name, el("div", { class: `tab ${name}`, hidden: true })]),
    );
    this.places.curves.append(this.controls(), this.charts.root);
    if (alone) this.places.list.hidden = false;
    $("run-shown").replaceChildren(...Object.values(this.places));
    $("run-shown").classList.toggle("alone", alone);
    this.buttons = Object.entries(TABS)
      .filter(([name]) => !(alone && name === "list"))
      .map(([name, words]) =>
        el("button", { "data-tab": name, onclick: () => this.open(name) }, words),
      );
    $("run-tabs").replaceChildren(...this.buttons);
    this.open("curves");
  }

  controls() {
    this.names = el("div", { class: "names", role: "group", "aria-label": "What is drawn" });
    const words = el("output", {}, "as logged");
    const slider = el("input", {
      id: "smooth", type: "range", min: 0, max: MEANS.length - 1, value: 0,
      oninput: ({ target }) => {
        this.charts.smooth = MEANS[target.value];
        words.textContent = target.value > 0 ? `means of ${MEANS[target.value]}` : "as logged";
        this.soon();
      },
    });
    const axis = el(
      "select",
      { id: "axis", "aria-label": "Axis", onchange: ({ target }) => {
        this.charts.x = target.value;
        this.charts.zoom = null;
        this.soon();
      } },
      el("option", { value: "iteration" }, "iterations"),
      el("option", { value: "seconds" }, "seconds"),
    );
    const log = el("input", {
      id: "log-scale", type: "checkbox", onchange: ({ target }) => this.charts.setLog(target.checked),
    });
    return el(
      "div",
      { class: "controls" },
      this.names,
      el("label", {}, "smooth ", slider, " ", words),
      axis,
      el("label", {}, log, " log scale"),
    );
  }

  open(tab) {
    this.tab = tab;
    for (const [name, place] of Object.entries(this.places)) {
      place.hidden = name !== tab && !(this.alone && name === "list");
    }
    for (const button of this.buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.tab === tab));
    }
    this.soon();
  }

  // Look at once; one look at a time.
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), 0);
  }

  async look() {
    if (this.looking) {
      this.again = true;
      return;
    }
    this.looking = true;
    let more = false;
    try {
      do {
        this.again = false;
        more = await this.refresh();
      } while (this.again);
    } catch (problem) {
      $("run-state").textContent = problem.status
        ? problem.message
        : "caffelite view does not answer any more";
    } finally {
      this.looking = false;
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), more ? AT_ONCE : PAUSE);
  }

  async refresh() {
    let more = false;
    const listed = this.alone || this.tab === "list";
    if (!this.chosen || (listed && this.looks % LOOK === 0)) more = await this.refreshList();
    this.looks += 1;
    if (!this.chosen.length) {
      $("run-state").textContent = "no run is chosen";
      return more;
    }
    const runs = this.chosen.join(",");
    const found = await ask("curves", { runs, ...this.charts.query });
    if (!found.same) this.showCurves(found);
    more ||= found.more;
    if (this.tab === "compare") {
      const compared = await ask("compare", { runs });
      more ||= compared.more;
      this.put("compare", compared, () => compareTables(compared, this.charts.colors));
    } else if (this.tab === "spread") await this.refreshSpread();
    else if (this.tab === "pictures") await this.refreshPictures();
    return more;
  }

  // Fill a tab, if the answer is another than before.
  put(tab, answer, make) {
    const text = JSON.stringify(answer);
    if (this.latest[tab] === text) return;
    this.latest[tab] = text;
    this.places[tab].replaceChildren(...[make()].flat());
  }

  // The list

  async refreshList() {
    const found = await ask("runs");
    this.runs = found.runs;
    this.chosen ??= firstChosen(found);
    const several = found.runs.length > 1 || found.folder !== null;
    for (const button of this.buttons) {
      if (button.dataset.tab === "list") button.hidden = !several;
    }
    this.places.list.classList.toggle("few", !several);
    this.showList(found);
    return found.more;
  }

  showList(found) {
    const key = JSON.stringify([found, this.chosen]);
    if (this.latest.list === key) return;
    this.latest.list = key;
    const order = found.runs
      .map((run, number) => ({ ...run, number }))
      .sort((a, b) => (b.begun ?? 0) - (a.begun ?? 0));
    const notes = [];
    if (!order.length) notes.push(`no log of a run beneath ${found.folder}`);
    if (found.left_off) notes.push("there are more files than are looked at");
    const head = ["", "run", "begun", "state", "iterations", "loss", "least", "accuracy", "best"];
    this.places.list.replaceChildren(
      ...notes.map((words) => el("p", { class: "quiet" }, words)),
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, head.map((words) => el("th", { scope: "col" }, words)))),
        el("tbody", {}, order.map((run) => this.row(run))),
      ),
    );
  }

  row(run) {
    const { number, name, begun, state, iteration, loss, accuracy, lost, read } = run;
    const at = this.chosen.indexOf(number);
    const box = el("input", {
      type: "checkbox", checked: at >= 0, "aria-label": `Show ${name}`,
      onchange: ({ target }) => this.choose(number, target.checked),
    });
    const only = el("button", { class: "link", title: run.path, onclick: () => this.choose(number) },
      name);
    const color = at >= 0 ? this.charts.swatch(at) : el("span", { class: "swatch none" });
    const words = read < 1 && iteration !== null ? `reading, ${Math.floor(100 * read)} %` : state;
    return el(
      "tr",
      {},
      el("td", {}, box, color),
      el("th", { scope: "row" }, only),
      el("td", {}, begun ? new Date(begun * 1000).toLocaleString() : "–"),
      el("td", { class: lost ? "problem" : "" }, words,
        lost ? `, loss is no number at ${exact(lost.lost)}` : ""),
      el("td", { class: "number" }, iteration === null ? "–" : exact(iteration)),
      ...[loss, accuracy].flatMap((one) => [
        el("td", { class: "number", title: one?.name ?? "" }, value(one?.last)),
        el("td", { class: "number" }, value(one?.best),
          one?.iteration >= 0 ? el("small", {}, ` at ${exact(one.iteration)}`) : null),
      ]),
    );
  }

  // Show a run beside the others, or not; without `on`, it alone.
  choose(number, on) {
    const others = this.chosen.filter((one) => one !== number);
    if (on === undefined) this.chosen = [number];
    else this.chosen = on ? [...others, number].slice(-MOST_SHOWN) : others;
    this.charts.zoom = null;
    this.looks = 0;
    if (on === undefined && !this.alone) this.open("curves");
    else this.soon();
  }

  // Curves

  showCurves(found) {
    this.charts.show(found);
    const shown = new Set(found.panels.map(({ name }) => name));
    const buttons = found.names.map((name) =>
      el(
        "button",
        {
          "aria-pressed": String(shown.has(name)),
          onclick: () => {
            const panels = found.names.filter((one) => shown.has(one) !== (one === name));
            this.charts.panels = panels;
            this.soon();
          },
        },
        name,
      ),
    );
    const key = JSON.stringify([found.names, [...shown]]);
    if (this.latest.names !== key) this.names.replaceChildren(...buttons);
    this.latest.names = key;
    const words = found.runs.map((run) => stateOf(run));
    $("run-state").textContent =
      words.length === 1 ? words[0] : `${words.length} runs · ${tally(found.runs)}`;
    $("run-state").title = found.runs.map((run, k) => `${run.name}: ${words[k]}`).join("\n");
    $("run-state").classList.toggle("problem", found.runs.some(({ lost }) => lost));
    document.body.dataset.curves = String(Number(document.body.dataset.curves ?? 0) + 1);
  }

  // Weights and gradients, and pictures: of the first run that is shown

  async refreshSpread() {
    const run = this.chosen[0];
    const found = await ask("spread", { run, blob: this.blob, kind: this.kind });
    this.put("spread", [run, this.kind, found], () =>
      heatMap(found, this.kind, (blob, kind) => {
        this.blob = blob;
        this.kind = kind;
        this.soon();
      }),
    );
  }

  async refreshPictures() {
    const found = await ask("pictures", { run: this.chosen[0] });
    const { pictures } = found;
    this.put("pictures", found, () =>
      pictures.length
        ? pictures.map(({ name, iteration, png }) =>
            el("figure", {},
              el("img", { alt: name, src: `data:image/png;base64,${png}` }),
              el("figcaption", {}, `${name}, iteration ${exact(iteration)}`)),
          )
        : el("p", { class: "quiet" }, "The log has no pictures; train with --log FILE --pictures 100."),
    );
  }
}

// The runs that were named or, of those that were found, the latest.
function firstChosen({ named, runs }) {
  if (named) return runs.slice(0, Math.min(named, MOST_SHOWN)).map((_, number) => number);
  const latest = Math.max(...runs.map(({ begun }) => begun ?? 0));
  const at = runs.findIndex(({ begun }) => (begun ?? 0) === latest);
  return at < 0 ? [] : [at];
}

function stateOf(run) {
  const { state, iteration, loss, accuracy, lost, read, passed_over: passedOver } = run;
  const words = [];
  if (read < 1 && iteration !== null) words.push(`reading, ${Math.floor(100 * read)} %`);
  if (iteration !== null) words.push(`iteration ${exact(iteration)}`);
  for (const one of [loss, accuracy]) if (one) words.push(`${one.name} ${value(one.last)}`);
  if (lost) words.push(`${lost.name} is no number at iteration ${exact(lost.lost)}`);
  words.push(iteration === null && state === "going on" ? "no events yet" : state);
  if (passedOver) words.push(`${exact(passedOver)} lines are no events`);
  return words.join(" · ");
}

function tally(runs) {
  const counts = new Map();
  for (const { state } of runs) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, count]) => `${count} ${state}`).join(", ");
}
