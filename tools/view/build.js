// Bundle each library into one file of the page's vendor folder, and gather their licences.
import { build } from "esbuild";
import fs from "node:fs";
import path from "node:path";

const OUT = "../../caffelite/view/page/vendor";
const BUNDLES = {
  codemirror: `
    export { EditorState, StateEffect, StateField } from "@codemirror/state";
    export { Decoration, EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter,
             highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
    export { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
    export { HighlightStyle, StreamLanguage, bracketMatching, foldGutter, foldKeymap, foldService,
             indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
    export { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
    export { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
    export { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap,
             startCompletion } from "@codemirror/autocomplete";
    export { tags } from "@lezer/highlight";`,
  d3: `
    export { select } from "d3-selection";
    export { zoom, zoomIdentity, zoomTransform } from "d3-zoom";`,
  dagre: `export { default } from "@dagrejs/dagre";`,
  uplot: `export { default } from "uplot";`,
};

const used = new Set();
fs.rmSync(OUT, { recursive: true, force: true });
fs.mkdirSync(OUT, { recursive: true });
for (const [name, contents] of Object.entries(BUNDLES)) {
  const { metafile } = await build({
    stdin: { contents, resolveDir: "." },
    outfile: `${OUT}/${name}.js`,
    bundle: true,
    format: "esm",
    minify: true,
    legalComments: "none",
    metafile: true,
    target: "es2022",
  });
  for (const input of Object.keys(metafile.inputs)) {
    const found = input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (found) used.add(found[1]);
  }
}
fs.copyFileSync("node_modules/uplot/dist/uPlot.min.css", `${OUT}/uplot.css`);

// dagre's own file holds graphlib already.
for (const name of used) {
  const { dependencies = {} } = JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`));
  for (const needed of Object.keys(dependencies)) used.add(needed);
}

const licences = [...used].sort().map((name) => {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(fs.readFileSync(`${folder}/package.json`, "utf8"));
  const file = fs.readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name}: no licence file`);
  const text = fs.readFileSync(path.join(folder, file), "utf8").trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
});
fs.writeFileSync(`${OUT}/LICENSES.txt`, licences.join(`\n${"-".repeat(80)}\n\n`));
