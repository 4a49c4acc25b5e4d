// Two images of one scene under one view: a slider between them, side by side, or one while a key is held.
//
// The view is `zoom`, CSS pixels per pixel of the result, and the result's pixel at the stage's centre. Both images lie
// under the same transformation, so that they move in step.

import { Reduced } from './reduced.js';
import { text } from './texts.js';

const CLOSEST = 16;
/** Of the stage's smaller side, for an arrow key. */
const STEP = 0.15;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export class Viewer {
  #root;
  #stage;
  #divider;
  #layers;
  #preview;
  /** What paints it while a result is made. */
  #growing = null;
  #mean;
  #name = null;
  #size = { width: 1, height: 1 };
  #view = { zoom: 1, x: 0, y: 0 };
  #fitted = true;
  #mode = 'slider';
  #split = 0.5;
  #pointers = new Map();

  /** Takes an element with `.stage`, which has `.layer.before`, `.layer.after` (each with an img, the latter with another and a canvas) and `.divider`. */
  constructor(root) {
    this.#root = root;
    this.#stage = root.querySelector('.stage');
    this.#divider = root.querySelector('.divider');
    this.#layers = { before: root.querySelector('.before'), after: root.querySelector('.after') };
    this.#preview = root.querySelector('.after canvas');
    this.#mean = root.querySelector('.after img + img');
    this.#listen();
    new ResizeObserver(() => (this.#fitted ? this.fit() : this.#draw())).observe(this.#stage);
  }

  /**
   * Shows the addresses of two images; `size` is the result's. Without the second it is painted by and by. Where the posterior
   * mean is given too, `fidelity` is its share.
   */
  show(before, after, size, name, mean = null) {
    const same = this.#size.width === size.width && this.#size.height === size.height && this.#name === name;
    this.#size = { width: size.width, height: size.height };
    this.#name = name;
    this.#layers.before.querySelector('img').src = before;
    const [image, canvas] = [this.#layers.after.querySelector('img'), this.#preview];
    this.#mean.hidden = mean === null;
    if (mean) this.#mean.src = mean;
    else this.#mean.removeAttribute('src');
    this.fidelity = 0;
    image.hidden = after === null;
    canvas.hidden = after !== null;
    this.#growing?.clear();
    this.#growing = after === null ? new Reduced(canvas, size) : null;
    if (after !== null) image.src = after;
    for (const child of this.#painted()) {
      Object.assign(child.style, { width: `${size.width}px`, height: `${size.height}px` });
    }
    this.#stage.style.setProperty('--shape', `${size.width} / ${size.height}`);
    this.relabel();
    // What somebody looks at already stays where it is when it is done.
    if (same) this.#draw();
    else this.fit();
  }

  /** Its name in the language of now. */
  relabel() {
    this.#stage.setAttribute('aria-label', text('stage', { name: this.#name }));
  }

  /** The share of the mean in what is seen, from 0 to 1. */
  set fidelity(share) {
    this.#layers.after.querySelector('img').style.opacity = this.#mean.hidden ? 1 : 1 - share;
    this.#mean.style.opacity = share;
  }

  /** Shows another image in place of the original. */
  set before(address) {
    this.#layers.before.querySelector('img').src = address;
  }

  /** Lets go of the images. */
  clear() {
    this.#stage.querySelectorAll('.layer > img').forEach((image) => image.removeAttribute('src'));
    this.#growing?.clear();
    this.#growing = null;
  }

  /** Paints rows of the result, `rgba` from row `first`. */
  paint(first, width, rgba) {
    this.#growing?.paint(first, width, rgba);
  }

  /** All that lies under the view. */
  #painted() {
    return this.#stage.querySelectorAll('.layer > *');
  }

  /** 'slider', 'beside' or 'hold'. */
  set mode(mode) {
    this.#mode = mode;
    this.#root.dataset.mode = mode;
    if (this.#fitted) this.fit();
    else this.#draw();
  }

  get mode() { return this.#mode; }

  get zoom() { return this.#view.zoom; }

  /** The whole image. */
  fit() {
    const { width, height } = this.#pane();
    const zoom = Math.min(width / this.#size.width, height / this.#size.height);
    this.#view = { zoom: Number.isFinite(zoom) && zoom > 0 ? zoom : 1, x: this.#size.width / 2, y: this.#size.height / 2 };
    this.#fitted = true;
    this.#draw();
  }

  /** A pixel of the result on each pixel of the screen. */
  pixels() {
    this.#zoomTo(1 / devicePixelRatio);
  }

  /** Closer by a factor, about a point of the stage. */
  magnify(factor, point) {
    this.#zoomTo(this.#view.zoom * factor, point);
  }

  /** What one image has to itself. */
  #pane() {
    const { clientWidth, clientHeight } = this.#stage;
    return { width: this.#mode === 'beside' ? clientWidth / 2 : clientWidth, height: clientHeight };
  }

  #zoomTo(wanted, point) {
    const pane = this.#pane();
    const fit = Math.min(pane.width / this.#size.width, pane.height / this.#size.height);
    const zoom = clamp(wanted, Math.min(fit, 1 / devicePixelRatio), CLOSEST);
    const { x = pane.width / 2, y = pane.height / 2 } = point ?? {};
    const [dx, dy] = [(x % pane.width) - pane.width / 2, y - pane.height / 2];
    const old = this.#view;
    this.#view = { zoom, x: old.x + dx / old.zoom - dx / zoom, y: old.y + dy / old.zoom - dy / zoom };
    this.#fitted = false;
    this.#draw();
  }

  #move(dx, dy) {
    this.#view.x -= dx / this.#view.zoom;
    this.#view.y -= dy / this.#view.zoom;
    this.#fitted = false;
    this.#draw();
  }

  #draw() {
    const pane = this.#pane();
    const { zoom } = this.#view;
    // What is larger than the pane fills it; what is smaller stays in its middle.
    const within = (at, size, side) => (size * zoom <= side ? size / 2 : clamp(at, side / 2 / zoom, size - side / 2 / zoom));
    this.#view.x = within(this.#view.x, this.#size.width, pane.width);
    this.#view.y = within(this.#view.y, this.#size.height, pane.height);
    const left = pane.width / 2 - this.#view.x * zoom;
    const top = pane.height / 2 - this.#view.y * zoom;
    // A whole image is no trap for a finger that scrolls the page.
    this.#stage.style.touchAction = this.#fitted ? 'pan-y' : 'none';
    for (const child of this.#painted()) {
      child.style.transform = `translate(${left}px, ${top}px) scale(${zoom})`;
      child.style.imageRendering = zoom * devicePixelRatio >= 3 ? 'pixelated' : 'auto';
    }
    this.#stage.style.setProperty('--split', `${this.#split * 100}%`);
    this.#divider.setAttribute('aria-valuenow', Math.round(this.#split * 100));
    this.#root.dispatchEvent(new CustomEvent('view', { detail: { zoom } }));
  }

  #divide(split) {
    this.#split = clamp(split, 0, 1);
    this.#draw();
  }

  #hold(on) {
    this.#root.toggleAttribute('data-held', on);
  }

  #listen() {
    const stage = this.#stage;
    const at = (event) => {
      const box = stage.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    stage.addEventListener('wheel', (event) => {
      // Nor is it one for a wheel that goes on down the page.
      if (this.#fitted && event.deltaY > 0 && !event.ctrlKey) return;
      event.preventDefault();
      this.magnify(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), at(event));
    }, { passive: false });
    stage.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      stage.setPointerCapture(event.pointerId);
      const onDivider = event.target.closest('.divider') !== null;
      this.#pointers.set(event.pointerId, { ...at(event), onDivider });
      if (this.#mode === 'hold' && this.#pointers.size === 1) this.#hold(true);
    });
    stage.addEventListener('pointermove', (event) => {
      const known = this.#pointers.get(event.pointerId);
      if (!known) return;
      const now = at(event);
      if (known.onDivider) {
        this.#divide(now.x / stage.clientWidth);
      } else if (this.#pointers.size === 2) {
        const other = [...this.#pointers].find(([id]) => id !== event.pointerId)[1];
        const apart = (p) => Math.hypot(p.x - other.x, p.y - other.y) || 1;
        this.magnify(apart(now) / apart(known), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
      } else {
        this.#move(now.x - known.x, now.y - known.y);
      }
      Object.assign(known, now);
    });
    for (const kind of ['pointerup', 'pointercancel']) {
      stage.addEventListener(kind, (event) => {
        this.#pointers.delete(event.pointerId);
        if (this.#mode === 'hold') this.#hold(false);
      });
    }
    const step = () => STEP * Math.min(stage.clientWidth, stage.clientHeight);
    const keys = {
      ArrowLeft: () => this.#move(step(), 0),
      ArrowRight: () => this.#move(-step(), 0),
      ArrowUp: () => this.#move(0, step()),
      ArrowDown: () => this.#move(0, -step()),
      '+': () => this.magnify(1.5),
      '=': () => this.magnify(1.5),
      '-': () => this.magnify(1 / 1.5),
      0: () => this.fit(),
      1: () => this.pixels(),
      h: () => this.#hold(true),
    };
    stage.addEventListener('keydown', (event) => {
      if (event.target !== stage || event.ctrlKey || event.metaKey || event.altKey) return;
      const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!action) return;
      event.preventDefault();
      action();
    });
    stage.addEventListener('keyup', (event) => { if (event.key.toLowerCase() === 'h') this.#hold(false); });
    stage.addEventListener('blur', () => this.#hold(false));
    this.#divider.addEventListener('keydown', (event) => {
      const moves = { ArrowLeft: this.#split - 0.05, ArrowRight: this.#split + 0.05, Home: 0, End: 1 };
      if (!(event.key in moves)) return;
      event.preventDefault();
      event.stopPropagation();
      this.#divide(moves[event.key]);
    });
  }
}
