// What a photo looks like, by a few statistics of its own pixels: which of our models suits it.

/** Side of a piece that is looked at, in pixels. */
const SIDE = 256;
/** JPEG's blocks. */
const BLOCK = 8;
/** How far chance alone moves the mean of one difference over a block's border, as a share of the others. */
const CHANCE = 0.7;
/** Most colours of pixel art, and its longest side. */
const FEW = 64;
const LONGEST = 512;

/** The grey levels of `rgba` as people see them (BT.601), 0 to 255. */
function luma({ data }) {
  const grey = new Float32Array(data.length / 4);
  for (let i = 0; i < grey.length; i++) grey[i] = 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
  return grey;
}

/** Pixels as one number each: their colour and alpha. */
const colours = ({ data }) => new Uint32Array(data.buffer, data.byteOffset, data.length / 4);

/** The mean absolute difference of neighbours in grey levels. */
function slopeOf(grey, width, height) {
  let sum = 0;
  for (let y = 1; y + 1 < height; y++) {
    for (let i = y * width + 1; i < (y + 1) * width - 1; i++) sum += Math.abs(grey[i + 1] - grey[i]) + Math.abs(grey[i + width] - grey[i]);
  }
  return sum / 2 / Math.max((width - 2) * (height - 2), 1);
}

/**
 * Statistics of a piece, an `ImageData` whose first pixel begins a block of JPEG's where the photo has them:
 * `slope`, the mean absolute difference of neighbours in grey levels;
 * `edge`, how much of a strong edge's rise over two pixels is over one of them, a half to one;
 * `fine`, the mean absolute Laplacian as a share of the slope;
 * `blocks`, differences over the borders of JPEG's blocks as a share of the others, less what chance does to so few;
 * `quiet`, the share of blocks within twelve grey levels;
 * `main`, the share of pixels in the eight most frequent colours, told apart by the upper four bits of each channel;
 * `hard`, how many strong steps there are for a weak one;
 * `same`, the share of neighbours of one colour;
 * `colours`, how many there are, up to one more than pixel art has.
 */
export function statistics(piece) {
  const { width, height } = piece;
  const grey = luma(piece);
  let [laplacians, borders, insides, bordersSeen, insidesSeen] = [0, 0, 0, 0, 0];
  // By the whole grey levels of a rise: how many places have it, and the sum of their shares.
  const [counts, shares] = [new Uint32Array(256), new Float64Array(256)];
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
      step(Math.abs(grey[i + 1] - grey[i]), x);
      step(Math.abs(grey[i + width] - grey[i]), y);
      laplacians += Math.abs(grey[i - width - 1] - 2 * grey[i - width] + grey[i - width + 1] - 2 * grey[i - 1] + 4 * grey[i]
        - 2 * grey[i + 1] + grey[i + width - 1] - 2 * grey[i + width] + grey[i + width + 1]);
      for (const next of [1, width]) {
        const rise = Math.abs(grey[i + next] - grey[i - next]);
        if (rise < 4) continue;
        const level = Math.floor(rise);
        counts[level] += 1;
        shares[level] += Math.max(Math.abs(grey[i + next] - grey[i]), Math.abs(grey[i] - grey[i - next])) / rise;
      }
    }
  }
  const pixels = Math.max((width - 2) * (height - 2), 1);
  const slope = slopeOf(grey, width, height);
  // The strongest twentieth of all places, which are two for a pixel.
  let [edges, sum] = [0, 0];
  for (let level = 255; level >= 4 && edges < pixels / 10; level--) {
    edges += counts[level];
    sum += shares[level];
  }
  const edge = edges === 0 ? 0.5 : sum / edges;
  const blocks = (borders / Math.max(bordersSeen, 1)) / (insides / Math.max(insidesSeen, 1) + 0.5) - CHANCE / Math.sqrt(bordersSeen + 1);
  const values = colours(piece);
  return {
    slope, edge, fine: laplacians / pixels / (slope + 0.1), blocks,
    quiet: quietBlocks(grey, width, height), main: mainColours(piece), hard: hardSteps(grey, width, height), same: sameNeighbours(values, width), colours: countColours(values),
  };
}

