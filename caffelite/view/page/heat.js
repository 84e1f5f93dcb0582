// How the values of a blob, or their gradients, were spread over time: a column for each record,
// dark where many values are.
import { el } from "./dom.js";
import { exact, value } from "./numbers.js";

const ROWS = 128; // of the picture
const FAR = 4; // standard deviations from the mean that are shown, at most

// `onPick(blob, kind)` when others are wanted.
export function heatMap({ blobs, blob, records, columns }, kind, onPick) {
  if (!blobs.length) {
    return el("p", { class: "quiet" },
      "The log has no histograms of weights; train with --log FILE --histograms 100.");
  }
  const blobOf = el("select", {
    id: "blob", "aria-label": "Blob", onchange: ({ target }) => onPick(target.value, kind),
  }, blobs.map((name) => el("option", { value: name, selected: name === blob }, name)));
  const kinds = [["data", "values"], ["diff", "gradients"]].map(([one, words]) =>
    el("button", { "aria-pressed": String(one === kind), onclick: () => onPick(blob, one) }, words));
  const bar = el("div", { class: "controls" }, blobOf, el("div", { class: "choice" }, kinds));
  if (!columns.length) {
    return [bar, el("p", { class: "quiet" }, "There are no such records: nothing is learned here.")];
  }
  const shown = columns.length < records ? `${columns.length} of ${exact(records)} records` : "";
  return [bar, ...picture(columns, `${blob}, ${kind === "data" ? "values" : "gradients"}`, shown)];
}

function picture(columns, name, note) {
  const low = Math.min(...columns.map(({ min, mean, std }) => Math.max(min, mean - FAR * std)));
  const high = Math.max(...columns.map(({ max, mean, std }) => Math.min(max, mean + FAR * std)));
  const span = high - low || 1;
  const canvas = el("canvas", { width: columns.length, height: ROWS, role: "img",
    "aria-label": `${name} over time, from ${value(low)} to ${value(high)}` });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns.length, ROWS);
  const [r, g, b] = color();
  columns.forEach((column, x) => {
    const strengths = densities(column, low, span);
    const most = Math.max(...strengths) || 1;
    strengths.forEach((strength, row) => {
      const at = 4 * ((ROWS - 1 - row) * columns.length + x);
      image.data.set([r, g, b, 255 * Math.sqrt(strength / most)], at);
    });
  });
  context.putImageData(image, 0, 0);
  const { mean, std, iteration } = columns.at(-1);
  return [
    el("div", { class: "heat" },
      el("div", { class: "scale" }, el("span", {}, value(high)), el("span", {}, value(low))),
      canvas),
    el("p", { class: "scale" },
      el("span", {}, `iteration ${exact(columns[0].iteration)}`),
      el("span", {}, [note, `last: mean ${value(mean)}, standard deviation ${value(std)}`]
        .filter(Boolean).join("; ")),
      el("span", {}, exact(iteration))),
  ];
}

// How many values fall into each of the rows between `low` and `low + span`.
function densities({ heights, min, max }, low, span) {
  const found = new Array(ROWS).fill(0);
  const row = (y) => ((y - low) / span) * ROWS;
  const wide = (max - min) / heights.length;
  heights.forEach((height, k) => {
    const first = row(min + k * wide);
    const last = Math.max(row(min + (k + 1) * wide), first + 1e-9);
    for (let y = Math.max(0, Math.floor(first)); y < ROWS && y < last; y += 1) {
      const part = (Math.min(last, y + 1) - Math.max(first, y)) / (last - first);
      found[y] += height * Math.max(part, 0);
    }
    if (wide === 0 && k === 0) {
      found[Math.min(ROWS - 1, Math.max(0, Math.floor(first)))] += height;
    }
  });
  return found;
}

// The page's accent, as numbers.
function color() {
  const accent = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
  return [1, 3, 5].map((at) => parseInt(accent.slice(at, at + 2), 16));
}
