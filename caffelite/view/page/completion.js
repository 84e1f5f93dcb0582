// Completion in the editor: the server says what may come next, and nothing of it is known here.
import { tell } from "./ask.js";
import { EditorView, autocompletion, startCompletion } from "./vendor/codemirror.js";

const WORD = /^[^\s:{}<>[\],;"'#]*$/;

async function source(context) {
  const before = context.matchBefore(/["'\w./+-][^\s:{}<>[\],;"'#]*$/);
  if (!context.explicit && !before) return null;
  let found;
  try {
    found = await tell("complete", { text: context.state.sliceDoc(0, context.pos) });
  } catch {
    return null; // the page says elsewhere that there is no answer
  }
  if (context.aborted || !found.options.length) return null;
  return {
    from: context.pos - found.partial.length,
    options: found.options.map((option) => ({
      label: option.label,
      detail: option.detail,
      info: option.info || undefined,
      apply: (view, _, from, to) => put(view, from, to, option, found.quote),
    })),
    validFor: WORD,
  };
}

// Put what was chosen in the place of the word; strings get their quotes, messages their braces.
function put(view, from, to, { apply, quoted }, quote) {
  let [insert, after] = [apply, ""];
  let end = to;
  if (quoted) {
    const mark = quote || '"';
    insert = `${quote ? "" : mark}${apply}${mark}`;
    if (view.state.sliceDoc(to, to + 1) === mark) end += 1;
  } else if (apply.endsWith('"')) after = '"';
  else if (apply.endsWith("{ ")) after = " }";
  const { state } = view;
  view.dispatch(state.update({
    changes: { from, to: end, insert: insert + after },
    selection: { anchor: from + insert.length },
    userEvent: "input.complete",
  }));
  if (/[:{"] ?$/.test(insert) && !quoted) startCompletion(view);
}

const theme = EditorView.theme({
  ".cm-tooltip.cm-tooltip-autocomplete": {
    background: "var(--card)", border: "1px solid var(--edge)", borderRadius: "8px",
    boxShadow: "0 6px 24px #0003", overflow: "hidden",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": {
    fontFamily: "ui-monospace, 'DejaVu Sans Mono', monospace", maxHeight: "14em", maxWidth: "30em",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "2px 10px", lineHeight: "1.4" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": {
    background: "var(--selection) !important", color: "var(--ink) !important",
  },
  ".cm-completionDetail": {
    color: "var(--quiet)", fontStyle: "normal", marginLeft: "1.2em", fontFamily: "system-ui",
  },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
  ".cm-tooltip.cm-completionInfo": {
    background: "var(--card)", border: "1px solid var(--edge)", borderRadius: "8px",
    padding: "6px 10px", maxWidth: "20em", font: "12px/1.4 system-ui, sans-serif",
  },
});

export const completion = [autocompletion({ override: [source], icons: false }), theme];
