// An image file's photo, upright: read by our own decoders or, where they refuse, by the browser's.

import { MOST } from './limits.js';
import { forbidden, watch } from './reach.js';
import { Said, free, said } from './said.js';

/** Rows of a canvas that pixels are read from. */
const ROWS = 256;
/** How far beyond sRGB, whose colours have samples from 0 to 1, is more than rounding. */
const BEYOND = 0.02;

/** A module, loaded by `load`, ready to run. */
export async function begun(load, name) {
  const watched = watch();
  try {
    const module = await load();
    await module.default();
    return module;
  } catch (error) {
    // What came and still does not run says why; a script that did not come is a `TypeError`.
    const came = error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError || error instanceof RangeError;
    throw await forbidden(watched) ?? (came ? new Said('not-started', { name, why: error.message }) : new Said('not-loaded', { name }));
  } finally {
    watched.stop();
  }
}

/** The module for image files, a promise. */
let files = null;

/** The module for image files, ready to run. */
export function filesModule() {
  files ??= begun(() => import('./asasr-files.js'), 'asasr-files');
  files.catch(() => { files = null; });
  return files;
}

/** A file as our own decoders read it. */
async function byUs(bytes) {
  const { Photo } = await filesModule();
  const photo = Photo.read(bytes);
  return { photo, notes: photo.notes };
}

/** Whether a refusal of ours leaves the file to the browser: the image may be whole, and of a kind that only we do not read. */
const leaves = (refusal) => refusal.name.startsWith('Unread');

const text = (bytes) => String.fromCharCode(...bytes);

/** The brands of an ISO base media file, its own first; none for other files. */
function brands(bytes) {
  if (text(bytes.subarray(4, 8)) !== 'ftyp') return [];
  const end = Math.min(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0), bytes.length, 256);
  const all = text(bytes.subarray(8, end)).match(/.{4}/gs) ?? [];
  return all.filter((_, i) => i !== 1); // where the second one would be is a version
}

/** Whether an ISO base media file says that its image is HDR: of the transfer functions PQ or HLG (ITU-T H.273), in its first colour box. */
const isHdrMedia = (bytes) => /colrnclx..\0[\x10\x12]/s.test(text(bytes.subarray(0, 1 << 12)));

/** The media type of what a browser may read; empty where it has to find out by itself. */
function typeOf(bytes) {
  const known = brands(bytes);
  if (known.some((brand) => /^avi[fs]$/.test(brand))) return 'image/avif';
  if (known.some((brand) => /^he[iv]/.test(brand))) return 'image/heic';
  if (/^(\xff\x0a|\0\0\0\x0cJXL )/.test(text(bytes.subarray(0, 8)))) return 'image/jxl';
  return text(bytes.subarray(0, 2)) === '\xff\xd8' ? 'image/jpeg' : '';
}

/** Whether a file has several frames. */
async function animated(bytes, type) {
  try {
    const decoder = new ImageDecoder({ data: bytes, type });
    await decoder.tracks.ready;
    await decoder.completed;
    const frames = [...decoder.tracks].map(({ frameCount }) => frameCount);
    decoder.close();
    return Math.max(...frames) > 1;
  } catch {
    // Without that interface, or one for this type, the brand says it.
    return brands(bytes).includes('avis');
  }
}

/** An image's pixels in sRGB, as a canvas gives them; its strips are small, for browsers limit its size. */
function pixels(image) {
  const { width, height } = image;
  const data = new Uint8ClampedArray(4 * width * height);
  const context = new OffscreenCanvas(width, Math.min(height, ROWS)).getContext('2d', { willReadFrequently: true });
  context.globalCompositeOperation = 'copy';
  for (let y = 0; y < height; y += ROWS) {
    context.drawImage(image, 0, -y);
    data.set(context.getImageData(0, 0, width, Math.min(ROWS, height - y)).data, 4 * width * y);
  }
  return { width, height, data };
}

/** Whether an image has colours that sRGB lacks, where the browser can tell. */
function beyond(image) {
  const share = Math.min(1, 1024 / Math.max(image.width, image.height));
  const [width, height] = [image.width, image.height].map((side) => Math.max(1, Math.round(share * side)));
  const context = new OffscreenCanvas(width, height).getContext('2d', { colorType: 'float16' });
  if (context.getContextAttributes?.().colorType !== 'float16') return false;
  context.imageSmoothingQuality = 'low';
  context.drawImage(image, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height, { pixelFormat: 'rgba-float16' });
  return data.some((value) => value < -BEYOND || value > 1 + BEYOND);
}

/** An image of the browser's as a photo in sRGB, and what that cost. */
async function drawn(image) {
  const notes = beyond(image) ? [said('beyond-srgb')] : [];
  const { Photo } = await filesModule();
  const { width, height, data } = pixels(image);
  image.close();
  return { photo: Photo.drawn(width, height, data), notes };
}

