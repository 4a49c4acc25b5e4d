// Packets of a result as they are made, in a file of the browser's own: a run that the page's end interrupted goes on from there.
//
// The file: the length of a head, the head as JSON, and for each packet its time, its duration, whether it is whole in itself, its length, and its
// bytes; numbers have their low byte first.

import { files, held } from './video-file.js';

/** What a file's name ends in. */
export const JOURNAL = '.journal';
/** Bytes of what stands before a packet. */
const BEFORE = 8 + 8 + 1 + 4;
/** Bytes in which a head has room. */
const HEAD = 1 << 16;
/** Days after which nobody comes back. */
const DAYS = 30;

/** JSON of a head: bytes become numbers. */
const written = (head) => new TextEncoder().encode(JSON.stringify(head, (_, value) => (ArrayBuffer.isView(value) || value instanceof ArrayBuffer ? { bytes: [...new Uint8Array(value.buffer ?? value)] } : value)));
const read = (bytes) => JSON.parse(new TextDecoder().decode(bytes), (_, value) => (Array.isArray(value?.bytes) ? Uint8Array.from(value.bytes) : value));

/** The head of a journal's file, and where it ends; null for what is none. */
async function headOf(file) {
  try {
    const length = new DataView(await file.slice(0, 4).arrayBuffer()).getUint32(0, true);
    if (length > HEAD) return null;
    return { head: read(await file.slice(4, 4 + length).arrayBuffer()), begin: 4 + length };
  } catch {
    return null;
  }
}

/** Whose a journal is. */
export const keyOf = ({ name, size, lastModified }) => [name, size, lastModified].join('/');

/** The interrupted run of a file: `{ own, choices }`; null where there is none. Runs of other tabs are theirs. */
export async function interrupted(file) {
  const folder = await files();
  for await (const [name, handle] of folder.entries()) {
    if (!name.endsWith(JOURNAL)) continue;
    const own = name.slice(0, -JOURNAL.length);
    if (await held(own)) continue;
    const journal = await handle.getFile();
    const found = await headOf(journal);
    const old = Date.now() - journal.lastModified > DAYS * 86_400_000;
    if (!found || old) await folder.removeEntry(name).catch(() => {});
    else if (found.head.key === keyOf(file)) return { own, choices: found.head.choices };
  }
  return null;
}

/** A journal that is written by a worker. */
export class Journal {
  #name;
  #access = null;
  #at = 0;

  /** One of that name; nothing is there before it `begin`s or goes on. */
  constructor(own) {
    this.#name = own + JOURNAL;
  }

  async #open() {
    const handle = await (await files()).getFileHandle(this.#name, { create: true });
    this.#access = await handle.createSyncAccessHandle();
  }

  /** Writes; where that cannot be done there is no journal any more. */
  async #write(bytes) {
    try {
      if (this.#access.write(bytes, { at: this.#at }) < bytes.length) throw new DOMException('no room', 'QuotaExceededError');
      this.#at += bytes.length;
    } catch {
      await this.drop();
    }
  }

  /** Begins with a head. */
  async begin(head) {
    try {
      await this.#open();
    } catch {
      return; // a browser without such files
    }
    this.#access.truncate(0);
    const bytes = written(head);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length, true);
    await this.#write(length);
    if (this.#access) await this.#write(bytes);
  }

  /** Appends a packet. */
  async add({ timestamp, duration, type, data }) {
    if (!this.#access) return;
    const bytes = new Uint8Array(BEFORE + data.length);
    const view = new DataView(bytes.buffer);
    view.setFloat64(0, timestamp, true);
    view.setFloat64(8, duration, true);
    view.setUint8(16, type === 'key' ? 1 : 0);
    view.setUint32(17, data.length, true);
    bytes.set(data, BEFORE);
    await this.#write(bytes);
  }

  /** The head of an interrupted run, whose packets are appended to; null where it cannot be read. */
  async reopen() {
    const file = await (await files()).getFileHandle(this.#name).then((handle) => handle.getFile(), () => null);
    const found = file && await headOf(file);
    if (!found) return null;
    await this.#open();
    this.#at = found.begin;
    return found.head;
  }

  /** Yields the whole packets of a journal that was reopened; after them it goes on. */
  * packets() {
    const size = this.#access.getSize();
    const before = new Uint8Array(BEFORE);
    const view = new DataView(before.buffer);
    while (this.#at + BEFORE <= size) {
      this.#access.read(before, { at: this.#at });
      const length = view.getUint32(17, true);
      if (this.#at + BEFORE + length > size) break;
      const data = new Uint8Array(length);
      this.#access.read(data, { at: this.#at + BEFORE });
      this.#at += BEFORE + length;
      yield { timestamp: view.getFloat64(0, true), duration: view.getFloat64(8, true), type: view.getUint8(16) ? 'key' : 'delta', data };
    }
    this.#access.truncate(this.#at);
  }

  /** Deletes it. */
  async drop() {
    this.#access?.close();
    this.#access = null;
    await (await files()).removeEntry(this.#name).catch(() => {});
  }
}
