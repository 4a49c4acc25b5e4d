// Models that a person brings: read from their files in a worker, kept by the browser for the next visit. Nothing is uploaded.

import { absolute } from './address.js';
import { workerScript } from './script.js';
import { asked } from './workers.js';

export { isModel } from './address.js';

/** The files of the model that comes along, each written out, so that bundlers find it. */
const FILES = {
  'manifest.json': new URL('v1/models/asasr-x4-real/manifest.json', import.meta.url),
  'restorer.safetensors': new URL('v1/models/asasr-x4-real/restorer.safetensors', import.meta.url),
  'flow.safetensors': new URL('v1/models/asasr-x4-real/flow.safetensors', import.meta.url),
  'one-step.safetensors': new URL('v1/models/asasr-x4-real/one-step.safetensors', import.meta.url),
};

/** That model: the address of its folder, or of each file where a bundler put them elsewhere. */
export function ours() {
  const manifest = absolute(FILES['manifest.json']);
  if (manifest.endsWith('/v1/models/asasr-x4-real/manifest.json')) return new URL('./', manifest).href;
  return Object.fromEntries(Object.entries(FILES).map(([name, address]) => [name, absolute(address)]));
}

/** Files by the model that they are of: ncnn's `.param` and `.bin` of one name belong together. */
export function bundles(files) {
  const stem = ({ name }) => (/\.(param|bin)$/i.test(name) ? name.replace(/\.\w+$/, '') : name);
  return Object.values(Object.groupBy(files, stem));
}

/**
 * Reads a model from its files in a worker of its own, whose memory ends with it; `onLoading(received, total)` counts bytes. Resolves to
 * { id, architecture, scale, files }: its name, the network's, how many times it enlarges, and the files of its folder as Blobs by their
 * names, which `Upscaler` takes as its `model`. `mean` is the model to whose mean their results are held.
 */
export const importModel = (files, { onLoading, mean = ours() } = {}) => asked(workerScript(), { kind: 'import', files, mean }, { onLoading });

const STORE = 'models';

/** Does something with what is kept; rejects where the browser keeps nothing. */
async function stored(mode, use) {
  const database = await new Promise((resolve, reject) => {
    const request = indexedDB.open('asasr', 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  try {
    const transaction = database.transaction(STORE, mode);
    const request = use(transaction.objectStore(STORE));
    return await new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** The models that were kept, by name. */
export const keptModels = () => stored('readonly', (store) => store.getAll());

/** Keeps a model, in place of one of the same name. */
export const keepModel = (model) => stored('readwrite', (store) => store.put(model));

/** Keeps it no longer. */
export const dropModel = (id) => stored('readwrite', (store) => store.delete(id));
