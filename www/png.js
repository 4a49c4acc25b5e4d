// PNG files as scripts need them (PNG, third edition): the chunks of one, more chunks for one, and one of pixels.

import { crc32 } from './crc32.js';

const bytesOf = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0));
const big = (value) => [value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255];

/** Bytes before the first chunk, and those of the header with it. */
const [SIGNATURE, HEADER] = [[137, 80, 78, 71, 13, 10, 26, 10], 33];

export const isPng = (bytes) => SIGNATURE.every((byte, i) => bytes[i] === byte);

/** The chunks of a file, `{ name, bytes }` with length and check sum; they end where the file does, be it damaged. */
export function* chunks(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = SIGNATURE.length; at + 12 <= file.length;) {
    const end = at + 12 + view.getUint32(at);
    if (end > file.length) return;
    yield { name: String.fromCharCode(...file.subarray(at + 4, at + 8)), bytes: file.subarray(at, end) };
    at = end;
  }
}

/** What a file's header says; `grey` without regard to alpha. */
export function header(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  return { width: view.getUint32(16), height: view.getUint32(20), bits: file[24], grey: (file[25] & 2) === 0 };
}

/** The chunks that say which colours the samples mean. */
const COLOURS = ['cICP', 'iCCP', 'sRGB', 'gAMA', 'cHRM', 'mDCV', 'cLLI'];

/** The chunks of those names, as they stand in a file. */
export const chunksNamed = (file, names) => [...chunks(file)].filter(({ name }) => names.includes(name)).map(({ bytes }) => bytes);

/** The chunks before a file's image that say which colours its samples mean. */
function coloured(file) {
  const all = [...chunks(file)];
  const image = all.findIndex(({ name }) => ['PLTE', 'IDAT'].includes(name));
  return all.slice(0, image < 0 ? undefined : image).filter(({ name }) => COLOURS.includes(name));
}

/** Those chunks as they stand in the file. */
export const colourChunks = (file) => coloured(file).map(({ bytes }) => bytes);

/** What says which colours a file's samples mean, unless it is sRGB or nothing: 'profile' or 'numbers'. */
export function colours(file) {
  const found = new Map(coloured(file).map(({ name, bytes }) => [name, bytes.subarray(8, -4)]));
  // The first of these that is there counts.
  const numbers = found.get('cICP');
  if (numbers) return numbers[0] === 1 && numbers[1] === 13 ? null : 'numbers';
  if (found.has('iCCP')) return 'profile';
  if (found.has('sRGB') || !found.has('gAMA')) return null;
  // That exponent alone, or nearly, is how older programs say sRGB.
  const gamma = new DataView(new Uint8Array(found.get('gAMA')).buffer).getUint32(0);
  return !found.has('cHRM') && Math.abs(gamma / 45_455 - 1) < 0.05 ? null : 'numbers';
}

/** Whether a file's samples are HDR: of the transfer functions PQ or HLG (ITU-T H.273). */
export const isHdr = (file) => coloured(file).some(({ name, bytes }) => name === 'cICP' && [16, 18].includes(bytes[9]));

/** A file with more chunks behind its header, for what has none of these names yet. */
export const withChunks = (blob, more) => new Blob([blob.slice(0, HEADER), ...more, blob.slice(HEADER)], { type: 'image/png' });

/** A chunk with length and check sum. */
export function chunk(name, content) {
  const bytes = new Uint8Array(12 + content.length);
  bytes.set(big(content.length));
  bytes.set(bytesOf(name), 4);
  bytes.set(content, 8);
  bytes.set(big(crc32(bytes.subarray(4, -4))), bytes.length - 4);
  return bytes;
}

/** A file of an image's pixels, `{ width, height, data }` with 4 bytes each: grey where all are, with alpha where one is not opaque. */
export async function pngOf({ width, height, data }) {
  let [grey, opaque] = [true, true];
  for (let i = 0; i < data.length && (grey || opaque); i += 4) {
    grey &&= data[i] === data[i + 1] && data[i] === data[i + 2];
    opaque &&= data[i + 3] === 255;
  }
  const taken = [...(grey ? [0] : [0, 1, 2]), ...(opaque ? [] : [3])];
  const rows = new Uint8Array(height * (1 + width * taken.length));
  for (let y = 0, from = 0, to = 0; y < height; y++) {
    rows[to++] = 0; // as they are, without a filter
    for (let x = 0; x < width; x++, from += 4) for (const sample of taken) rows[to++] = data[from + sample];
  }
  const packed = new Blob([rows]).stream().pipeThrough(new CompressionStream('deflate'));
  const content = new Uint8Array(await new Response(packed).arrayBuffer());
  const head = [...big(width), ...big(height), 8, (grey ? 0 : 2) | (opaque ? 0 : 4), 0, 0, 0];
  const parts = [new Uint8Array(SIGNATURE), chunk('IHDR', head), chunk('IDAT', content), chunk('IEND', [])];
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
