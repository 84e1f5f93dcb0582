// Runs side by side: the best of each curve, and the settings in which they differ.
import { el } from "./dom.js";
import { exact, value } from "./numbers.js";

// `colors` has a mark for each run, which is its colour in the charts.
export function compareTables({ runs, best, settings, settings_left_off: leftOff }, colors) {
  const heads = (words) =>
    el("thead", {}, el("tr", {},
      el("th", { scope: "col" }, words),
      runs.map(({ name }, k) => el("th", { scope: "col" }, colors[k]?.cloneNode() ?? null, name))));
  const rows = best.map((one) => bestRow(one));
  const silent = runs.filter(({ told }) => !told).map(({ name }) => name);
  const notes = [];
  if (silent.length) notes.push(`The log tells no settings: ${silent.join(", ")}.`);
  if (!settings.length) {
    notes.push(runs.length > 1 ? "No setting differs." : "Choose several runs to compare settings.");
  }
  if (leftOff) notes.push(`${exact(leftOff)} more settings differ.`);
  return [
    el("table", { class: "best" }, heads("best, last"), el("tbody", {}, rows)),
    settings.length
      ? el("table", { class: "settings" }, heads("setting"), el("tbody", {},
          settings.map(({ name, values }) =>
            el("tr", {}, el("th", { scope: "row" }, name),
              values.map((words) => el("td", {}, words ?? "–"))))))
      : null,
    ...notes.map((words) => el("p", { class: "quiet" }, words)),
  ].filter(Boolean);
}

function bestRow({ name, rises, values }) {
  const told = values.map(({ best }) => best).filter((one) => one !== null);
  const top = told.length > 1 ? (rises ? Math.max(...told) : Math.min(...told)) : null;
  return el("tr", {},
    el("th", { scope: "row" }, name),
    values.map(({ best, iteration, last, lost }) =>
      el("td", { class: best !== null && best === top ? "number winner" : "number" },
        best === null ? null : el("b", {}, value(best)),
        best === null ? null : el("small", {}, ` at ${exact(iteration)}`),
        last === null ? "–" : el("span", { class: "quiet" }, best === null ? "" : ", ",
          value(last)),
        lost === null ? null : el("span", { class: "problem" }, ` no number at ${exact(lost)}`))));
}
