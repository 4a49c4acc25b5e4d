// Models that a person brings: read from their files in a worker, kept by the browser for the next visit. Nothing is uploaded.

import { inWords } from './english.js';
import { said } from './said.js';

const MODEL = /\.(pth|pt|safetensors|onnx|param|bin)$/i;
/** The restorer to whose mean their results are held. */
const MEAN = new URL('v1/models/asasr-x4-real/', import.meta.url).href;

/** Whether a file may be a model, by its name. */
export const isModel = ({ name }) => MODEL.test(name);

/** Files by the model that they are of: ncnn's `.param` and `.bin` of one name belong together. */
export function bundles(files) {
  const stem = ({ name }) => (/\.(param|bin)$/i.test(name) ? name.replace(/\.\w+$/, '') : name);
  return Object.values(Object.groupBy(files, stem));
}

/**
 * Reads a model from its files in a worker of its own, whose memory ends with it; `onLoading(received, total)` counts bytes. Resolves to
 * { id, architecture, scale, files }: its name, the network's, how many times it enlarges, and the files of its folder as Blobs by their
 * names, which `Upscaler` takes as its `model`.
 */
export async function importModel(files, { onLoading, mean = MEAN } = {}) {
  const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => {
        if (data.kind === 'loading') onLoading?.(data.received, data.total);
        else if (data.kind === 'done') resolve(data.value);
        else reject(inWords(data));
      };
      worker.onerror = (event) => { event.preventDefault(); reject(inWords(said('worker-failed'))); };
      worker.postMessage({ id: 0, kind: 'import', files, mean });
    });
  } finally {
    worker.terminate();
  }
}

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
