// The editor: CodeMirror for prototxt. It lives in a shadow root, where style sheets come from
// code, so that the page's policy needs no exception for inline styles.
import { completion } from "./completion.js";
import { lineErrors, setLineErrors } from "./line_errors.js";
import {
  EditorState, EditorView, HighlightStyle, StreamLanguage, bracketMatching, closeBrackets,
  closeBracketsKeymap, completionKeymap, defaultKeymap, drawSelection, foldGutter, foldKeymap, foldService,
  highlightActiveLine, highlightActiveLineGutter, highlightSelectionMatches, highlightSpecialChars,
  history, historyKeymap, indentOnInput, indentUnit, keymap, lineNumbers, lintGutter, search,
  searchKeymap, setDiagnostics, syntaxHighlighting, tags,
} from "./vendor/codemirror.js";

const prototxt = StreamLanguage.define({
  name: "prototxt",
  startState: () => ({ depth: 0 }),
  copyState: ({ depth }) => ({ depth }),
  token(stream, state) {
    if (stream.eatSpace()) return null;
    if (stream.match(/^#.*/)) return "comment";
    if (stream.match(/^(["'])(?:\\.|(?!\1).)*\1?/)) return "string";
    if (stream.match(/^-?\d[\w.+-]*/)) return "number";
    if (stream.match(/^\w+(?=\s*[:{<])/)) return "propertyName";
    if (stream.match(/^(?:true|false)\b/)) return "bool";
    if (stream.match(/^\w+/)) return "atom";
    const sign = stream.next();
    if ("{[<".includes(sign)) state.depth += 1;
    if ("}]>".includes(sign)) state.depth = Math.max(state.depth - 1, 0);
    return null;
  },
  indent: ({ depth }, after, { unit }) => unit * Math.max(depth - /^[}\]>]/.test(after), 0),
  languageData: {
    commentTokens: { line: "#" },
    closeBrackets: { brackets: ["{", "[", '"'] },
    indentOnInput: /^\s*[}\]>]$/,
  },
});

const colors = HighlightStyle.define([
  { tag: tags.comment, color: "var(--code-comment)", fontStyle: "italic" },
  { tag: tags.string, color: "var(--code-string)" },
  { tag: tags.number, color: "var(--code-number)" },
  { tag: tags.propertyName, color: "var(--code-field)" },
  { tag: [tags.bool, tags.atom], color: "var(--code-value)" },
]);

const theme = EditorView.theme({
  "&": { height: "100%", fontSize: "12.5px", color: "var(--ink)", background: "var(--paper)" },
  ".cm-scroller": { fontFamily: "ui-monospace, 'DejaVu Sans Mono', monospace", lineHeight: "1.45" },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { background: "var(--paper)", color: "var(--faint)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { background: "var(--active)" },
  "&.cm-focused": { outline: "none" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": {
    background: "var(--selection) !important",
  },
  ".cm-panels": { background: "var(--card)", color: "var(--ink)" },
  ".cm-panels-top": { borderBottom: "1px solid var(--edge) !important" },
  ".cm-panel.cm-search": {
    display: "flex", flexWrap: "wrap", alignItems: "center", gap: "5px 6px",
    padding: "7px 34px 7px 12px", font: "12px/1.4 system-ui, sans-serif",
  },
  ".cm-panel.cm-search br": { flexBasis: "100%", height: "0", content: "''" },
  ".cm-panel.cm-search input, .cm-panel.cm-search button": { margin: "0", font: "inherit" },
  ".cm-panel.cm-search label": {
    display: "inline-flex", alignItems: "center", gap: "4px", font: "inherit", margin: "0",
    color: "var(--quiet)",
  },
  ".cm-panel.cm-search [name=close]": {
    top: "5px", right: "8px", font: "16px/1 system-ui", color: "var(--quiet)", padding: "3px 7px",
    borderRadius: "6px", cursor: "pointer",
  },
  ".cm-panel.cm-search [name=close]:hover": { background: "var(--active)" },
  ".cm-searchMatch": { background: "var(--selection)", outline: "1px solid var(--accent)" },
  ".cm-searchMatch-selected": { background: "var(--accent)", color: "var(--paper)" },
  ".cm-tooltip": { background: "var(--card)", color: "var(--ink)", border: "1px solid var(--edge)" },
  ".cm-foldPlaceholder": { background: "var(--active)", color: "var(--quiet)", border: "none" },
  ".cm-textfield": {
    background: "var(--paper)", color: "var(--ink)", border: "1px solid var(--edge)",
    borderRadius: "6px", padding: "3px 8px", flex: "1 1 9em", minWidth: "0",
  },
  ".cm-button": {
    background: "var(--card)", color: "var(--ink)", border: "1px solid var(--edge)",
    borderRadius: "6px", padding: "3px 9px", cursor: "pointer",
  },
  ".cm-button:hover": { background: "var(--active)" },
});

// A line that opens a brace folds up to the one that closes it.
const folding = foldService.of((state, from, to) => {
  const opened = /[{<]\s*(?:#.*)?$/.exec(state.doc.sliceString(from, to));
  if (!opened) return null;
  let depth = 1;
  for (let k = state.doc.lineAt(from).number + 1; k <= state.doc.lines; k += 1) {
    const line = state.doc.line(k);
    for (const [bracket] of line.text.replace(/#.*|"[^"]*"/g, "").matchAll(/[{}<>]/g)) {
      depth += "{<".includes(bracket) ? 1 : -1;
      if (depth === 0) return { from: to, to: line.from + line.text.lastIndexOf(bracket) };
    }
  }
  return null;
});

export class Editor {
  // `on.change(text)`, `on.line(number)` when the cursor goes to another line, `on.save()`.
  constructor(parent, on) {
    this.on = on;
    this.line = 1;
    this.shadow = parent.attachShadow({ mode: "open" });
    this.shadow.adoptedStyleSheets = [hostStyle()];
    this.view = new EditorView({
      root: this.shadow,
      parent: this.shadow,
      state: this.state(""),
    });
  }

  state(text) {
    return EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(), highlightActiveLine(), highlightActiveLineGutter(), highlightSpecialChars(),
        history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), folding,
        foldGutter(), highlightSelectionMatches(), search({ top: true }), lintGutter(),
        completion, lineErrors,
        prototxt, syntaxHighlighting(colors), theme, indentUnit.of("  "),
        EditorView.contentAttributes.of({ "aria-label": "Text of the net" }),
        keymap.of([
          { key: "Mod-s", run: () => { this.on.save(); return true; } },
          ...completionKeymap, ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap,
        ]),
        EditorView.updateListener.of((update) => this.updated(update)),
      ],
    });
  }

  updated(update) {
    if (update.docChanged) this.on.change(this.text);
    const line = update.state.doc.lineAt(update.state.selection.main.head).number;
    if (line !== this.line && update.view.hasFocus) this.on.line(line);
    this.line = line;
  }

  get text() {
    return this.view.state.doc.toString();
  }

  load(text) {
    this.view.setState(this.state(text));
  }

  // Put the cursor at a line, in the middle of what is seen.
  goTo(number, { focus = false } = {}) {
    const { doc } = this.view.state;
    const line = doc.line(Math.min(Math.max(number, 1), doc.lines));
    this.line = line.number;
    this.view.dispatch({
      selection: { anchor: line.from },
      effects: EditorView.scrollIntoView(line.from, { y: "center" }),
    });
    if (focus) this.view.focus();
  }

  // Mark findings, {line, column?, severity, message}, at their lines.
  mark(findings) {
    const { doc } = this.view.state;
    const marks = findings
      .filter(({ line }) => line >= 1 && line <= doc.lines)
      .map(({ line, column, severity, message }) => {
        const at = doc.line(line);
        const indent = at.text.length - at.text.trimStart().length;
        const from = at.from + Math.min(column ? column - 1 : indent, at.length);
        return { from, to: at.to, severity, message };
      })
      .sort((a, b) => a.from - b.from);
    this.view.dispatch(setDiagnostics(this.view.state, marks));
    const errors = findings.filter(({ severity }) => severity === "error").reverse();
    setLineErrors(this.view, new Map(errors.map(({ line, message }) => [line, message])));
  }
}

function hostStyle() {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(":host { display: block; overflow: hidden }");
  return sheet;
}
