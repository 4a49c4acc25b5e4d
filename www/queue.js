// The photos to enlarge, one after the other.

import { SHOWN, largest, refusal } from './limits.js';
import { isLarge, look, pieceOf } from './look.js';
import { workerScript } from './script.js';
import { asked } from './workers.js';

/** Our models: for photos of any condition, for those that are sharp and clean, and for drawings, screenshots and text. */
export const ANY = 'asasr-x4-real';
export const CLEAN = 'asasr-x4-clean';
export const DRAWN = 'asasr-x4-drawn';
/** In place of a model: the one that suits the photo, once it was looked at. */
export const LOOKED = 'looked';
/** In place of a model: none, every pixel becomes a square. */
export const SQUARES = 'pixels';

/** The one of them that suits a photo of such looks; null where the browser could not show it. */
const suited = (looks) => (looks?.isDrawn ? DRAWN : looks?.isClean ? CLEAN : ANY);

/** The model that is got ready, and whose speed counts, before a photo was looked at. */
export const likely = (model) => (model === LOOKED ? ANY : model);

/** Where a measured speed is kept between visits, in input pixels per second and unit of work. */
const SPEED = 'asasr-speed';

/** Seconds that nobody minds. */
const QUICK = 5;

/** Samples of a mode that has one: it is compared with the mean, which takes no further one. */
const COMPARED = 2;

const ENDINGS = { png: 'png', jpeg: 'jpg', webp: 'webp' };

/**
 * `photo.jpg` four times larger as PNG is `photo-x4.png`, 900 pixels wide `photo-900px.png`, by another model than the first
 * `photo-x4-clean.png`; variation 3 of it at a fidelity of 0.6 `photo-x4-fast-3-f60.png`.
 */
export function resultName(name, { model, scale, width, mode, seed, fidelity, format }) {
  const parts = [name.replace(/\.[^.]*$/, ''), width ? `${width}px` : `x${scale}`];
  const own = model.startsWith('own:');
  // All of the mean is the faithful result, however it came.
  if (fidelity === 1) return resultName(name, { model, scale, width, mode: 'instant', format });
  if (model !== ANY) parts.push(model.replace(/^(asasr-x4-|own:)/, ''));
  if (mode !== (own ? 'fast' : 'instant')) parts.push(mode);
  if (mode !== 'instant' && seed !== undefined) parts.push(seed);
  if (fidelity) parts.push(`f${Math.round(100 * fidelity)}`);
  return `${parts.join('-')}.${ENDINGS[format]}`;
}

function stored() {
  try {
    return JSON.parse(localStorage.getItem(SPEED)) ?? {};
  } catch {
    return {}; // storage may be forbidden
  }
}

/** Where the speeds of a model on a device are kept: work is counted in that of its own restorer. */
const placeOf = (device, model) => `${device} ${model}`;

/**
 * The speed of a model on a device for so many pixels: that of the mode where it was measured, or else of another one. What a photo costs apart
 * from its pixels makes that of a far smaller one say nothing.
 */
function remembered(device, { model, mode }, pixels) {
  const modes = stored()[placeOf(device, likely(model))] ?? {};
  const told = [modes[mode], ...Object.values(modes)].filter((measured) => measured && measured.pixels * 100 >= pixels);
  return told[0]?.speed ?? null;
}

/** Keeps a speed, unless a far larger photo told it better. */
function remember(device, { model, mode }, speed, pixels) {
  const all = stored();
  const place = placeOf(device, model);
  const modes = all[place] ?? {};
  if (pixels < (modes[mode]?.pixels ?? 0) / 4) return;
  try {
    localStorage.setItem(SPEED, JSON.stringify({ ...all, [place]: { ...modes, [mode]: { speed, pixels } } }));
  } catch { /* then it is measured again */ }
}

/**
 * A photo and what became of it. `state` is 'waiting', 'running', 'done', 'failed' or 'cancelled'.
 * `options` are those of `Upscaler.upscale` and the model's name; `fidelity` is that of the result; `measuring` is set while a finished job
 * runs once more to tell what is `invented`.
 * `whole` is the job of the photo that this one's is a piece of.
 * `looks` is what the photo looks like, where it was looked at.
 * `original` is the photo upright, where the browser shows `file` otherwise turned.
 * @typedef {{ id: number, file: File, whole: ?Job, original: ?Blob, looks: ?object, options: object, state: string, fidelity: number,
 *   progress: ?{ done: number, total: number, fraction: number, left: ?number }, width: number, height: number, pixels: ?number,
 *   result: ?{ blob: Blob, name: string, width: number, height: number, said: object[], seconds: number },
 *   measuring: boolean, error: ?Error }} Job
 */

/** The result of a job that asks for no model. */
async function squares({ file, options }, signal) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const { notes, ...result } = await asked(workerScript(), { kind: 'squares', bytes, ...options }, { signal });
  return { ...result, said: notes };
}

/**
 * Tells of every change of a job by an event `change` whose `detail` is the job, of finished rows by `rows`, of the list's change
 * by `list`, and by `idle` that nothing is left to do.
 */
