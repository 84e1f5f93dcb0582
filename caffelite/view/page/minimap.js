// A map of the whole net, with a frame around what is seen of it; a press or a drag goes there.
import { $, svg } from "./dom.js";

const MOST = { width: 220, height: 190 };
const PART = 0.3; // of the view's sides that it may cover
const LEAST = 18; // of a side, where a net is very long
const SEEN = 4; // least side of the frame

export class Minimap {
  // `onGo(x, y)` is called with the place of the net that is to be in the middle of the view.
  constructor(onGo) {
    this.root = $("minimap");
    this.button = $("map");
    this.onGo = onGo;
    this.wanted = sessionStorage.getItem("map") !== "false";
    this.placed = null;
    this.frame = svg("rect", { class: "seen", rx: 1 });
    this.button.addEventListener("click", () => {
      this.wanted = !this.wanted;
      sessionStorage.setItem("map", String(this.wanted));
      this.follow(this.view);
    });
    this.root.addEventListener("pointerdown", (event) => {
      this.root.setPointerCapture(event.pointerId);
      this.go(event);
    });
    this.root.addEventListener("pointermove", (event) => {
      if (this.root.hasPointerCapture(event.pointerId)) this.go(event);
    });
  }

  // Draw the map of a net as it was laid out.
  draw(nodes, placed) {
    this.placed = placed;
    const { width, height } = placed;
    const { clientWidth, clientHeight } = this.root.parentElement;
    this.scale = Math.min(
      Math.min(MOST.width, PART * clientWidth) / width,
      Math.min(MOST.height, PART * clientHeight) / height,
    );
    const [wide, tall] = [width, height].map((side) => Math.max(side * this.scale, LEAST));
    const [shiftX, shiftY] = [(wide - width * this.scale) / 2, (tall - height * this.scale) / 2];
    this.root.setAttribute("width", wide);
    this.root.setAttribute("height", tall);
    const boxes = svg(
      "g",
      { transform: `translate(${shiftX},${shiftY}) scale(${this.scale})` },
      nodes.map(({ id, rows }) => {
        const box = placed.places[id];
        const size = { width: box.width, height: box.height };
        const corner = { x: box.x - box.width / 2, y: box.y - box.height / 2 };
        return svg("rect", { class: `box ${rows[0].kind}`, ...corner, ...size });
      }),
      this.frame,
    );
    this.root.replaceChildren(boxes);
  }

  // Frame what is seen: `view` is {left, top, right, bottom} in the net, which needs no map where it
  // is seen whole.
  follow(view) {
    this.view = view;
    this.button.setAttribute("aria-pressed", String(this.wanted));
    if (!this.placed || !view) return;
    const { width, height } = this.placed;
    const whole = view.left <= 0 && view.top <= 0 && view.right >= width && view.bottom >= height;
    this.root.toggleAttribute("hidden", whole || !this.wanted);
    const [left, right] = [view.left, view.right].map((x) => Math.min(Math.max(x, 0), width));
    const [top, bottom] = [view.top, view.bottom].map((y) => Math.min(Math.max(y, 0), height));
    const least = SEEN / this.scale;
    this.frame.setAttribute("x", left);
    this.frame.setAttribute("y", top);
    this.frame.setAttribute("width", Math.max(right - left, least));
    this.frame.setAttribute("height", Math.max(bottom - top, least));
  }

  go({ clientX, clientY }) {
    const { left, top, width, height } = this.root.getBoundingClientRect();
    this.onGo(
      this.placed.width / 2 + (clientX - left - width / 2) / this.scale,
      this.placed.height / 2 + (clientY - top - height / 2) / this.scale,
    );
  }
}
