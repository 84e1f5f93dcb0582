// All about the layer that was clicked: wiring, counts, options; of its weights, histograms and
// filters.
import { ask } from "./ask.js";
import { $, el, svg } from "./dom.js";
import { exact, shape, value } from "./numbers.js";
import { counts, facts } from "./tips.js";

const panel = $("layer");
let shown = null; // name of the layer in the panel

export function hideLayer() {
  shown = null;
  panel.hidden = true;
}

export function showLayer(layer, withWeights, onClose) {
  const sameAsBefore = shown === layer.name;
  const scrolled = sameAsBefore ? panel.scrollTop : 0;
  const weights = sameAsBefore ? panel.querySelector(".weights") : null;
  shown = layer.name;
  const close = { class: "close", "aria-label": "Close", title: "Close ( Esc )", onclick: onClose };
  panel.replaceChildren(
    ...[
      el("header", {}, el("h2", {}, layer.name), el("button", close, "×")),
      el("p", { class: `type ${layer.kind}` }, layer.type, el("small", {}, ` line ${layer.line}`)),
      layer.problem ? el("p", { class: layer.missing ? "missing" : "problem" }, layer.problem) : null,
      facts([
        ...layer.bottom.map((blob) => [`reads ${blob.name}`, shape(blob.shape)]),
        ...layer.top.map((blob) => [`makes ${blob.name}`, shape(blob.shape)]),
        ...layer.blobs.map((blob) => [blob.name, shape(blob.shape)]),
        ...counts([layer]),
      ]),
      weights ?? el("div", { class: "weights" }),
      layer.options ? [el("h3", {}, "Options"), el("pre", {}, layer.options.trimEnd())] : null,
    ]
      .flat()
      .filter(Boolean),
  );
  panel.hidden = false;
  panel.scrollTop = scrolled;
  if (withWeights && !weights) showWeights(layer);
}

async function showWeights(layer) {
  const place = panel.querySelector(".weights");
  if (!layer.blobs.length) return;
  place.append(el("h3", {}, "Weights"), el("p", { class: "quiet" }, "reading …"));
  let blobs = null;
  try {
    ({ blobs } = await ask("weights", { layer: layer.name }));
  } catch (problem) {
    place.lastChild.textContent = problem.message;
    return;
  }
  if (!blobs) {
    place.lastChild.textContent = "The weights file has no layer of this name.";
    return;
  }
  place.lastChild.remove();
  blobs.forEach((blob, index) => place.append(...blobPart(blob, layer.blobs[index])));
}

function blobPart(blob, expected) {
  const name = expected ? expected.name : "one more blob";
  const differs = expected && shape(expected.shape) !== shape(blob.shape);
  const parts = [el("h4", {}, name, el("small", {}, ` ${shape(blob.shape)}`))];
  if (differs && blob.count !== expected.shape.reduce((a, b) => a * b, 1)) {
    parts.push(el("p", { class: "problem" }, `the net expects ${shape(expected.shape)}`));
  }
  if (blob.not_finite) {
    parts.push(el("p", { class: "problem" }, `${exact(blob.not_finite)} values are not finite`));
  }
  if (!blob.histogram) return parts;
  parts.push(
    histogram(blob, name),
    facts([
      ["mean", value(blob.mean)],
      ["standard deviation", value(blob.std)],
      ["zeros", exact(blob.zeros)],
    ]),
  );
  if (blob.filters) parts.push(...filterPart(blob.filters));
  return parts;
}

function histogram({ histogram: heights, min, max }, name) {
  const [width, height] = [288, 64];
  const most = Math.max(...heights, 1);
  const step = width / heights.length;
  return el(
    "figure",
    {},
    svg(
      "svg",
      { class: "histogram", viewBox: `0 0 ${width} ${height}`, role: "img",
        "aria-label": `Histogram of ${name}, from ${value(min)} to ${value(max)}` },
      heights.map((count, k) => {
        const tall = count ? Math.max((count / most) * height, 1) : 0;
        return svg("rect", { x: k * step, y: height - tall, width: step - 0.7, height: tall });
      }),
    ),
    el("figcaption", {}, el("span", {}, value(min)), el("span", {}, value(max))),
  );
}

function filterPart({ count, of, height, width, color, pixels }) {
  const columns = Math.ceil(Math.sqrt(count * (height / width)));
  const rows = Math.ceil(count / columns);
  const canvas = el("canvas", {
    class: "filters",
    width: columns * (width + 1) - 1,
    height: rows * (height + 1) - 1,
    role: "img",
    "aria-label": `${count} filters of ${height} by ${width}`,
  });
  const bytes = Uint8Array.from(atob(pixels), (c) => c.charCodeAt(0));
  const context = canvas.getContext("2d");
  const channels = color ? 3 : 1;
  const size = height * width;
  for (let k = 0; k < count; k += 1) {
    const image = context.createImageData(width, height);
    for (let at = 0; at < size; at += 1) {
      const from = (k * size + at) * channels;
      for (let c = 0; c < 3; c += 1) image.data[4 * at + c] = bytes[from + (color ? c : 0)];
      image.data[4 * at + 3] = 255;
    }
    const [row, column] = [Math.floor(k / columns), k % columns];
    context.putImageData(image, column * (width + 1), row * (height + 1));
  }
  const words = count < of ? `the first ${count} of ${exact(of)} planes` : `${count} filters`;
  return [canvas, el("p", { class: "quiet" }, color ? words : `${words}, dark is low`)];
}
