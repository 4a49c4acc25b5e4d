// The upscaler as a page sees it: one worker, one call.

/** Runs the network in a worker. `device` is 'auto', 'webgpu' or 'cpu'. */
export class Upscaler {
  #worker;
  #options;
  #pending = null;
  #ready;

  constructor(options = {}) {
    this.#options = { device: 'auto', model: 'v1/models/asasr-x4-clean/', ...options };
    this.#start();
  }

  /** Resolves to a sentence that says where the network runs and why. */
  get ready() { return this.#ready; }

  #start() {
    this.#worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
    const model = new URL(this.#options.model, document.baseURI).href;
    this.#ready = this.#ask({ kind: 'open', device: this.#options.device, model });
    this.#ready.catch(() => {}); // reported by whoever awaits it
  }

  #ask(message, onProgress, transfer = []) {
    return new Promise((resolve, reject) => {
      this.#pending = { reject };
      this.#worker.onmessage = ({ data }) => {
        if (data.kind === 'progress') onProgress?.(data.done, data.total);
        else if (data.kind === 'done') resolve(data.value);
        else reject(new Error(data.message));
      };
      this.#worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`the worker could not run (${event.message ?? 'it did not load'}): reload the page`));
      };
      this.#worker.postMessage(message, transfer);
    });
  }

  /** Enlarges a file `scale` times; resolves to { blob, width, height, notes }. */
  async upscale(file, { scale = 4, onProgress } = {}) {
    await this.#ready;
    const bytes = new Uint8Array(await file.arrayBuffer());
    const { png, ...rest } = await this.#ask({ kind: 'upscale', bytes, scale }, onProgress, [bytes.buffer]);
    return { blob: new Blob([png], { type: 'image/png' }), ...rest };
  }

  /** Stops what is running and gets ready for the next image. */
  cancel() {
    this.#worker.terminate();
    this.#pending?.reject(new DOMException('cancelled', 'AbortError'));
    this.#start();
  }
}
