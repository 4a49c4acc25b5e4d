// Colour profile and EXIF data in JPEG and WebP files, which a canvas writes without them.

import { crc32 } from './crc32.js';

const bytesOf = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0));

/** Most bytes of a JPEG segment's content: its length, which counts itself, has 16 bits. */
const SEGMENT = 65533;

function segment(marker, ...parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 2);
  return [new Uint8Array([0xff, marker, length >> 8, length & 255]), ...parts];
}

/** EXIF 2.32 in APP1, then the profile in APP2 (ICC.1:2010, annex B.4), in place of those that the browser wrote. */
function jpeg(bytes, icc, exif) {
  const parts = [bytes.subarray(0, 2)];
  let at = 2;
  const kept = [];
  // Application segments come first; the file's own, APP0, stays before ours.
  while (bytes[at] === 0xff && bytes[at + 1] >= 0xe0 && bytes[at + 1] <= 0xef) {
    const end = at + 2 + (bytes[at + 2] << 8 | bytes[at + 3]);
    const marker = bytes[at + 1];
    if (marker === 0xe0) parts.push(bytes.subarray(at, end));
    else if (marker !== 0xe1 && marker !== 0xe2) kept.push(bytes.subarray(at, end));
    at = end;
  }
  const head = bytesOf('Exif\0\0');
  // What is larger than a segment cannot be kept.
  if (exif && head.length + exif.length <= SEGMENT) parts.push(...segment(0xe1, head, exif));
  if (icc) {
    const room = SEGMENT - 14;
    const count = Math.ceil(icc.length / room);
    for (let i = 0; i < count && count < 256; i++) {
      const place = new Uint8Array([i + 1, count]);
      parts.push(...segment(0xe2, bytesOf('ICC_PROFILE\0'), place, icc.subarray(i * room, (i + 1) * room)));
    }
  }
  parts.push(...kept, bytes.subarray(at));
  return parts;
}

const little = (value, size) => Uint8Array.from({ length: size }, (_, i) => (value >>> (8 * i)) & 255);

function chunk(name, content) {
  return [bytesOf(name), little(content.length, 4), content, new Uint8Array(content.length & 1)];
}

/** The extended layout (WebP container specification): VP8X, the profile, the image, EXIF. */
function webp(bytes, icc, exif, { width, height, alpha }) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const image = [];
  for (let at = 12; at + 8 <= bytes.length;) {
    const name = String.fromCharCode(...bytes.subarray(at, at + 4));
    const size = view.getUint32(at + 4, true);
    if (['VP8 ', 'VP8L', 'ALPH'].includes(name)) image.push(...chunk(name, bytes.subarray(at + 8, at + 8 + size)));
    at += 8 + size + (size & 1);
  }
  const flags = (icc ? 0x20 : 0) | (alpha ? 0x10 : 0) | (exif ? 0x08 : 0);
  const head = new Uint8Array([flags, 0, 0, 0, ...little(width - 1, 3), ...little(height - 1, 3)]);
  const parts = [
    ...chunk('VP8X', head),
    ...(icc ? chunk('ICCP', icc) : []),
    ...image,
    ...(exif ? chunk('EXIF', exif) : []),
  ];
  const length = parts.reduce((sum, part) => sum + part.length, 4);
  return [bytesOf('RIFF'), little(length, 4), bytesOf('WEBP'), ...parts];
}

/** Whether a profile is of three colours: what a canvas writes always has three, whatever the picture had. */
const isRgb = (icc) => String.fromCharCode(...icc.subarray(16, 20)) === 'RGB ';

/** What a file of that format cannot carry, a sentence each. */
export function leftOut(format, { icc, exif }) {
  return [
    icc && !isRgb(icc) && 'the colour profile is not of three colours: it was left out',
    format === 'jpeg' && exif && exif.length + 6 > SEGMENT && 'the EXIF data is too large for JPEG: it was left out',
  ].filter(Boolean);
}

/** A JPEG or WebP file with the profile and the EXIF data that there are. */
export async function withMetadata(blob, { icc: given, exif, ...image }) {
  const icc = given && isRgb(given) ? given : undefined;
  if (!icc && !exif) return blob;
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const parts = blob.type === 'image/jpeg' ? jpeg(bytes, icc, exif) : webp(bytes, icc, exif, image);
  return new Blob(parts, { type: blob.type });
}

/** A PNG file with the profile, for what shows it: an iCCP chunk behind its header (PNG 3, 11.3.2.3). */
export async function withProfile(blob, icc) {
  const packed = new Blob([icc]).stream().pipeThrough(new CompressionStream('deflate'));
  const content = new Uint8Array(await new Response(packed).arrayBuffer());
  // The name, its end, and the one method of compression there is.
  const chunk = new Uint8Array(await new Blob([bytesOf('iCCPprofile\0\0'), content]).arrayBuffer());
  const big = (value) => little(value, 4).reverse();
  const header = 8 + 25;
  return new Blob([blob.slice(0, header), big(chunk.length - 4), chunk, big(crc32(chunk)), blob.slice(header)], { type: blob.type });
}
