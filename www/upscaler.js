// The upscaler as a page sees it: one worker, one call.

/** An error after which the worker cannot go on; a fresh one takes its place. */
const fatal = (message) => Object.assign(new Error(message), { fatal: true });

/** Runs the network in a worker. `device` is 'auto', 'webgpu' or 'cpu'. */
export class Upscaler {
  #worker;
  #options;
  #requests = new Map(); // id → { resolve, reject, onProgress }
  #lastId = 0;
  #opened;

  constructor(options = {}) {
    this.#options = { device: 'auto', model: 'v1/models/asasr-x4-clean/', ...options };
    this.#start();
  }

  /** Resolves to a sentence that says where the network runs and why. */
  get ready() { return this.#opened.then(({ where }) => where); }

  /** Resolves to the addresses of the model and the module that run. */
  get loaded() { return this.#opened.then(({ loaded }) => loaded); }

  #start() {
    const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
    this.#worker = worker;
    worker.onmessage = ({ data: { id, kind, ...data } }) => {
      const request = this.#requests.get(id);
      if (kind === 'progress') {
        request?.onProgress?.(data.done, data.total);
        return;
      }
      this.#requests.delete(id);
      if (kind === 'done') request?.resolve(data.value);
      else request?.reject(Object.assign(new Error(data.message), { text: data.text }));
      if (data.fatal && worker === this.#worker) this.#restart(fatal(data.message));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      const trap = /unreachable|RuntimeError|memory/.test(event.message ?? '');
      const message = trap
        ? 'the image needs more memory than the browser gives: try a smaller one'
        : 'the worker could not run: reload the page';
      if (worker === this.#worker) this.#restart(fatal(message));
    };
    const model = new URL(this.#options.model, document.baseURI).href;
    this.#opened = this.#ask({ kind: 'open', device: this.#options.device, model });
    this.#opened.catch(() => {}); // reported by whoever awaits it
  }

  /** Ends the worker and every request; begins anew unless the worker could not even open its model. */
  #restart(reason) {
    this.#worker.terminate();
    const open = [...this.#requests.values()];
    const opened = !open.some((request) => request.opening);
    this.#requests.clear();
    for (const request of open) request.reject(reason);
    if (opened || !reason.fatal) this.#start();
  }

  #ask(message, onProgress, transfer = []) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { resolve, reject, onProgress, opening: message.kind === 'open' });
      this.#worker.postMessage({ id, ...message }, transfer);
    });
  }

  /**
   * Enlarges a file `scale` times (2, 3 or 4) into `format` ('png', 'jpeg' or 'webp'; `quality` from 0 to 1 for the latter
   * two). `onProgress(done, total)` counts tiles. Resolves to { blob, width, height, notes }.
   */
  async upscale(file, { scale = 4, format = 'png', quality = 0.92, onProgress } = {}) {
    const worker = this.#worker;
    await this.#opened;
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (worker !== this.#worker) throw new DOMException('cancelled', 'AbortError');
    return this.#ask({ kind: 'upscale', bytes, scale, format, quality }, onProgress, [bytes.buffer]);
  }

  /** Stops what is running and gets ready for the next image. */
  cancel() {
    this.#restart(new DOMException('cancelled', 'AbortError'));
  }
}