/** A file as the browser reads it, after we refused it. */
async function byBrowser(bytes, refusal) {
  const type = typeOf(bytes);
  let image;
  try {
    image = await createImageBitmap(new Blob([bytes], { type }));
  } catch {
    const { name, cause } = refusal;
    if (cause === 'SVG') throw new Said('vectors');
    throw name === 'UnreadFormat' ? new Said('format-unread-anywhere', { format: cause }) : refusal;
  }
  const { width, height } = image;
  if (width * height > MOST) {
    image.close();
    throw new Said('too-large', { width, height, megapixels: MOST / 1e6 });
  }
  const kind = refusal.cause;
  const read = await drawn(image);
  const notes = [
    kind ? said('browser-read-kind', { kind }) : said('browser-read'),
    !kind && said('look-whole'),
    await animated(bytes, type) && said('animation'),
    isHdrMedia(bytes) && said('hdr-to-srgb'),
    brands(bytes).includes('tmap') && said('second-image'),
  ];
  return { photo: read.photo, notes: [...notes.filter(Boolean), ...read.notes] };
}

async function read(bytes) {
  try {
    return await byUs(bytes);
  } catch (error) {
    if (leaves(error)) return byBrowser(bytes, error);
    throw error;
  }
}

/** Whether a result cannot say which colours its samples mean, so that they have to be sRGB; of layers it is known whether they are. */
export function converts(photo, { strip, format = 'png', converted }) {
  const told = photo.colours;
  if (converted !== undefined) return converted && told !== undefined;
  if (!told || strip) return told !== undefined;
  // JPEG and WebP carry profiles, of three colours.
  return format !== 'png' && (told !== 'profile' || photo.channels < 3);
}

/** A photo with its colours in sRGB, as the browser shows them. */
async function inSrgb(photo) {
  try {
    const image = await createImageBitmap(new Blob([photo.png()], { type: 'image/png' }));
    const { photo: second, notes } = await drawn(image);
    second.tells_of(photo);
    const converted = said(photo.bits === 16 ? 'to-srgb-8' : 'to-srgb');
    const all = [converted, ...(photo.hdr ? [said('hdr-to-srgb')] : []), ...notes];
    return { photo: second, notes: all, converted: true };
  } finally {
    free(photo);
  }
}

/** A file's photo, `{ photo, notes, converted }`, in colours that a result by those wishes can have. */
export async function readable(given, wanted) {
  const first = await read(given);
  if (!converts(first.photo, wanted)) return first;
  const second = await inSrgb(first.photo);
  return { ...second, notes: [...first.notes, ...second.notes] };
}

/** Cells of a side of the grid by which two drawings are compared. */
const CELLS = 16;

/** An image's size, and its colours in a grid of cells. */
async function sketch(file) {
  const image = await createImageBitmap(new Blob([file]));
  const { width, height } = image;
  const context = new OffscreenCanvas(CELLS, CELLS).getContext('2d', { willReadFrequently: true });
  context.imageSmoothingQuality = 'high';
  context.drawImage(image, 0, 0, CELLS, CELLS);
  image.close();
  return { width, height, data: context.getImageData(0, 0, CELLS, CELLS).data };
}

/** How far a grid, turned and mirrored, is from another one. */
function apart(a, b, [turned, mirroredX, mirroredY]) {
  let sum = 0;
  for (let y = 0; y < CELLS; y++) {
    for (let x = 0; x < CELLS; x++) {
      const [u, v] = [mirroredX ? CELLS - 1 - x : x, mirroredY ? CELLS - 1 - y : y];
      const [i, j] = [4 * (y * CELLS + x), 4 * (turned ? u * CELLS + v : v * CELLS + u)];
      for (let c = 0; c < 4; c++) sum += Math.abs(a.data[i + c] - b.data[j + c]);
    }
  }
  return sum;
}

/** The eight ways to hold a photo, upright first. */
const WAYS = Array.from({ length: 8 }, (_, n) => [n & 4, n & 2, n & 1]);

/**
 * A file's image as a PNG upright, where the browser shows it otherwise turned, `{ blob, width, height }`; else null. `photo` is the file as
 * it was read. Browsers do not agree which files' EXIF data they heed.
 */
export async function upright(given, photo) {
  if (!photo.hasExif) return null;
  const { width, height } = photo;
  const own = photo.png();
  const shown = { blob: new Blob([own], { type: 'image/png' }), width, height };
  // One after the other: each is held whole for a moment.
  const ours = await sketch(own);
  const theirs = await sketch(given).catch(() => null);
  if (!theirs) return shown;
  const [same, ...others] = WAYS.map((way) => apart(ours, theirs, way));
  const sideways = theirs.width !== width && theirs.width === height;
  // Colours may differ, by a profile that is not ours to read: what counts is that another way is nearer by far.
  return sideways || Math.min(...others) * 2 < same ? shown : null;
}
