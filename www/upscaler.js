// The upscaler as a page sees it: one worker, one call.

import { inEnglish, inWords } from './english.js';
import { said } from './said.js';

export { importModel } from './models.js';

/** An error after which the worker cannot go on; a fresh one takes its place. */
const fatal = (message) => inWords(message, { fatal: true });

/** A result with its notes in English too. */
const worded = ({ notes, ...result }) => ({ ...result, notes: notes.map(inEnglish), said: notes });

const cancelled = () => new DOMException('cancelled', 'AbortError');

/** Refuses what makes no sense, in a sentence that names it. */
function check({ scale, width, hold = true, format = 'png', quality = 0.92, mode, seed = 0, fidelity = 0, samples = 1 }) {
  const whole = (value, low, high) => Number.isInteger(value) && value >= low && value <= high;
  const share = (value) => typeof value === 'number' && value >= 0 && value <= 1;
  const shown = (value) => (typeof value === 'string' ? `"${value}"` : value);
  const wrong = [
    [scale !== undefined && !whole(scale, 1, 8), `a scale of ${shown(scale)} is not offered: choose 1 to 8`],
    [typeof hold !== 'boolean' && !(typeof hold === 'number' && hold >= 0.8 && hold <= 16), `to hold by ${shown(hold)} is not offered: true, false, or 0.8 to 16 pixels of the result`],
    [width !== undefined && !whole(width, 1, 2 ** 20), `a width of ${shown(width)} is no number of pixels`],
    [!['png', 'jpeg', 'webp'].includes(format), `${format} is no format: use png, jpeg or webp`],
    [!share(quality), `a quality of ${shown(quality)} is not within 0 to 1`],
    [mode !== undefined && !['instant', 'fast', 'quality'].includes(mode), `${mode} is no mode: use instant, fast or quality`],
    [!whole(seed, 0, 2 ** 32 - 1), `a seed of ${shown(seed)} is no whole number from 0 to ${2 ** 32 - 1}`],
    [!share(fidelity), `a fidelity of ${shown(fidelity)} is not within 0 to 1`],
    [!whole(samples, 1, 64), `${shown(samples)} samples are not within 1 to 64`],
  ].find(([is]) => is);
  if (wrong) throw new RangeError(wrong[1]);
}

/** How kernels run best on the graphics cards met so far, by their names. */
const TUNINGS = 'asasr-tunings';

/** What was kept of it; nothing where the browser keeps nothing. */
function tunings() {
  try {
    return JSON.parse(localStorage.getItem(TUNINGS)) ?? {};
  } catch {
    return {};
  }
}

/** Keeps what is new of it. */
function keep(tuned) {
  const known = tunings();
  if (Object.entries(tuned).every(([card, way]) => known[card] === way)) return;
  try {
    localStorage.setItem(TUNINGS, JSON.stringify({ ...known, ...tuned }));
  } catch {
    // The next visit tries again.
  }
}

/**
 * The result of `upscale` at another fidelity, from its `layers` and the file it was made of. No network runs: a worker of its own
 * blends them.
 */
export async function blend(file, layers, { fidelity, format = 'png', quality = 0.92, strip = false, signal }) {
  check({ fidelity: fidelity ?? NaN, format, quality });
  if (!layers?.sample || !layers.mean) throw new TypeError('there are no layers to blend: upscale with layers, in a mode that has them');
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (signal?.aborted) throw cancelled();
  const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
  let stop;
  const done = new Promise((resolve, reject) => {
    stop = () => reject(cancelled());
    worker.onmessage = ({ data }) => (data.kind === 'done' ? resolve(worded(data.value)) : reject(inWords(data)));
    worker.onerror = (event) => { event.preventDefault(); reject(inWords(said('worker-failed'))); };
  });
  signal?.addEventListener('abort', stop);
  worker.postMessage({ id: 0, kind: 'blend', bytes, layers, fidelity, format, quality, strip });
  try {
    return await done;
  } finally {
    signal?.removeEventListener('abort', stop);
    worker.terminate();
  }
}

/**
 * Runs the network in a worker. `device` is 'auto', 'webgpu' or 'cpu'. `model` is the address of a model's folder or of a community's file
 * (.pth, .safetensors, .onnx), such a file itself (or ncnn's two), or the `files` that `importModel` gives. `publicKey` is whose signature
 * a folder has to have.
 */
