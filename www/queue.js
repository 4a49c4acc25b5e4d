// The photos to enlarge, one after the other.

/** Where a measured speed is kept between visits, in input pixels per second and unit of work. */
const SPEED = 'asasr-speed';

const ENDINGS = { png: 'png', jpeg: 'jpg', webp: 'webp' };

/** `photo.jpg` four times larger as PNG is `photo-x4.png`, 900 pixels wide `photo-900px.png`. */
export const resultName = (name, { scale, width, format }) => `${name.replace(/\.[^.]*$/, '')}-${width ? `${width}px` : `x${scale}`}.${ENDINGS[format]}`;

function remembered(device) {
  try {
    return JSON.parse(localStorage.getItem(SPEED))?.[device] ?? null;
  } catch {
    return null; // storage may be forbidden
  }
}

function remember(device, speed) {
  try {
    localStorage.setItem(SPEED, JSON.stringify({ [device]: speed }));
  } catch { /* then it is measured again */ }
}

/**
 * A photo and what became of it. `state` is 'waiting', 'running', 'done', 'failed' or 'cancelled'.
 * `options` are those of `Upscaler.upscale` and the model's name; `fidelity` is that of the result; `before` is what is given back
 * if another run of a finished job comes to nothing.
 * @typedef {{ id: number, file: File, options: object, state: string, fidelity: number,
 *   progress: ?{ done: number, total: number, fraction: number, left: ?number }, width: number, height: number, pixels: ?number,
 *   result: ?{ blob: Blob, name: string, width: number, height: number, notes: string[], seconds: number },
 *   before: ?object, error: ?Error }} Job
 */

/**
 * Tells of every change of a job by an event `change` whose `detail` is the job, of finished rows by `rows`, and of the
 * list's change by `list`.
 */
export class Queue extends EventTarget {
  #open;
  #upscaler = null;
  #device = '';
  /** For each model's modes how much work they are. */
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

  /** Tells where a model runs, and what work its modes are: its speed depends on both. */
  runsOn(where, model, modes) {
    this.#device = where;
    this.#work[model] = Object.fromEntries(modes.map(({ mode, work }) => [mode, work]));
    this.jobs.filter((job) => job.state === 'waiting').forEach((job) => this.#changed(job));
  }

  /** A job's work for a pixel; null where its model is not known yet. */
  #workOf({ model, mode, samples = 1 }) {
    const work = this.#work[model]?.[mode];
    return work ? 1 + (work - 1) * samples : null;
  }

  get unfinished() { return this.jobs.filter((job) => ['waiting', 'running'].includes(job.state)); }

  /** Puts files at the end and returns their jobs. */
  add(files, options) {
    const jobs = files.map((file) => ({ id: ++this.#lastId, file, options, state: 'waiting', progress: null, width: 0, height: 0, pixels: null, result: null, fidelity: 0, before: null, error: null }));
    this.jobs.push(...jobs);
    this.dispatchEvent(new CustomEvent('list'));
    this.#next();
    return jobs;
  }

  /** Seconds that a job would take; null where the device's speed or the photo's size is not known. */
  expected(job) {
    return job.pixels ? this.seconds(job.pixels, job.options) : null;
  }

  /** Seconds that so many pixels would take; null where the device's speed is not known. */
  seconds(pixels, options) {
    const [speed, work] = [remembered(this.#device), this.#workOf(options)];
    return speed && work ? pixels * work / speed : null;
  }

  /** The photo's size, once somebody has seen it. */
  measured(job, width, height) {
    Object.assign(job, { width, height, pixels: width * height });
    this.#changed(job);
  }

  cancel(job) {
    const running = job.state === 'running';
    if (!running && job.state !== 'waiting') return;
    this.#turn(job, 'cancelled');
    if (running) this.#upscaler?.cancel();
  }

  retry(job) {
    if (!['failed', 'cancelled'].includes(job.state)) return;
    Object.assign(job, { error: null, progress: null });
    this.#turn(job, 'waiting');
    this.#next();
  }

  /** Runs a finished job anew with other options. What it has is kept until then. */
  again(job, options) {
    if (job.state !== 'done') return;
    const { result, fidelity } = job;
    Object.assign(job, { before: { result, fidelity, options: job.options }, options: { ...job.options, ...options }, progress: null });
    this.#turn(job, 'waiting');
    this.#next();
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
    if (job.before && ['failed', 'cancelled'].includes(state)) Object.assign(job, job.before, { before: null, state: 'done' });
    if (state === 'done') job.before = null;
    this.#changed(job);
  }

  async #next() {
    if (this.#busy) return;
    const job = this.jobs.find((each) => each.state === 'waiting');
    if (!job) return;
    // A job that is cancelled and tried again is another run: what is late from the first is not heeded.
    const run = {};
    job.run = run;
    const current = () => job.run === run && job.state === 'running';
    this.#busy = true;
    this.#turn(job, 'running');
    const start = performance.now();
    const seconds = () => (performance.now() - start) / 1000;
    try {
      this.#upscaler = this.#open(job.options.model);
      // Whether it is ready or failed to open, `upscale` knows what to do.
      const { model } = job.options;
      Promise.all([this.#upscaler.ready, this.#upscaler.modes]).then(([where, modes]) => this.runsOn(where, model, modes), () => {});
      const result = await this.#upscaler.upscale(job.file, {
        ...job.options,
        onProgress: (done, total, fraction) => {
          if (!current()) return;
          job.progress = { done, total, fraction, left: seconds() / fraction * (1 - fraction) };
          this.#changed(job);
        },
        onLoading: (received, total) => {
          if (!current()) return;
          job.progress = { loading: received / total };
          this.#changed(job);
        },
        onRows: (first, width, rgba) => {
          if (!current()) return;
          this.dispatchEvent(new CustomEvent('rows', { detail: { job, first, width, rgba } }));
        },
      });
      if (!current()) return; // cancelled while its answer was on the way
      // A format that could not be written came as PNG.
      const options = { ...job.options, format: result.blob.type.slice('image/'.length) };
      job.result = { ...result, name: resultName(job.file.name || 'image', options), seconds: seconds() };
      job.fidelity = options.fidelity ?? 0;
      // The network works on input pixels, whatever the output's size.
      remember(this.#device, result.differences.length * (this.#workOf(options) ?? 1) / seconds());
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
