// The upscaler as a page sees it: one worker, one call.

import { modelPlace } from './address.js';
import { inEnglish, inWords } from './english.js';
import { SHOWN } from './limits.js';
import { ours } from './models.js';
import { said } from './said.js';
import { workerScript } from './script.js';
import { asked, begin, cancelled } from './workers.js';

export { importModel } from './models.js';

/** An error after which the worker cannot go on; a fresh one takes its place. */
const fatal = (message) => inWords(message, { fatal: true });

/** A result with its notes in English too. */
const worded = ({ notes, ...result }) => ({ ...result, notes: notes.map(inEnglish), said: notes });

const whole = (low, high) => ({ is: (value) => Number.isInteger(value) && value >= low && value <= high, allowed: `${low}–${high}` });
const share = { is: (value) => typeof value === 'number' && value >= 0 && value <= 1, allowed: '0–1' };
const among = (...values) => ({ is: (value) => values.includes(value), allowed: values.join(' | ') });

/** What options may be: a test, and that in words of no language. */
export const OPTIONS = {
  scale: whole(1, 8),
  width: whole(1, 2 ** 20),
  mode: among('instant', 'fast', 'quality'),
  seed: whole(0, 2 ** 32 - 1),
  fidelity: share,
  hold: { is: (value) => typeof value === 'boolean' || (typeof value === 'number' && value >= 0.8 && value <= 16), allowed: 'true | false | 0.8–16' },
  samples: whole(1, 64),
  format: among('png', 'jpeg', 'webp'),
  quality: share,
  device: among('auto', 'webgpu', 'cpu'),
};

/** The error of a value that is not among those allowed. */
export function notOffered(name, given, allowed) {
  const value = typeof given === 'string' ? `"${given}"` : String(given);
  return inWords(said('not-offered', { name, value, allowed }));
}

/** Refuses options that make no sense. */
function check(options) {
  for (const [name, { is, allowed }] of Object.entries(OPTIONS)) {
    if (options[name] !== undefined && !is(options[name])) throw notOffered(name, options[name], allowed);
  }
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
  return worded(await asked(workerScript(), { kind: 'blend', bytes, layers, fidelity, format, quality, strip }, { signal }));
}

/**
 * The file of a result of `upscale` or `blend` saved in another way: { blob, notes, said }. `file` is what the result was made of. No network
 * runs: a worker of its own writes it.
 */
export async function save(file, { lossless, width, height } = {}, { format = 'png', quality = 0.92, strip = false, signal } = {}) {
  check({ format, quality });
  if (!lossless) throw new TypeError('there is nothing to save: give what upscale or blend resolved to');
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (signal?.aborted) throw cancelled();
  return worded(await asked(workerScript(), { kind: 'save', bytes, lossless, width, height, format, quality, strip, most: SHOWN }, { signal }));
}

/**
 * Runs the network in a worker. `device` is 'auto', 'webgpu' or 'cpu'. `model` is the address of a model's folder or of a community's file
 * (.pth, .safetensors, .onnx), such a file itself (or ncnn's two), or the `files` that `importModel` gives. `publicKey` is whose signature
 * a folder has to have.
 */
export class Upscaler {
  #worker;
  #options;
  /** Ends what blends and saves beside the worker. */
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

  constructor({ device = 'auto', model, publicKey, onLoading } = {}) {
    if (!globalThis.Worker) throw inWords(said('no-browser'));
    check({ device });
    this.#options = { device, model: model ?? ours(), publicKey, onLoading };
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
    const told = ({ id, kind, ...data }) => {
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
      else request?.reject(inWords(data, data.fatal ? { fatal: true } : {}));
      if (data.fatal && worker === this.#worker) this.#restart(fatal(data));
    };
    const script = workerScript();
    const worker = begin(script, told, (why) => { if (worker === this.#worker) this.#restart(fatal(why)); });
    this.#worker = worker;
    const whole = (model) => (typeof model === 'string' ? modelPlace(model) : model);
    const { device, model: given, publicKey } = this.#options;
    const model = Array.isArray(given) ? given.map(whole) : whole(given);
    const opened = this.#ask({ kind: 'open', device, model, publicKey, place: script.address, mean: ours(), tunings: tunings() });
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
   * Resolves to { blob, width, height, notes, said, consistency, differences, invented, deviation, departure, layers, lossless }: the PSNR in dB
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
      const { modes } = await this.#opened;
      if (mode !== undefined && !modes.some((has) => has.mode === mode)) throw notOffered('mode', mode, modes.map((has) => has.mode).join(' | '));
      const bytes = new Uint8Array(await file.arrayBuffer());
      if (this.#disposed || worker !== this.#worker) throw cancelled();
      const wish = { kind: 'upscale', bytes, scale, width, format, quality, strip, mode, seed, fidelity, hold, layers, samples, most: SHOWN, preview: Boolean(onRows), original: Boolean(onOriginal) };
      return worded(await this.#ask(wish, { onProgress, onRows, onLoading, onOriginal }, [bytes.buffer]));
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /**
   * Enlarges a frame of a video: `data`, its planes without gaps, `width` and `height`, the pixel `format` and `matrix` as WebCodecs call
   * them, and whether its range is `full`; to `size`, by `mode`, `seed` and `hold` as in `upscale`. Several may be asked for at a time,
   * and run on all of the processor. Resolves to the planes of the result, of the format I420.
   */
  async frame(frame, options) {
    try {
      return await this.#frame(frame, options);
    } catch (error) {
      // A worker that ended has begun anew.
      if (!error.fatal || this.#disposed) throw error;
      return this.#frame(frame, options);
    }
  }

  async #frame(frame, { size: { width, height }, mode = 'instant', seed = 0, hold = true }) {
    await this.#opened;
    return this.#ask({ kind: 'frame', frame, width, height, mode, seed, hold });
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

  /** The signal of those options, which ends with this upscaler's work too. */
  #until({ signal } = {}) {
    return AbortSignal.any([this.#blending.signal, signal].filter(Boolean));
  }

  /** `blend` of this script, which ends with this upscaler's work. */
  blend(file, layers, options) {
    return blend(file, layers, { ...options, signal: this.#until(options) });
  }

  /** `save` of this script, likewise. */
  save(file, result, options) {
    return save(file, result, { ...options, signal: this.#until(options) });
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
