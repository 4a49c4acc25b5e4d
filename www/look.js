// What a photo looks like, by a piece of its own pixels: which of our models suits it.

import { filesModule } from './read.js';

/** Side of a piece that is looked at, in pixels. */
const SIDE = 256;

/** Of the pieces of a photo the one with the most detail: a canvas that shows it, its pixels, and the photo's size. */
async function mostDetailed(file, side) {
  const { placesOfPieces, detailOf } = await filesModule();
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none' });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(Math.min(width, side), Math.min(height, side));
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const pixelsAt = (x, y) => {
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, -x, -y);
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
  };
  const places = placesOfPieces(width, height, side);
  let best = { detail: -1 };
  for (let i = 0; i < places.length; i += 4) {
    const [x, y] = [places[i], places[i + 1]];
    const detail = detailOf(pixelsAt(x, y), canvas.width, canvas.height);
    if (detail > best.detail) best = { detail, x, y };
  }
  const pixels = pixelsAt(best.x, best.y);
  bitmap.close();
  return { canvas, pixels, width, height };
}

/**
 * What a photo looks like, and its size: { isClean, isDrawn, isPixelArt, width, height }; null where the browser cannot show it. A clean
 * photo is sharp to the pixel, without noise and compression; drawings may be screenshots or text.
 */
export async function look(file) {
  try {
    const { Looked } = await filesModule();
    const { canvas, pixels, width, height } = await mostDetailed(file, SIDE);
    const looked = Looked.at(pixels, canvas.width, canvas.height, width, height);
    const told = { isClean: looked.clean, isDrawn: looked.drawn, isPixelArt: looked.pixels, width, height };
    looked.free();
    return told;
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
