// How large images may be.

import { Said } from './said.js';

/** Most pixels of a photo, as in the module. */
export const MOST = 64_000_000;
/** Most bytes of a strip, and of what a first pass leaves for a second, as in the module. */
const MEMORY = 512 << 20;
/** Rows of a strip, as in the module: of the least tiles, and those that are kept back. */
const STRIP = 128 + 64;

/** Pixels that the browser may show as one image: it takes ten bytes for each, and may have a third of the memory. */
export const SHOWN = (globalThis.navigator?.deviceMemory ?? 4) * 2 ** 25;

/** How many times a photo of so many columns is enlarged: to a width by whole numbers, and then reduced. */
const timesOf = (columns, { scale, width }, own) => (width ? Math.ceil(width / columns) : scale ?? own);

/** Bytes that a first pass by a model of a scale leaves for a second, for each of the images. */
const leftBy = ({ width, height }, times, own) => (times > own ? 6 * width * height * own ** 2 : 0);

/** Bytes of a strip of so many planes. */
const stripOf = ({ width, height }, times, own, planes) => 4 * planes * width * Math.min(height, STRIP) * Math.min(times, own) ** 2;

/** Whether a result can have two layers, where the browser shows so many pixels. */
export function layered(photo, options, own, most = SHOWN) {
  const times = timesOf(photo.width, options, own);
  // Three colours of each, and what is invented.
  const bytes = Math.max(2 * leftBy(photo, times, own), stripOf(photo, times, own, 7));
  return photo.width * photo.height * times ** 2 <= most && bytes <= MEMORY;
}

/**
 * The error of a photo that cannot be enlarged so, by a model of a scale; null for one that can, as far as its size tells. Alpha takes more,
 * which is seen later.
 */
export function refusal(photo, options, own) {
  const { width, height } = photo;
  if (width * height > MOST) return new Said('too-large', { width, height, megapixels: MOST / 1e6 });
  if (!own) return null;
  const times = timesOf(width, options, own);
  // What does not fit with layers is made without.
  const bytes = Math.max(leftBy(photo, times, own), stripOf(photo, times, own, options.mode === 'instant' ? 3 : 4));
  return bytes > MEMORY ? new Said('too-wide', { size: `${width}x${height}` }) : null;
}

/**
 * The largest size in place of one that was refused with an error, `{ width }` or `{ scale }` and the other undefined; null where the size is
 * not what was wrong, or none is left.
 */
export function largest(photo, options, own, { code, args }) {
  if (code === 'width') {
    const [wanted, most] = [args.wanted, args.most].map(Number);
    return wanted > most && most > photo.width ? { width: most, scale: undefined } : null;
  }
  if (code !== 'too-wide' || !own || !photo.width) return null;
  let scale = timesOf(photo.width, options, own) - 1;
  while (scale > 1 && refusal(photo, { ...options, width: undefined, scale }, own)) scale -= 1;
  return scale > 1 ? { scale, width: undefined } : null;
}
