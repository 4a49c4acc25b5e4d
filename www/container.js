// What a file tells about its photo, in PNG files that were written without it, and in JPEG and WebP files, which a canvas writes without: the
// colour profile, EXIF and XMP data, and the resolution.

const bytesOf = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0));

/** Bytes of a PNG's signature and header (PNG, third edition). */
const HEADER = 33;

/** A PNG with more chunks behind its header, for one that has none of these. */
export const withChunks = (blob, chunks) => new Blob([blob.slice(0, HEADER), chunks, blob.slice(HEADER)], { type: 'image/png' });

/** Most bytes of a JPEG segment's content: its length, which counts itself, has 16 bits. */
const SEGMENT = 65533;
const EXIF = bytesOf('Exif\0\0');
const XMP = bytesOf('http://ns.adobe.com/xap/1.0/\0');

function segment(marker, ...parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 2);
  return [new Uint8Array([0xff, marker, length >> 8, length & 255]), ...parts];
}

const little = (value, size) => Uint8Array.from({ length: size }, (_, i) => (value >>> (8 * i)) & 255);

/** Pixels for an inch; of what has no unit only the ratio. */
const perInch = ([x, y, metre]) => [x, y].map((n) => (metre ? Math.round(n * 0.0254) : n));

/** The file's own segment (ITU-T T.871) with a resolution, where its numbers of 16 bits hold it. */
function resolved(segment, resolution) {
  const numbers = resolution && perInch(resolution);
  if (!numbers || Math.min(...numbers) < 1 || Math.max(...numbers) > 65535) return segment;
  const bytes = segment.slice();
  bytes.set([resolution[2] ? 1 : 0, ...numbers.flatMap((n) => [n >> 8, n & 255])], 11);
  return bytes;
}

/** EXIF 2.32 and XMP in APP1, then the profile in APP2 (ICC.1:2010, annex B.4), in place of those that the browser wrote. */
function jpeg(bytes, { icc, exif, xmp, resolution }) {
  const parts = [bytes.subarray(0, 2)];
  let at = 2;
  const kept = [];
  // Application segments come first; the file's own, APP0, stays before ours.
  while (bytes[at] === 0xff && bytes[at + 1] >= 0xe0 && bytes[at + 1] <= 0xef) {
    const end = at + 2 + (bytes[at + 2] << 8 | bytes[at + 3]);
    const marker = bytes[at + 1];
    if (marker === 0xe0) parts.push(resolved(bytes.subarray(at, end), resolution));
    else if (marker !== 0xe1 && marker !== 0xe2) kept.push(bytes.subarray(at, end));
    at = end;
  }
  // What is larger than a segment cannot be kept.
  for (const [head, data] of [[EXIF, exif], [XMP, xmp]]) {
    if (data && head.length + data.length <= SEGMENT) parts.push(...segment(0xe1, head, data));
  }
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

/** EXIF data of a resolution alone: two fractions and their unit (EXIF 2.32, 4.6.4). */
function exifOf(resolution) {
  const [x, y, metre] = resolution;
  const [numerator, denominator] = metre ? [254, 10000] : [1, 1];
  const entry = (tag, type, value) => [...little(tag, 2), ...little(type, 2), ...little(1, 4), ...little(value, 4)];
  const fraction = (n) => [...little(n * numerator, 4), ...little(denominator, 4)];
  const entries = [entry(0x11a, 5, 50), entry(0x11b, 5, 58), entry(0x128, 3, metre ? 2 : 1)];
  return new Uint8Array([...bytesOf('II*\0'), ...little(8, 4), ...little(3, 2), ...entries.flat(), ...little(0, 4), ...fraction(x), ...fraction(y)]);
}

function chunk(name, content) {
  return [bytesOf(name), little(content.length, 4), content, new Uint8Array(content.length & 1)];
}

/** The extended layout (WebP container specification): VP8X, the profile, the image, EXIF, XMP. */
function webp(bytes, { icc, exif: given, xmp, resolution, width, height, alpha }) {
  // A place of its own the resolution has not.
  const exif = given ?? (resolution && exifOf(resolution));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const image = [];
  for (let at = 12; at + 8 <= bytes.length;) {
    const name = String.fromCharCode(...bytes.subarray(at, at + 4));
    const size = view.getUint32(at + 4, true);
    if (['VP8 ', 'VP8L', 'ALPH'].includes(name)) image.push(...chunk(name, bytes.subarray(at + 8, at + 8 + size)));
    at += 8 + size + (size & 1);
  }
  const flags = (icc ? 0x20 : 0) | (alpha ? 0x10 : 0) | (exif ? 0x08 : 0) | (xmp ? 0x04 : 0);
  const head = new Uint8Array([flags, 0, 0, 0, ...little(width - 1, 3), ...little(height - 1, 3)]);
  const parts = [
    ...chunk('VP8X', head),
    ...(icc ? chunk('ICCP', icc) : []),
    ...image,
    ...(exif ? chunk('EXIF', exif) : []),
    ...(xmp ? chunk('XMP ', xmp) : []),
  ];
  const length = parts.reduce((sum, part) => sum + part.length, 4);
  return [bytesOf('RIFF'), little(length, 4), bytesOf('WEBP'), ...parts];
}

/** Whether a profile is of three colours: what a canvas writes always has three, whatever the picture had. */
const isRgb = (icc) => String.fromCharCode(...icc.subarray(16, 20)) === 'RGB ';

/** What a file of that format cannot carry, a sentence each. */
export function leftOut(format, { icc, exif, xmp, texts }) {
  return [
    icc && !isRgb(icc) && 'the colour profile is not of three colours: it was left out',
    texts > 0 && 'the file has texts, which only PNG holds: they were left out',
    format === 'jpeg' && exif && exif.length + EXIF.length > SEGMENT && 'the EXIF data is too large for JPEG: it was left out',
    format === 'jpeg' && xmp && xmp.length + XMP.length > SEGMENT && 'the XMP data is too large for JPEG: it was left out',
  ].filter(Boolean);
}

/** A JPEG or WebP file with the profile, the EXIF and XMP data and the resolution that there are. */
export async function withMetadata(blob, { icc: given, ...rest }) {
  const icc = given && isRgb(given) ? given : undefined;
  if (!icc && !rest.exif && !rest.xmp && !rest.resolution) return blob;
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const parts = blob.type === 'image/jpeg' ? jpeg(bytes, { icc, ...rest }) : webp(bytes, { icc, ...rest });
  return new Blob(parts, { type: blob.type });
}