export class Queue extends EventTarget {
  #open;
  #upscaler = null;
  #device = '';
  /** For each model how many times it enlarges, and how much work its modes are. */
  #work = {};
  #lastId = 0;
  /** Whether a run has not come back yet, be it cancelled. */
  #busy = false;
  /** @type {Job[]} */
  jobs = [];

  /** `open` gives the upscaler for a model's name. */
  constructor(open) {
    super();
    this.#open = open;
  }

  /** Tells where a model of that scale runs, and what work its modes are: its speed depends on both. */
  runsOn(where, model, scale, modes) {
    this.#device = where;
    this.#work[model] = { scale, modes: Object.fromEntries(modes.map(({ mode, work, draws }) => [mode, { work, draws }])) };
    for (const job of this.jobs.filter((each) => each.state === 'waiting' && !this.#refused(each))) this.#changed(job);
  }

  /** A job's work for a pixel of a photo of so many columns; null where its model is not known yet. */
  #workOf({ model, mode, samples = 1, scale, width, layers }, columns) {
    const own = this.#work[likely(model)];
    const { work, draws } = own?.modes[mode] ?? {};
    // A second pass runs the restorer over what the first made, and over the mean beside it.
    const wanted = width ? Math.ceil(width / (columns || width)) : scale;
    const again = wanted > own?.scale ? own.scale ** 2 * (layers && mode !== 'instant' ? 2 : 1) : 0;
    return work ? 1 + (work - 1) * (draws ? samples : 1) + again : null;
  }

  #job(file, options) {
    return { id: ++this.#lastId, file, whole: null, original: null, looks: null, options, state: 'waiting', progress: null, width: 0, height: 0, pixels: null, result: null, fidelity: 0, measuring: false, error: null };
  }

  get unfinished() { return this.jobs.filter((job) => ['waiting', 'running'].includes(job.state)); }

  /** Puts files at the end and returns their jobs. */
  add(files, options) {
    const jobs = files.map((file) => this.#job(file, options));
    this.jobs.push(...jobs);
    this.dispatchEvent(new CustomEvent('list'));
    this.#next();
    return jobs;
  }

  /** Seconds that a job would take; null where the device's speed or the photo's size is not known. */
  expected(job) {
    return job.pixels ? this.seconds(job.pixels, job.options, job.width) : null;
  }

  /** Seconds that so many pixels, in so many columns, would take; null where the device's speed for as many is not known. */
  seconds(pixels, options, columns) {
    const [speed, work] = [remembered(this.#device, options, pixels), this.#workOf(options, columns)];
    return speed && work ? pixels * work / speed : null;
  }

  /** The photo's size, once somebody has seen it. */
  measured(job, width, height) {
    Object.assign(job, { width, height, pixels: width * height });
    if (!this.#refused(job)) this.#changed(job);
  }

  /** Fails a job that waits in vain: its photo is too large for what is asked. */
  #refused(job) {
    if (job.state !== 'waiting' || job.measuring || !job.pixels || job.options.model === SQUARES) return false;
    const own = this.#work[likely(job.options.model)]?.scale;
    job.error = refusal(job, job.options, own);
    if (job.error) this.#turn(job, 'failed');
    return Boolean(job.error);
  }

  /** The largest size that there is in place of one that was too large, `{ width }` or `{ scale }`; null where there is none. */
  largest(job) {
    if (job.state !== 'failed') return null;
    return largest(job, job.options, this.#work[likely(job.options.model)]?.scale, job.error);
  }

  /** Tries a failed job again at that size. */
  retryLargest(job) {
    this.retry(job, { ...job.options, ...this.largest(job) });
  }

  /** Megapixels of a job's result where it is larger than the browser shows; otherwise null. */
  beyondShown({ pixels, width, options: { width: wide, scale } }) {
    const megapixels = (pixels ?? 0) * (wide ? wide / width : scale) ** 2 / 1e6;
    return megapixels * 1e6 > SHOWN ? Math.round(megapixels) : null;
  }

  cancel(job) {
    const running = job.state === 'running';
    if (!running && job.state !== 'waiting') return;
    // The next worker is there before anybody hears of it.
    if (running && job.options.model !== SQUARES) this.#upscaler?.cancel();
    job.stop?.abort();
    this.#turn(job, 'cancelled');
  }

  /** Tries a job again that came to nothing, with the options of now. */
  retry(job, options) {
    if (!['failed', 'cancelled'].includes(job.state)) return;
    Object.assign(job, { options, error: null, progress: null });
    this.#turn(job, 'waiting');
    if (!this.#refused(job)) this.#next();
  }

  /** Draws so many samples of a finished job to see where they differ; its result stays. */
  measure(job, samples) {
    if (job.state !== 'done') return;
    Object.assign(job, { measuring: samples, error: null, progress: null });
    this.#turn(job, 'waiting');
    this.#next();
  }

  /** Whether a piece of an unfinished job can be tried first: where it is large, and not known to be quick. */
  hasPiece(job) {
    const unfinished = ['waiting', 'running'].includes(job.state);
    return unfinished && !job.whole && !job.measuring && isLarge(job.pixels ?? 0) && (this.expected(job) ?? Infinity) >= QUICK;
  }

  /** Enlarges a piece of a job's photo now; the job itself waits to be asked for again. Returns the piece's job. */
  async tryPiece(job) {
    const name = job.file.name.replace(/(\.[^.]*)?$/, ' (part).png');
    const piece = new File([await pieceOf(job.original ?? job.file, job.pixels)], name, { type: 'image/png' });
    if (!this.hasPiece(job)) return null;
    const { width, ...options } = job.options;
    const made = this.#job(piece, { ...options, scale: options.scale ?? 4 });
    made.whole = job;
    this.jobs.splice(this.jobs.indexOf(job), 0, made);
    this.cancel(job);
    this.dispatchEvent(new CustomEvent('list'));
    this.#next();
    return made;
  }

  remove(job) {
    this.cancel(job);
    this.jobs = this.jobs.filter((other) => other !== job);
    this.dispatchEvent(new CustomEvent('list'));
  }

  #changed(job) {
    this.dispatchEvent(new CustomEvent('change', { detail: job }));
  }

  #turn(job, state) {
    job.state = state;
    if (job.measuring && ['failed', 'cancelled', 'done'].includes(state)) Object.assign(job, { measuring: false, state: 'done' });
    this.#changed(job);
  }

  async #next() {
    if (this.#busy) return;
    const job = this.jobs.find((each) => each.state === 'waiting');
    if (!job) {
      this.dispatchEvent(new CustomEvent('idle'));
      return;
    }
    // A job that is cancelled and tried again is another run: what is late from the first is not heeded.
    const run = {};
    job.run = run;
    const current = () => job.run === run && job.state === 'running';
    this.#busy = true;
    this.#turn(job, 'running');
    const start = performance.now();
    const since = (time) => (performance.now() - time) / 1000;
    // The network's own time begins when its worker and its weights are there.
    let begun = start;
    try {
      job.looks ??= await look(job.file);
      if (!current()) return;
      if (job.options.model === SQUARES) {
        job.stop = new AbortController();
        const result = await squares(job, job.stop.signal);
        if (!current()) return;
        const name = resultName(job.file.name || 'image', { ...job.options, format: 'png' });
        Object.assign(job, { fidelity: 0, result: { ...result, name, seconds: since(start) } });
        this.#turn(job, 'done');
        return;
      }
      if (job.options.model === LOOKED) job.options = { ...job.options, model: suited(job.looks) };
      this.#upscaler = this.#open(job.options.model);
      // Whether it is ready or failed to open, `upscale` knows what to do.
      const { model } = job.options;
      Promise.all([this.#upscaler.ready, this.#upscaler.scale, this.#upscaler.modes]).then(([where, scale, modes]) => {
        begun = performance.now();
        this.runsOn(where, model, scale, modes);
      }, () => {});
      // Only now it is certain whether the mode has more than one sample. What fails to open `upscale` tells.
      await this.#upscaler.modes.then((modes) => {
        const { seed, ...others } = job.options;
        const one = job.options.mode !== 'instant' && modes.some(({ mode, draws }) => mode === job.options.mode && !draws);
        if (one) job.options = { ...others, samples: COMPARED };
      }, () => {});
      if (!current()) return;
      const options = job.measuring ? { ...job.options, samples: job.measuring } : job.options;
      const result = await this.#upscaler.upscale(job.file, {
        ...options,
        onProgress: (done, total, fraction) => {
          if (!current()) return;
          job.progress = { done, total, fraction, left: fraction ? since(begun) / fraction * (1 - fraction) : null };
          this.#changed(job);
        },
        onLoading: (received, total) => {
          if (!current()) return;
          begun = performance.now();
          job.progress = { loading: received / total };
          this.#changed(job);
        },
        onOriginal: (original, width, height) => {
          if (!current()) return;
          job.original = original;
          this.measured(job, width, height);
        },
        onRows: (first, width, rgba) => {
          if (!current() || job.measuring) return;
          this.dispatchEvent(new CustomEvent('rows', { detail: { job, first, width, rgba } }));
        },
      });
      if (!current()) return; // cancelled while its answer was on the way
      // The network works on input pixels, whatever the output's size.
      const pixels = result.differences.length;
      remember(this.#device, options, pixels * (this.#workOf(options, result.mapWidth) ?? 1) / since(begun), pixels);
      if (job.measuring) {
        // The image is the same; what was done with it meanwhile stays.
        const { invented, deviation, departure } = result;
        job.result = { ...job.result, invented, deviation, departure };
      } else {
        // A format that could not be written came as PNG.
        const name = resultName(job.file.name || 'image', { ...options, format: result.blob.type.slice('image/'.length) });
        Object.assign(job, { fidelity: 0, result: { ...result, name, seconds: since(start) } });
      }
      this.#turn(job, 'done');
    } catch (error) {
      if (current()) {
        job.error = error;
        this.#turn(job, error.name === 'AbortError' ? 'cancelled' : 'failed');
      }
    } finally {
      this.#busy = false;
      this.#next();
    }
  }
}