export class Upscaler {
  #worker;
  #options;
  /** Ends what blends layers beside the worker. */
  #blending = new AbortController();
  #requests = new Map(); // id → { resolve, reject, onProgress, onRows, onLoading, onOriginal }
  #lastId = 0;
  #opened;
  #failed = false;
  #disposed = false;
  /** The end of the last image that was asked for: a worker has one network. */
  #turn = Promise.resolve();

  /** An upscaler that is ready, or the error why there is none. */
  static async load(options) {
    const upscaler = new Upscaler(options);
    try {
      await upscaler.ready;
    } catch (error) {
      upscaler.dispose();
      throw error;
    }
    return upscaler;
  }

  constructor(options = {}) {
    this.#options = { device: 'auto', model: new URL('v1/models/asasr-x4-real/', import.meta.url).href, ...options };
    this.#start();
  }

  /** Resolves to a sentence that says where the network runs and why. */
  get ready() { return this.#opened.then(({ where }) => inEnglish(where)); }

  /** Resolves to the same as a code with what fills its text's places: { code, args }. */
  get where() { return this.#opened.then(({ where }) => where); }

  /**
   * Resolves to the modes that the model has: { mode, work, draws } with 'instant', 'fast' or 'quality', how many times the first one's
   * work it is, and whether its samples differ.
   */
  get modes() { return this.#opened.then(({ modes }) => modes); }

  /** Resolves to how many times the model enlarges. */
  get scale() { return this.#opened.then(({ scale }) => scale); }

  /** Resolves to the mode that is used where none is asked for. */
  get usualMode() { return this.#opened.then(({ usual }) => usual); }

  /** Resolves to the addresses of the model, the module that runs, and that for image files. */
  get loaded() { return this.#opened.then(({ loaded }) => loaded); }

  #start() {
    const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
    this.#worker = worker;
    worker.onmessage = ({ data: { id, kind, ...data } }) => {
      const request = this.#requests.get(id);
      if (kind === 'progress') {
        request?.onProgress?.(data.done, data.total, data.fraction);
        return;
      }
      if (kind === 'loading') {
        (request?.onLoading ?? this.#options.onLoading)?.(data.received, data.total);
        return;
      }
      if (kind === 'rows') {
        request?.onRows?.(data.first, data.width, data.rgba);
        return;
      }
      if (kind === 'original') {
        request?.onOriginal?.(data.blob, data.width, data.height);
        return;
      }
      this.#requests.delete(id);
      if (kind === 'done') request?.resolve(data.value);
      else request?.reject(inWords(data));
      if (data.fatal && worker === this.#worker) this.#restart(fatal(data));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      // Of what it could tell itself, the worker has told.
      if (worker === this.#worker) this.#restart(fatal(said('worker-failed')));
    };
    const whole = (model) => (typeof model === 'string' ? new URL(model, document.baseURI).href : model);
    const model = Array.isArray(this.#options.model) ? this.#options.model.map(whole) : whole(this.#options.model);
    const { device, publicKey } = this.#options;
    const opened = this.#ask({ kind: 'open', device, model, publicKey, tunings: tunings() });
    this.#opened = opened;
    this.#failed = false;
    // Reported by whoever awaits it; what an earlier worker met is of no interest any more.
    opened.then(({ tuned }) => keep(tuned), () => { this.#failed ||= opened === this.#opened; });
  }

  /** Ends the worker and every request; begins anew unless the worker could not even open its model. */
  #restart(reason) {
    this.#worker.terminate();
    const open = [...this.#requests.values()];
    const opened = !open.some((request) => request.opening);
    this.#requests.clear();
    for (const request of open) request.reject(reason);
    if (!this.#disposed && (opened || !reason.fatal)) this.#start();
  }

  #ask(message, listeners = {}, transfer = []) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { resolve, reject, ...listeners, opening: message.kind === 'open' });
      this.#worker.postMessage({ id, ...message }, transfer);
    });
  }

  /**
   * Enlarges a file, after those that were asked for before, `scale` times (the model's own unless it is told, and at most what two passes
   * reach, of which the second is the mode 'instant') or to `width` pixels, into `format` ('png', 'jpeg' or
   * 'webp'; `quality` from 0 to 1 for the latter two). Colour profile and EXIF data are carried along unless `strip` is set, and colours
   * that cannot be are converted to sRGB.
   *
   * `hold` keeps the result to the photo: true, as the model is made for; false, which gives the network's own answer; or the width in result
   * pixels of the Gaussian below whose frequencies its colours are the mean's.
   *
   * `mode` is 'instant', the mean of all likely images, or 'fast' or 'quality', one of them: that of `seed`, taken back
   * towards the mean by `fidelity` from 0 to 1. With `layers` both are given, for `blend`. With `samples` above 1 so many of
   * them are drawn to see where they differ; where a mode's samples are one, its departure from the mean is measured instead.
   *
   * `onProgress(done, total, fraction)` counts tiles and the share of all the work, `onRows(first, width, rgba)` is given rows as they
   * are finished, `onLoading(received, total)` counts bytes of weights that come first. `onOriginal(blob, width, height)` is given the image
   * upright where the browser shows its file otherwise turned. `signal` cancels.
   *
   * Resolves to { blob, width, height, notes, said, consistency, differences, invented, deviation, departure, layers }: the PSNR in dB
   * between the given image and the result made as small again, and for each given pixel how many grey levels they differ; the samples'
   * deviation, or the `departure` of the only one from the mean, at each given pixel in grey levels, and over all.
   */
  async upscale(file, options = {}) {
    check(options);
    const { signal } = options;
    if (signal?.aborted) throw cancelled();
    let stop;
    const stopped = new Promise((_, reject) => { stop = () => reject(cancelled()); });
    signal?.addEventListener('abort', stop);
    const mine = this.#turn.then(() => this.#upscale(file, options));
    this.#turn = mine.catch(() => {});
    try {
      // Who waits for others need not wait to be cancelled.
      return await Promise.race([mine, stopped]);
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  async #upscale(file, {
    scale, width, format = 'png', quality = 0.92, strip = false, mode, seed = 0, fidelity = 0, hold = true, layers = false, samples = 1,
    signal, onProgress, onRows, onLoading, onOriginal,
  }) {
    if (this.#disposed) throw new Error('this upscaler was disposed of');
    if (signal?.aborted) throw cancelled();
    // What was not there the last time may be there now.
    if (this.#failed) this.#restart(cancelled());
    const stop = () => this.cancel();
    signal?.addEventListener('abort', stop);
    try {
      const worker = this.#worker;
      await this.#opened;
      const bytes = new Uint8Array(await file.arrayBuffer());
      if (this.#disposed || worker !== this.#worker) throw cancelled();
      const wish = { kind: 'upscale', bytes, scale, width, format, quality, strip, mode, seed, fidelity, hold, layers, samples, preview: Boolean(onRows), original: Boolean(onOriginal) };
      return worded(await this.#ask(wish, { onProgress, onRows, onLoading, onOriginal }, [bytes.buffer]));
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /**
   * The same as a sequence: yields { first, width, height, rgba } for rows as they are finished, and at last returns what
   * `upscale` resolves to.
   */
  async* run(file, options = {}) {
    const left = new AbortController();
    options.signal?.addEventListener('abort', () => left.abort(), { signal: left.signal });
    if (options.signal?.aborted) left.abort();
    const rows = [];
    let wake;
    const result = this.upscale(file, {
      ...options,
      signal: left.signal,
      onRows: (first, width, rgba) => {
        rows.push({ first, width, height: rgba.length / 4 / width, rgba });
        wake?.();
      },
    });
    let over = false;
    result.then(() => { over = true; wake?.(); }, () => { over = true; wake?.(); });
    try {
      while (!over || rows.length > 0) {
        if (rows.length > 0) yield rows.shift();
        else await new Promise((resolve) => { wake = resolve; });
      }
      return await result;
    } finally {
      // Whoever leaves the loop early wants no more.
      result.catch(() => {});
      left.abort();
    }
  }

  /** `blend` of this script, which ends with this upscaler's work. */
  blend(file, layers, options) {
    const signals = [this.#blending.signal, options.signal].filter(Boolean);
    return blend(file, layers, { ...options, signal: AbortSignal.any(signals) });
  }

  /** Stops what is running and gets ready for the next image, which may be waiting already. */
  cancel() {
    this.#restart(cancelled());
  }

  /** Ends the worker and frees the device. */
  dispose() {
    this.#disposed = true;
    this.#blending.abort();
    this.#restart(cancelled());
  }
}