/** The share of blocks whose grey levels lie within twelve: noise and compression leave drawings that. */
function quietBlocks(grey, width, height) {
  let [quiet, all] = [0, 0];
  for (let top = 0; top + BLOCK <= height; top += BLOCK) {
    for (let left = 0; left + BLOCK <= width; left += BLOCK) {
      let [low, high] = [255, 0];
      for (let i = 0; i < BLOCK * BLOCK; i++) {
        const value = grey[(top + (i >> 3)) * width + left + (i & 7)];
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
      quiet += high - low <= 12;
      all += 1;
    }
  }
  return all === 0 ? 0 : quiet / all;
}

/** The share of pixels in the eight most frequent of 4096 colours. */
function mainColours({ data }) {
  const counts = new Uint32Array(4096);
  for (let i = 0; i < data.length; i += 4) counts[(data[i] >> 4) << 8 | (data[i + 1] >> 4) << 4 | data[i + 2] >> 4] += 1;
  return counts.sort().slice(-8).reduce((sum, count) => sum + count, 0) / (data.length / 4);
}

/** Gradients over two pixels above 60 grey levels, for one of 3 to 60. */
function hardSteps(grey, width, height) {
  let [hard, soft] = [0, 0];
  for (let y = 1; y + 1 < height; y++) {
    for (let i = y * width + 1; i < (y + 1) * width - 1; i++) {
      const step = Math.hypot(grey[i + 1] - grey[i - 1], grey[i + width] - grey[i - width]);
      hard += step > 60;
      soft += step >= 3 && step <= 60;
    }
  }
  return hard / Math.max(soft, 1);
}

/** The share of neighbours, in rows and in columns, that are alike. */
function sameNeighbours(pixels, width) {
  let [same, all] = [0, 0];
  for (let i = 0; i < pixels.length; i++) {
    if ((i + 1) % width !== 0) {
      same += pixels[i] === pixels[i + 1];
      all += 1;
    }
    if (i + width < pixels.length) {
      same += pixels[i] === pixels[i + width];
      all += 1;
    }
  }
  return all === 0 ? 1 : same / all;
}

function countColours(pixels) {
  const seen = new Set();
  for (let i = 0; i < pixels.length && seen.size <= FEW; i++) seen.add(pixels[i]);
  return seen.size;
}

/** Whether a piece is sharp to the pixel and without noise and compression, as what a larger photo was reduced to. */
export const isClean = ({ edge, fine, blocks }) => edge >= 0.7 && fine >= 1.2 && blocks <= 1.06;

/** Whether a photo of such statistics is a drawing, a screenshot or text: a few colours, quiet between hard edges; letters may be blurred. */
export const isDrawn = (looks) => looks !== null && looks.quiet >= 0.2 && looks.main >= 0.5 && looks.hard >= (looks.main >= 0.95 ? 0.05 : 0.25);

/** Whether an image is pixel art, which a network would smooth: small, of few colours for its size, with hard steps; of very few, with any. */
export function isPixelArt(looks) {
  if (looks === null || Math.max(looks.width, looks.height) > LONGEST) return false;
  const pixels = looks.width * looks.height;
  const hard = looks.edge >= 0.85 && looks.same >= 0.3 && looks.slope >= 2;
  return (hard && looks.colours <= Math.min(FEW, pixels / 8)) || (looks.slope >= 6 && looks.colours <= Math.min(FEW / 4, pixels / 16));
}

/** Where pieces of that side begin: in the middle and, in what is larger, in the middles of its quarters. */
function places(length, side) {
  const at = (share) => Math.min(Math.max(Math.floor((length * share - side / 2) / BLOCK) * BLOCK, 0), Math.max(length - side, 0));
  return length > 2 * side ? [at(0.5), at(0.25), at(0.75)] : [at(0.5)];
}

/** Of the pieces of a photo the one with the most detail: a canvas that shows it, its pixels, and the photo's size. */
async function mostDetailed(file, side) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none' });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(Math.min(width, side), Math.min(height, side));
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const show = (x, y) => {
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, -x, -y);
  };
  const piece = () => context.getImageData(0, 0, canvas.width, canvas.height);
  const pieces = places(height, side).flatMap((y) => places(width, side).map((x) => {
    show(x, y);
    return { x, y, slope: slopeOf(luma(piece()), canvas.width, canvas.height) };
  }));
  const { x, y } = pieces.reduce((best, each) => (each.slope > best.slope ? each : best));
  show(x, y);
  bitmap.close();
  return { canvas, piece, width, height };
}

/** The statistics of the piece with the most detail, and the photo's size; null where the browser cannot show the photo. */
export async function look(file) {
  try {
    const { piece, width, height } = await mostDetailed(file, SIDE);
    return { ...statistics(piece()), width, height };
  } catch {
    return null;
  }
}

/** A PNG of the piece with the most detail of a photo of so many pixels: of a sixtieth of them, so that its speed tells that of the whole. */
export async function pieceOf(file, pixels) {
  const side = Math.min(Math.max(Math.round(Math.sqrt(pixels / 60)), SIDE), 2 * SIDE);
  const { canvas } = await mostDetailed(file, side);
  return canvas.convertToBlob();
}

/** Whether a photo of so many pixels is worth a piece before it. */
export const isLarge = (pixels) => pixels >= 8 * SIDE * SIDE;
