// Where the worker's script is.

import { absolute } from './address.js';

/** Its address and type. Bundlers know a worker by this very expression only, and put their own address in its place. */
export function workerScript() {
  const real = globalThis.Worker;
  globalThis.Worker = function Told(url, options) { return { address: absolute(url), type: options?.type ?? 'classic' }; };
  try {
    return new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
  } finally {
    globalThis.Worker = real;
  }
}
