// A large image on a small canvas, painted while its rows come.

/** Pixels of the largest canvas. */
const MOST = 1 << 23;
/** Longest side of a canvas that all browsers have. */
const LONGEST = 32_767;

export class Reduced {
  #canvas;
  #size;
  /** Rows on their way to a canvas that is smaller than they are. */
  #rows = new OffscreenCanvas(1, 1);

  /** Gives a canvas the size to show an image of `width` and `height`, reduced where it is large. */
  constructor(canvas, { width, height }) {
    this.#canvas = canvas;
    this.#size = { width, height };
    const share = Math.min(1, Math.sqrt(MOST / (width * height)), LONGEST / Math.max(width, height));
    Object.assign(canvas, { width: Math.max(1, Math.floor(share * width)), height: Math.max(1, Math.floor(share * height)) });
  }

  /** Paints rows of the image, `rgba` from row `first`. */
  paint(first, width, rgba) {
    if (this.#size.width !== width) return;
    const [rows, canvas, context] = [new ImageData(rgba, width), this.#canvas, this.#canvas.getContext('2d')];
    if (canvas.width === width) {
      context.putImageData(rows, 0, first);
      return;
    }
    // So wide a canvas no browser has.
    if (width > LONGEST) return;
    const share = canvas.height / this.#size.height;
    Object.assign(this.#rows, { width, height: rows.height });
    this.#rows.getContext('2d').putImageData(rows, 0, 0);
    // Whole rows of the canvas, for half ones would let the ground through.
    const [top, bottom] = [Math.floor(first * share), Math.ceil((first + rows.height) * share)];
    context.drawImage(this.#rows, 0, top, canvas.width, bottom - top);
  }

  /** Lets go of the pixels. */
  clear() {
    for (const canvas of [this.#canvas, this.#rows]) Object.assign(canvas, { width: 1, height: 1 });
  }
}
