// The page: fetches the net, draws it, and redraws it while the text is edited.
import { ask, tell } from "./ask.js";
import { $, el } from "./dom.js";
import { Editor } from "./editor.js";
import { GraphView } from "./graph_view.js";
import { hideLayer, showLayer } from "./layer_panel.js";
import { bytes, exact, short, total } from "./numbers.js";
import { Panel } from "./panels.js";
import { RunPanel } from "./runs.js";
import { Search } from "./search.js";

// Rules of lint that find what keeps a layer from being built.
const BREAKS = new Set([
  "syntax", "unknown-type", "bottom-count", "top-count", "unknown-bottom", "two-producers",
  "in-place", "shape", "list-length",
]);
const PAUSE = 250; // milliseconds without a key before the net is drawn anew

let given; // what the server says of the file
let graph = null; // the last that the text made
let phase;
let saved = ""; // the text as it is in the file
let broken = null; // the mistake that keeps the text from being a net
let timer;
let asking = false;
let again = false; // the text changed while the server was asked

const run = new Panel("run", { name: "the runs", size: 38 });
const right = new Panel("right", { name: "the text", size: 37 });
new Panel("findings", { name: "findings", size: 22, inside: right });
const view = new GraphView((layer) => {
  if (!layer) hideLayer();
  else {
    showLayer(layer, given.weights, close);
    editor.goTo(layer.line);
  }
});
const editor = new Editor($("editor"), {
  change: (text) => {
    $("save").disabled = text === saved;
    if (given) $("file-state").textContent = text === saved ? "" : "edited";
    $("checking").hidden = false;
    clearTimeout(timer);
    timer = setTimeout(update, PAUSE);
  },
  line: (number) => {
    const layer = layerAt(number);
    if (layer && layer.name !== view.selected) view.select(layer.name, { silent: true });
  },
  save: () => save(),
});
const search = new Search((name) => {
  view.select(name, { unfold: true });
  view.root.focus({ preventScroll: true });
});

function layerAt(line) {
  return graph?.layers.filter((layer) => layer.line <= line).at(-1);
}

function close() {
  view.select(null);
  view.root.focus({ preventScroll: true });
}

async function load() {
  given = await ask("net");
  phase ??= given.phase;
  run.offer(given.runs);
  if (!given.file) {
    document.body.classList.add("runs-only"); // there is no net, but runs alone
    return;
  }
  saved = given.text;
  editor.load(given.text);
  $("file").textContent = given.file.split(/[/\\]/).at(-1);
  $("file").title = given.file;
  $("file-state").textContent = "";
  $("save").disabled = true;
  $("reload").hidden = true;
  showPhase();
  await update();
}

function showPhase() {
  for (const button of document.querySelectorAll("[data-phase]")) {
    button.setAttribute("aria-pressed", String(button.dataset.phase === phase));
  }
}

// Ask what the text means now; one question at a time, and no key is missed.
async function update() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    do {
      again = false;
      $("checking").hidden = false;
      const text = editor.text;
      await show(await tell("graph", { text, phase }));
      if (!again) showFindings((await tell("lint", { text })).findings);
    } while (again);
  } catch (problem) {
    const words = problem.status ? problem.message : "caffelite view does not answer any more";
    $("file-state").textContent = words;
  } finally {
    asking = false;
    $("checking").hidden = true;
  }
}

async function show(found) {
  const { mistake } = found;
  $("stale").hidden = !mistake || !graph;
  $("graph").classList.toggle("is-stale", Boolean(mistake));
  broken = mistake;
  if (mistake) return;
  graph = found;
  search.layers = graph.layers;
  showTotals();
  await view.show(graph);
  const layer = graph.layers.find(({ name }) => name === view.selected);
  if (layer && !$("layer").hidden) showLayer(layer, given.weights, close);
  else if (!layer) hideLayer();
  document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1);
}

function showTotals() {
  const { layers, batch } = graph;
  const perSample = (sum) => (batch ? `${short(sum / batch)} per sample` : `${short(sum)} per pass`);
  const perBatch = (sum) => `${bytes(sum)} per ${batch ? `batch of ${exact(batch)}` : "pass"}`;
  $("name").textContent = graph.name || "net";
  document.title = `${graph.name || "net"} – caffelite view`;
  $("totals").textContent = [
    `${exact(layers.length)} layers`,
    `learnable: ${total(layers, "learnable", short)}`,
    `multiply-adds: ${total(layers, "macs", perSample)}`,
    `memory: ${total(layers, "memory", perBatch)}`,
  ].join(" · ");
  $("totals").title = $("totals").textContent;
}

// What lint finds, and what keeps a layer, or the whole, from being built, if lint is silent on it.
function showFindings(findings) {
  const problems = broken
    ? [{ ...broken, layer: "" }]
    : graph.layers
        .filter(({ problem }) => problem)
        .map(({ line, name, problem, missing }) => ({
          line, layer: name, message: problem, severity: missing ? "warning" : "error",
        }));
  const told = findings.map((finding) => {
    const wrong =
      problems.some(({ layer, severity }) => layer === finding.layer && severity !== "warning") &&
      BREAKS.has(finding.rule);
    return { ...finding, severity: wrong ? "error" : finding.advice ? "info" : "warning" };
  });
  const silent = problems.filter(
    ({ layer }) => !told.some((one) => one.layer === layer && one.severity === "error"),
  );
  const all = [...told, ...silent.map((problem) => ({ severity: "error", ...problem }))].sort(
    (a, b) => a.line - b.line,
  );
  editor.mark(all.map((one) => ({ ...one, message: words(one) })));
  $("findings-title").textContent = all.length
    ? `${all.length} finding${all.length > 1 ? "s" : ""}`
    : "No findings";
  $("findings-list").replaceChildren(
    ...all.map((one) =>
      el(
        "li",
        {},
        el(
          "button",
          { class: one.severity, onclick: () => editor.goTo(one.line, { focus: true }) },
          el("b", {}, `line ${one.line}`),
          one.layer ? el("i", {}, one.layer) : null,
          el("span", {}, words(one)),
        ),
      ),
    ),
  );
}

function words({ rule, message }) {
  return rule ? `${message} (${rule})` : message;
}

async function save() {
  const text = editor.text;
  if (text === saved) return;
  try {
    const { version } = await tell("save", { text, version: given.version });
    given.version = version;
    saved = text;
    $("save").disabled = editor.text === saved;
    $("file-state").textContent = "saved";
  } catch (problem) {
    $("file-state").textContent = problem.status ? problem.message : "not saved: no answer";
    $("reload").hidden = problem.status !== 409;
  }
}

for (const button of document.querySelectorAll("[data-phase]")) {
  button.addEventListener("click", () => {
    phase = button.dataset.phase;
    showPhase();
    update();
  });
}
$("save").addEventListener("click", save);
$("reload").addEventListener("click", load);
addEventListener("beforeunload", (event) => {
  if (editor.text !== saved) event.preventDefault();
});
addEventListener("keydown", (event) => {
  const typing = event.target.closest("input,textarea,#editor");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    $("search").focus();
  } else if (event.key === "Escape" && !typing && !$("layer").hidden) close();
});

await load();
if (given.runs) new RunPanel({ alone: !given.file });
