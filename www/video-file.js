// Where the result of a video goes while it is made: a file that the person chose, or one of the browser's own that is downloaded later. Neither
// is ever in memory.

import { Said } from './said.js';

/** The folder of the browser's own files. */
const FOLDER = 'asasr-videos';
/** What a file's name ends in that only keeps room for another one's end. */
const SPARE = '.spare';
/** Bytes that are kept free for the end of a file, which says where its frames are. */
const BALLAST = 4 << 20;
/** Bytes that are written at a time. */
const PART = 1 << 20;

export const files = async () => (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });

/** Whether a page or a tab is at work on a file. */
export const held = (name) => navigator.locks.request(`${FOLDER}/${name}`, { ifAvailable: true }, (lock) => lock === null);

/** Deletes a file of the browser's own, which may be gone. */
export async function drop(name) {
  await (await files()).removeEntry(name).catch(() => {});
}

/** Deletes what pages left behind that were closed, but for journals; what another tab is at work on is locked. */
export async function tidy() {
  for await (const name of (await files()).keys()) {
    if (!name.endsWith('.journal') && !await held(name.replace(SPARE, ''))) await drop(name);
  }
}

/** Holds a file of the browser's own, as long as this page is there and until the function is called that this resolves to. */
export function keep(name) {
  return new Promise((resolve) => {
    navigator.locks.request(`${FOLDER}/${name}`, () => new Promise((release) => { resolve(release); }));
  });
}

/** A file of the browser's own by its name. */
export const kept = async (name) => (await (await files()).getFileHandle(name)).getFile();

/** Whether an error says that there is no room. */
const isFull = ({ name }) => name === 'QuotaExceededError';

/** What bytes are written to, each at its place. */
async function opened(handle) {
  if (handle.createSyncAccessHandle) {
    try {
      const access = await handle.createSyncAccessHandle();
      access.truncate(0);
      return {
        write: (data, at) => {
          // What does not fit is told by the number of bytes in some browsers.
          if (access.write(data, { at }) < data.length) throw new DOMException('no room', 'QuotaExceededError');
        },
        close: () => { access.flush(); access.close(); },
      };
    } catch (error) {
      // A file that a person chose has none.
      if (isFull(error)) throw error;
    }
  }
  const stream = await handle.createWritable();
  return {
    write: (data, position) => stream.write({ type: 'write', data, position }),
    close: () => stream.close(),
  };
}

/**
 * A place to write to: `chosen` is the file of a person, otherwise `name` is one of the browser's own. `stream` takes what mediabunny writes,
 * `bytes` counts them, and `close` ends the file. When the disk is full, `full` is called once, and there is room for the file's end.
 */
export async function place({ chosen, name }, full) {
  const own = await files();
  const spare = name + SPARE;
  let ballast = false;
  try {
    const access = await opened(await own.getFileHandle(spare, { create: true }));
    await access.write(new Uint8Array(BALLAST), 0);
    await access.close();
    ballast = true;
  } catch (error) {
    if (isFull(error)) throw new Said('video-no-room');
  }
  const file = await opened(chosen ?? await own.getFileHandle(name, { create: true }));
  let bytes = 0;
  const write = async ({ data, position }) => {
    try {
      await file.write(data, position);
    } catch (error) {
      if (!isFull(error) || !ballast) throw isFull(error) ? new Said('video-no-room') : error;
      ballast = false;
      await drop(spare);
      full();
      await file.write(data, position);
    }
    bytes = Math.max(bytes, position + data.length);
  };
  return {
    stream: new WritableStream({ write }, { highWaterMark: 4 }),
    part: PART,
    get bytes() { return bytes; },
    async close() {
      await file.close();
      await drop(spare);
    },
  };
}
