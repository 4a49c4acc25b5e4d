// A ZIP archive without compression: images are compressed already (APPNOTE.TXT 6.3.10, version 2.0).

import { crc32 } from './crc32.js';
import { Said } from './said.js';

/** The fields of a header, little-endian: pairs of a size in bytes and a value. */
function header(...fields) {
  const bytes = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return bytes;
}

/** Names of which no two are alike, whatever their case: `photo (2).png` follows `photo.png`. */
export function distinct(names) {
  const taken = new Set();
  return names.map((name) => {
    const [, stem, ending] = name.match(/^(.*?)(\.[^./]*)?$/s);
    let free = name;
    for (let n = 2; taken.has(free.toLowerCase()); n++) free = `${stem} (${n})${ending ?? ''}`;
    taken.add(free.toLowerCase());
    return free;
  });
}

/** A Blob of the archive of `[{ name, blob }]`; names may begin with folders, `a/b/photo.png`. Throws where it would need more than 4 GB. */
export async function zip(files) {
  const now = new Date();
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const date = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  const names = distinct(files.map((file) => file.name)).map((name) => new TextEncoder().encode(name));
  const parts = [];
  const directory = [];
  let at = 0;
  for (const [i, { blob }] of files.entries()) {
    const crc = crc32(new Uint8Array(await blob.arrayBuffer()));
    // Version 2.0, names in UTF-8, stored, time, sizes, no extra field.
    const shared = [[2, 20], [2, 0x800], [2, 0], [2, time], [2, date], [4, crc], [4, blob.size], [4, blob.size], [2, names[i].length], [2, 0]];
    const local = header([4, 0x04034b50], ...shared);
    directory.push(header([4, 0x02014b50], [2, 20], ...shared, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), names[i]);
    parts.push(local, names[i], blob);
    at += local.length + names[i].length + blob.size;
    if (at > 0xffffffff) throw new Said('zip-too-large');
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = header([4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, at], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: 'application/zip' });
}
