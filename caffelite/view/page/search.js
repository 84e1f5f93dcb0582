// The search field: layers whose name or type holds the words, as a list to walk with the arrows.
import { $, el } from "./dom.js";

const MOST = 50; // results shown

export class Search {
  constructor(onPick) {
    this.onPick = onPick;
    this.field = $("search");
    this.list = $("found");
    this.at = 0;
    this.field.addEventListener("input", () => this.find());
    this.field.addEventListener("focus", () => this.find());
    this.field.addEventListener("blur", () => this.close());
    this.field.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // keeps the focus in the field
      const option = event.target.closest("[role=option]");
      if (option) this.pick(Number(option.dataset.at));
    });
  }

  find() {
    const words = this.field.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const hits = words.length
      ? (this.layers ?? []).filter(({ name, type }) =>
          words.every((word) => `${name} ${type}`.toLowerCase().includes(word)),
        )
      : [];
    this.hits = hits.slice(0, MOST);
    this.at = 0;
    const more = hits.length - this.hits.length;
    this.list.replaceChildren(
      ...this.hits.map(({ name, type }, k) =>
        el("li", { role: "option", id: `found-${k}`, "data-at": k },
          el("span", {}, name), el("small", {}, type)),
      ),
      ...(more ? [el("li", { class: "quiet" }, `and ${more} more`)] : []),
      ...(words.length && !hits.length ? [el("li", { class: "quiet" }, "no such layer")] : []),
    );
    this.list.hidden = !words.length;
    this.field.setAttribute("aria-expanded", String(words.length > 0));
    this.mark();
  }

  mark() {
    for (const option of this.list.querySelectorAll("[role=option]")) {
      const on = Number(option.dataset.at) === this.at;
      option.setAttribute("aria-selected", String(on));
      if (on) option.scrollIntoView({ block: "nearest" });
    }
    if (this.hits.length) this.field.setAttribute("aria-activedescendant", `found-${this.at}`);
    else this.field.removeAttribute("aria-activedescendant");
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.hits?.length) {
      this.at = (this.at + step + this.hits.length) % this.hits.length;
      this.mark();
    } else if (event.key === "Enter" && this.hits?.length) this.pick(this.at);
    else if (event.key === "Escape") {
      this.field.value = "";
      this.close();
      this.field.blur();
    } else return;
    event.preventDefault();
  }

  pick(at) {
    this.close();
    this.onPick(this.hits[at].name);
  }

  close() {
    this.list.hidden = true;
    this.field.setAttribute("aria-expanded", "false");
  }
}
