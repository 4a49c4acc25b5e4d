// What a photo looks like, by a few statistics of its own pixels: which of our models suits it.

/** Side of a piece that is looked at, in pixels. */
const SIDE = 256;
/** JPEG's blocks. */
const BLOCK = 8;

/** The grey levels of `rgba` as people see them (BT.601), 0 to 255. */
function luma({ data }) {
  const grey = new Float32Array(data.length / 4);
  for (let i = 0; i < grey.length; i++) grey[i] = 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
  return grey;
}

/**
 * Statistics of a piece, an `ImageData` whose first pixel begins a block of JPEG's where the photo has them:
 * `slope`, the mean absolute difference of neighbours in grey levels;
 * `edge`, how much of a strong edge's rise over two pixels is over one of them, a half to one;
 * `fine`, the mean absolute Laplacian as a share of the slope;
 * `blocks`, differences over the borders of JPEG's blocks as a share of the others;
 * `flat`, the share of blocks of one colour.
 */
export function statistics(piece) {
  const { width, height, data } = piece;
  const grey = luma(piece);
  let [slopes, laplacians, borders, insides, bordersSeen, insidesSeen] = [0, 0, 0, 0, 0, 0];
  const rises = [];
  const step = (d, at) => {
    if (at % BLOCK === BLOCK - 1) {
      borders += d;
      bordersSeen += 1;
    } else {
      insides += d;
      insidesSeen += 1;
    }
  };
  for (let y = 1; y + 1 < height; y++) {
    for (let x = 1; x + 1 < width; x++) {
      const i = y * width + x;
      const [right, down] = [Math.abs(grey[i + 1] - grey[i]), Math.abs(grey[i + width] - grey[i])];
      slopes += right + down;
      step(right, x);
      step(down, y);
      laplacians += Math.abs(grey[i - width - 1] - 2 * grey[i - width] + grey[i - width + 1] - 2 * grey[i - 1] + 4 * grey[i]
        - 2 * grey[i + 1] + grey[i + width - 1] - 2 * grey[i + width] + grey[i + width + 1]);
      for (const next of [1, width]) {
        const rise = Math.abs(grey[i + next] - grey[i - next]);
        if (rise >= 4) rises.push([rise, Math.max(Math.abs(grey[i + next] - grey[i]), Math.abs(grey[i] - grey[i - next])) / rise]);
      }
    }
  }
  const pixels = Math.max((width - 2) * (height - 2), 1);
  const slope = slopes / 2 / pixels;
  // The strongest twentieth of all places.
  const strong = rises.sort(([a], [b]) => b - a).slice(0, Math.ceil(pixels / 10));
  const edge = strong.length === 0 ? 0.5 : strong.reduce((sum, [, share]) => sum + share, 0) / strong.length;
  const blocks = (borders / Math.max(bordersSeen, 1)) / (insides / Math.max(insidesSeen, 1) + 0.5);
  return { slope, edge, fine: laplacians / pixels / (slope + 0.1), blocks, flat: flatBlocks(data, width, height) };
}

/** The share of blocks all of whose pixels are alike. */
function flatBlocks(data, width, height) {
  const pixels = new Uint32Array(data.buffer, data.byteOffset, data.length / 4);
  let [flat, all] = [0, 0];
  for (let top = 0; top + BLOCK <= height; top += BLOCK) {
    for (let left = 0; left + BLOCK <= width; left += BLOCK) {
      const first = pixels[top * width + left];
      let same = true;
      for (let i = 0; same && i < BLOCK * BLOCK; i++) same = pixels[(top + (i >> 3)) * width + left + (i & 7)] === first;
      flat += same;
      all += 1;
    }
  }
  return all === 0 ? 0 : flat / all;
}

/** Whether a piece is sharp to the pixel and without noise and compression, as what a larger photo was reduced to. */
export const isClean = ({ edge, fine, blocks }) => edge >= 0.7 && fine >= 1.2 && blocks <= 1.06;

/** Whether a photo of such statistics is a drawing, a screenshot or text: much of it is of one colour. */
export const isDrawn = (looks) => looks !== null && looks.flat >= 0.35;

/** Where pieces of that side begin: in the middle and, in what is larger, in the middles of its quarters. */
function places(length, side) {
  const at = (share) => Math.min(Math.max(Math.floor((length * share - side / 2) / BLOCK) * BLOCK, 0), Math.max(length - side, 0));
  return length > 2 * side ? [at(0.5), at(0.25), at(0.75)] : [at(0.5)];
}

/** Of the pieces of a photo the one with the most detail: its statistics, and a canvas that shows it. */
async function mostDetailed(file, side) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none' });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(Math.min(width, side), Math.min(height, side));
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const show = (x, y) => {
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, -x, -y);
  };
  const pieces = places(height, side).flatMap((y) => places(width, side).map((x) => {
    show(x, y);
    return { x, y, seen: statistics(context.getImageData(0, 0, canvas.width, canvas.height)) };
  }));
  const { x, y, seen } = pieces.reduce((best, piece) => (piece.seen.slope > best.seen.slope ? piece : best));
  show(x, y);
  bitmap.close();
  return { seen, canvas };
}

/** The statistics of the piece with the most detail; null where the browser cannot show the photo. */
export const look = (file) => mostDetailed(file, SIDE).then(({ seen }) => seen, () => null);

/** A PNG of the piece with the most detail of a photo of so many pixels: of a sixtieth of them, so that its speed tells that of the whole. */
export async function pieceOf(file, pixels) {
  const side = Math.min(Math.max(Math.round(Math.sqrt(pixels / 60)), SIDE), 2 * SIDE);
  const { canvas } = await mostDetailed(file, side);
  return canvas.convertToBlob();
}

/** Whether a photo of so many pixels is worth a piece before it. */
export const isLarge = (pixels) => pixels >= 8 * SIDE * SIDE;
