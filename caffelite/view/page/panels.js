// Panels that can be closed, and splitters that share out the room; both are remembered for the
// session. A panel is an element of class "panel" beside what takes the rest of its parent's room; in the
// page stand its splitter (data-of), its button in the head (data-panel) and the one that closes it.
import { $ } from "./dom.js";

const STEP = 3; // per cent of the parent, for each press of an arrow key

export class Panel {
  // `name` is said of it; `size` is the part of its parent that it takes at first, in per cent;
  // `inside` is the panel that it stands in, if any.
  constructor(id, { name, size, inside = null, least = 15, most = 80 }) {
    Object.assign(this, { id, name, inside, least, most, there: true, held: null });
    if (inside) inside.held = this;
    this.element = $(id);
    this.splitter = document.querySelector(`[data-of="${id}"]`);
    this.button = document.querySelector(`[data-panel="${id}"]`);
    const { open = true, size: kept = size } = remembered(id);
    this.open = open;
    this.button.addEventListener("click", () => this.toggle(!this.seen));
    const close = document.querySelector(`[data-close="${id}"]`);
    close.setAttribute("aria-label", `Close: ${name}`);
    close.title = "Close";
    close.addEventListener("click", () => {
      this.toggle(false);
      this.button.focus();
    });
    this.listen();
    this.resize(kept);
    this.show();
  }

  listen() {
    const { splitter } = this;
    splitter.setAttribute("role", "separator");
    splitter.setAttribute("tabindex", "0");
    splitter.setAttribute("aria-label", `Size: ${this.name}`);
    splitter.setAttribute("aria-controls", this.id);
    splitter.setAttribute("aria-valuemin", this.least);
    splitter.setAttribute("aria-valuemax", this.most);
    splitter.addEventListener("keydown", (event) => this.key(event));
    splitter.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      splitter.setPointerCapture(event.pointerId);
      splitter.classList.add("dragged");
      event.preventDefault();
    });
    splitter.addEventListener("pointermove", (event) => {
      if (splitter.hasPointerCapture(event.pointerId)) this.drag(event);
    });
    splitter.addEventListener("lostpointercapture", () => splitter.classList.remove("dragged"));
  }

  // Whether it stands below what it shares the room with, not beside it.
  get below() {
    return getComputedStyle(this.element.parentElement).flexDirection === "column";
  }

  drag({ clientX, clientY }) {
    const { right, bottom, width, height } = this.element.parentElement.getBoundingClientRect();
    this.resize(100 * (this.below ? (bottom - clientY) / height : (right - clientX) / width));
  }

  key(event) {
    const act = {
      ArrowLeft: () => this.resize(this.size + STEP),
      ArrowUp: () => this.resize(this.size + STEP),
      ArrowRight: () => this.resize(this.size - STEP),
      ArrowDown: () => this.resize(this.size - STEP),
      Home: () => this.resize(this.least),
      End: () => this.resize(this.most),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  resize(size) {
    this.size = Math.min(Math.max(size, this.least), this.most);
    this.element.style.flexBasis = `${this.size}%`;
    this.splitter.setAttribute("aria-valuenow", Math.round(this.size));
    this.splitter.setAttribute("aria-orientation", this.below ? "horizontal" : "vertical");
    this.remember();
  }

  toggle(open) {
    this.open = open;
    if (open) this.inside?.toggle(true);
    this.show();
    this.remember();
  }

  // Say whether there is anything to show; where not, it has no button either.
  offer(there) {
    this.there = there;
    this.show();
  }

  get seen() {
    return this.there && this.open && (this.inside?.seen ?? true);
  }

  show() {
    this.element.hidden = !this.seen;
    this.splitter.hidden = !this.seen;
    this.button.hidden = !this.there;
    this.button.setAttribute("aria-pressed", String(this.seen));
    this.button.title = `${this.seen ? "Close" : "Open"}: ${this.name}`;
    this.held?.show();
  }

  remember() {
    sessionStorage.setItem(`panel ${this.id}`, JSON.stringify({ open: this.open, size: this.size }));
  }
}

function remembered(id) {
  return JSON.parse(sessionStorage.getItem(`panel ${id}`) ?? "{}");
}
