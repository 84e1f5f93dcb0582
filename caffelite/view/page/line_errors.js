// What keeps the net from being built, in words behind the line where it stands.
import { Decoration, EditorView, StateEffect, StateField } from "./vendor/codemirror.js";

const MOST = 160; // characters that are shown; the list of findings has all

const set = StateEffect.define();

const field = StateField.define({
  create: () => Decoration.none,
  update(marks, transaction) {
    for (const effect of transaction.effects) if (effect.is(set)) return effect.value;
    return marks.map(transaction.changes);
  },
  provide: (one) => EditorView.decorations.from(one),
});

const theme = EditorView.theme({
  ".cm-line.with-error": { background: "var(--wrong-ground)" },
  ".cm-line.with-error::after": {
    content: "attr(data-error)", color: "var(--wrong)", paddingLeft: "2.5em", fontStyle: "italic",
    fontFamily: "system-ui, sans-serif", fontSize: "11.5px",
  },
});

export const lineErrors = [field, theme];

// Say of each line, {line number: words}, what is wrong there.
export function setLineErrors(view, words) {
  const { doc } = view.state;
  const marks = [...words]
    .filter(([line]) => line >= 1 && line <= doc.lines)
    .sort(([a], [b]) => a - b)
    .map(([line, said]) =>
      Decoration.line({
        class: "with-error",
        attributes: { "data-error": said.length > MOST ? `${said.slice(0, MOST)} …` : said },
      }).range(doc.line(line).from),
    );
  view.dispatch({ effects: set.of(Decoration.set(marks)) });
}
