// The videos of the page: what a person chooses for each, how far it is, and what became of it.

import { asSaid, said } from './said.js';
import { threads } from './pool.js';
import { duration, number, text, translated } from './texts.js';
import { QUALITIES, SIZES, bitrate, codecName, encodable, resultSize, takesEven, usualCodec } from './video-codecs.js';
import { atWork } from './video.js';
import { drop, keep, kept, tidy } from './video-file.js';
import { JOURNAL, interrupted, keyOf } from './video-journal.js';
import { begin, cancelled } from './workers.js';

/** Longest side of the frame in the list, in pixels. */
const SMALL = 480;
/** Frames by whose times the speed is told. */
const RECENT = 30;
/** Share of a video after which its own size tells that of the whole. */
const TELLING = 0.05;
/** Seconds of work of which each quarter is spoken. */
const LONG = 10;
/** What is chosen once is chosen the next time. */
const KEPT = 'asasr-video-choices';

const MEDIA = { mp4: 'video/mp4', mov: 'video/quicktime', webm: 'video/webm', mkv: 'video/x-matroska' };

const $ = (id) => document.getElementById(id);

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

/** A moment as players show it. */
function clock(seconds) {
  const tenths = Math.round(10 * Math.max(seconds, 0));
  const [minutes, rest] = [Math.floor(tenths / 600), tenths % 600];
  return `${minutes}:${rest < 100 ? '0' : ''}${number(rest / 10, 1)}`;
}

/** Bytes for a reader. */
const megabytes = (bytes) => (bytes < 1e6
  ? text('kilobytes', { n: number(bytes / 1e3, 0) })
  : text('megabytes', { n: number(bytes / 1e6, bytes < 1e7 ? 1 : 0) }));

/** A worker that answers questions: `told(data)` is given what else it says. */
class Asker {
  #worker;
  #open = new Map();
  #lastId = 0;

  constructor(told) {
    const script = { address: new URL('video-worker.js', import.meta.url).href, type: 'module' };
    this.#worker = begin(script, ({ id, kind, value, ...data }) => {
      const request = this.#open.get(id);
      if (kind !== 'done' && kind !== 'error') {
        told({ kind, ...data });
        return;
      }
      this.#open.delete(id);
      if (kind === 'done') request?.resolve(value);
      else request?.reject(data);
    }, (why) => this.#end(asSaid(why)));
  }

  ask(question) {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#worker.postMessage({ id, ...question });
    return new Promise((resolve, reject) => { this.#open.set(id, { resolve, reject }); });
  }

  tell(order, transfer = []) {
    this.#worker.postMessage(order, transfer);
  }

  #end(why) {
    for (const { reject } of this.#open.values()) reject(why);
    this.#open.clear();
  }

  end() {
    this.#worker.terminate();
    this.#end(said('cancelled'));
  }
}

function remembered() {
  try {
    return { ...JSON.parse(localStorage.getItem(KEPT)) };
  } catch {
    return {};
  }
}

function remember(choices) {
  try {
    localStorage.setItem(KEPT, JSON.stringify({ ...remembered(), ...choices }));
  } catch { /* it lasts as long as the page */ }
}

/**
 * A video of the list. `state` is 'reading', 'ready' (its settings are open), 'waiting', 'running', 'paused', 'done', 'stopped' or 'failed'.
 */
class Film {
  static lastId = 0;
  state = 'reading';
  about = null;
  error = null;
  codecs = [];
  progress = null;
  result = null;
  /** The time of the frame that is seen. */
  time = 0;
  asker = null;
  release = null;
  /** An interrupted run of the same file, and whether this is its sequel. */
  earlier = null;
  resumed = false;

  constructor(file) {
    Film.lastId += 1;
    this.id = Film.lastId;
    this.file = file;
    this.own = crypto.randomUUID();
  }

  get unfinished() { return ['waiting', 'running', 'paused'].includes(this.state); }
}

/**
 * The list of videos. `page` gives what they need of the page: `announce(sentence)`; `preview(file, options)`, which shows a frame enlarged;
 * `wanted()`, the model and mode that are chosen and how many times larger they make frames at `most`; `upscaler(model, onLoading)`; `seconds(pixels, options)`, how long a frame takes where that
 * is known; `resting()`, which resolves when no photo is being enlarged; and `changed()`, to be called when there are more videos or fewer.
 */
export class Videos {
  #page;
  #films = [];
  #cards = new Map();
  #running = null;

  constructor(page) {
    this.#page = page;
    tidy().catch(() => {}); // nothing is kept where nothing can be
    $('start-all').addEventListener('click', () => this.#startAll());
  }

  get count() { return this.#films.length; }

  /** Whether something would be lost with the page. */
  get busy() { return this.#films.some((film) => film.unfinished); }

  /** How many times larger the model that is chosen makes frames at most. */
  get reach() { return this.#page.wanted().most; }

  /** Says something to who does not see it. */
  spoken(sentence) {
    this.#page.announce(sentence);
  }

  /** Puts files at the end of the list. */
  add(files) {
    for (const file of files) {
      const film = new Film(file);
      this.#films.push(film);
      const card = new Card(film, this);
      this.#cards.set(film, card);
      $('video-list').append(card.root);
      this.#read(film);
    }
    this.#listed();
  }

  /** The texts of all in the language of now. */
  relabel() {
    for (const card of this.#cards.values()) card.say();
    this.#listed();
  }

  /** Reconsiders what is on offer: another model may be chosen. */
  reconsider() {
    for (const film of this.#films) if (film.state === 'ready') this.#cards.get(film).offer();
  }

  #listed() {
    $('videos').hidden = this.#films.length === 0;
    const ready = this.#films.filter(({ state }) => state === 'ready');
    $('start-all').hidden = ready.length < 2;
    $('start-all').textContent = text('videoStartAll', { count: ready.length });
    this.#page.changed();
  }

  #turn(film, state) {
    film.state = state;
    this.#cards.get(film)?.say();
    this.#listed();
  }

  async #read(film) {
    this.#turn(film, 'reading');
    film.asker = new Asker((data) => this.#told(film, data));
    try {
      film.about = await film.asker.ask({ kind: 'open', file: film.file });
      film.time = film.about.begin;
      film.earlier = await interrupted(film.file).catch(() => null);
      this.#turn(film, 'ready');
      await this.#cards.get(film)?.begin();
    } catch (error) {
      this.#failed(film, error);
    }
  }

  #failed(film, error) {
    // Whoever removed it knows.
    if (!this.#films.includes(film)) return;
    film.error = asSaid(error);
    film.asker?.end();
    film.asker = null;
    this.#turn(film, 'failed');
    this.#page.announce(text('announceFailed', { name: film.file.name, message: translated(film.error) }));
  }

  /** Shows the frame at a time in the list; only the last wish counts. */
  async look(film, time) {
    film.wished = time;
    if (film.looking) return;
    film.looking = true;
    try {
      while (film.wished !== null && film.asker) {
        const wished = film.wished;
        film.wished = null;
        const { bitmap, time: its } = await film.asker.ask({ kind: 'picture', time: wished, most: SMALL });
        film.time = its;
        this.#cards.get(film)?.show(bitmap);
      }
    } catch (error) {
      this.#cards.get(film)?.refuse(asSaid(error));
    } finally {
      film.looking = false;
    }
  }

  /** Shows the frame that is seen, enlarged. */
  async preview(film, choices) {
    const { png, time } = await film.asker.ask({ kind: 'picture', time: film.time });
    const name = `${film.file.name.replace(/\.[^.]*$/, '')} ${clock(time).replace(':', '-')}.png`;
    const { model, mode, hold } = this.#page.wanted();
    const times = Number(choices.size);
    const shown = film.about.rotation % 180 === 0 ? choices.pixels.width / film.about.width : choices.pixels.height / film.about.height;
    const large = times ? { scale: times } : { width: Math.round(film.about.shown.width * shown) };
    this.#page.preview(new File([png], name, { type: 'image/png' }), { model, mode, hold, ...large, format: 'png', quality: 0.92, strip: false });
  }

  /** Bytes and seconds that a choice is likely to take: `{ bytes, seconds }`; seconds are null where the speed is not known. */
  expected(film, { codec, quality, pixels, from, to }) {
    const { about } = film;
    const length = Math.max(to - from, 0);
    const bytes = (bitrate({ codec, quality, size: pixels }, about.rate) + about.soundRate) / 8 * length;
    const each = this.#page.seconds(about.width * about.height, this.#page.wanted());
    return { bytes, seconds: each === null ? null : each * about.rate * length };
  }

  /** Goes on with the run of a video that the page's end interrupted. */
  goOn(film) {
    const { own, choices } = film.earlier;
    film.own = own;
    const { from, to } = choices;
    film.resumed = true;
    this.start(film, { ...choices, from: from ?? -Infinity, to: to ?? Infinity });
  }

  /** Begins a video, once it is known where its result goes. */
  async start(film, choices, chosen) {
    film.choices = choices;
    film.name = resultName(film.file.name, choices);
    film.chosen = chosen ?? null;
    if (chosen === undefined && globalThis.showSaveFilePicker) {
      const type = MEDIA[choices.container];
      try {
        film.chosen = await showSaveFilePicker({ suggestedName: film.name, types: [{ accept: { [type]: [`.${choices.container}`] } }] });
      } catch (error) {
        if (error.name === 'AbortError') return; // whoever chooses no file wants no result
        // A browser that does not let choose has files of its own.
      }
    }
    remember({ size: choices.size, quality: choices.quality });
    // What begins anew takes the place of what was interrupted.
    if (film.earlier && !film.resumed) drop(film.earlier.own + JOURNAL).catch(() => {});
    film.earlier = null;
    this.#turn(film, 'waiting');
    this.#next();
  }

  async #startAll() {
    const ready = this.#films.filter(({ state }) => state === 'ready');
    let folder = null;
    if (globalThis.showDirectoryPicker) {
      try {
        folder = await showDirectoryPicker({ mode: 'readwrite' });
      } catch (error) {
        if (error.name === 'AbortError') return;
      }
    }
    for (const film of ready) {
      const choices = this.#cards.get(film).choices;
      if (!choices) continue;
      await this.start(film, choices, folder ? await free(folder, resultName(film.file.name, choices)) : null);
    }
  }

  async #next() {
    if (this.#running) return;
    const film = this.#films.find(({ state }) => state === 'waiting');
    if (!film) return;
    this.#running = film;
    const { name } = film.file;
    const { model, mode, hold } = this.#page.wanted();
    film.upscaler = null;
    film.progress = { frames: 0, times: [] };
    film.begun = performance.now();
    this.#turn(film, 'running');
    this.#page.announce(text('announceStart', { name }));
    atWork(name);
    try {
      film.release ??= await keep(film.own).catch(() => null);
      film.upscaler = this.#page.upscaler(model, (received, total) => {
        film.progress.loading = received / total;
        this.#cards.get(film)?.say();
      });
      film.how = { mode, hold };
      const [where] = await Promise.all([film.upscaler.where, film.upscaler.ready]);
      film.progress.loading = undefined;
      if (film.stopping) {
        film.stopping = false;
        this.#turn(film, 'ready');
        return;
      }
      const lanes = where.args?.device === 'WebGPU' ? 2 : threads() + 1;
      const { size, codec, quality, container, pixels, from, to, part } = film.choices;
      const journal = { key: keyOf(film.file), choices: film.choices };
      const wish = { size: pixels, codec, quality, container, from, to, part, journal };
      const made = await film.asker.ask({ kind: 'make', wish, chosen: film.chosen, name: film.own, lanes, resumed: film.resumed });
      if (!this.#films.includes(film)) return;
      const seconds = (performance.now() - film.begun) / 1000;
      film.result = { ...made, seconds, size, pixels };
      if (made.frames > 0 && !film.chosen) film.result.file = await kept(film.own);
      this.#turn(film, made.whole ? 'done' : 'stopped');
      this.#page.announce(text(made.whole ? 'announceDone' : 'announceStopped', { name }));
    } catch (error) {
      this.#failed(film, error);
    } finally {
      atWork(null);
      film.upscaler?.dispose();
      film.upscaler = null;
      if (film.state !== 'ready') {
        film.asker?.end();
        film.asker = null;
      }
      this.#running = null;
      this.#next();
    }
  }

  /** What the worker of a video says beside its answers. */
  #told(film, data) {
    if (data.kind === 'enlarge') this.#enlarge(film, data);
    if (data.kind === 'progress') {
      const { progress } = film;
      progress.times.push(performance.now());
      if (progress.times.length > RECENT) progress.times.shift();
      Object.assign(progress, { frames: data.frames, time: data.time, bytes: data.bytes });
      this.#cards.get(film)?.say();
    }
  }

  async #enlarge(film, { number: its, frame }) {
    const { asker } = film;
    try {
      // Photos are soon done.
      await this.#page.resting();
      if (!film.upscaler) throw cancelled();
      const data = await film.upscaler.frame(frame, { size: film.choices.pixels, ...film.how });
      asker.tell({ kind: 'enlarged', number: its, data }, [data.buffer]);
    } catch (error) {
      asker.tell({ kind: 'enlarged', number: its, error: asSaid(error) });
    }
  }

  pause(film) {
    film.asker.tell({ kind: 'pause' });
    film.progress.times = [];
    this.#turn(film, 'paused');
  }

  resume(film) {
    film.progress.times = [];
    film.asker.tell({ kind: 'resume' });
    this.#turn(film, 'running');
  }

  /** Ends a video; what is done of it stays. */
  stop(film) {
    if (film.state === 'waiting') {
      this.#turn(film, 'ready');
      return;
    }
    film.stopping = true;
    film.asker?.tell({ kind: 'stop' });
    this.#turn(film, 'running');
  }

  /** Opens the settings of a video again. */
  again(film) {
    this.#forget(film);
    Object.assign(film, { own: crypto.randomUUID(), stopping: false, resumed: false, error: null, result: null, progress: null, codecs: [] });
    this.#read(film);
  }

  #forget(film) {
    this.#cards.get(film)?.forget();
    film.asker?.end();
    film.asker = null;
    film.release?.();
    film.release = null;
    for (const name of [film.own, film.own + JOURNAL]) drop(name).catch(() => {});
  }

  remove(film) {
    this.#films = this.#films.filter((other) => other !== film);
    this.#forget(film);
    const card = this.#cards.get(film);
    const next = card.root.nextElementSibling ?? card.root.previousElementSibling;
    card.root.remove();
    this.#cards.delete(film);
    this.#listed();
    (next?.querySelector('.actions > button:not([hidden])') ?? $('choose')).focus();
  }
}

/** `film.mp4` twice as large is `film-x2.mp4`, in full HD `film-1080p.mp4`. */
const resultName = (name, { size, container }) => `${name.replace(/\.[^.]*$/, '') || 'video'}-${Number(size) ? `x${size}` : size}.${container}`;

/** A new file of a folder by a name, or by one with a number. */
async function free(folder, name) {
  const [, stem, ending] = /^(.*)(\.[^.]*)$/.exec(name);
  for (let i = 1; ; i++) {
    const its = i === 1 ? name : `${stem} (${i})${ending}`;
    const taken = await folder.getFileHandle(its).then(() => true, () => false);
    if (!taken) return folder.getFileHandle(its, { create: true });
  }
}

/** A video in the list: what there is to see and to choose. */
class Card {
  #film;
  #videos;
  #parts;
  #url = null;
  #quarter = 0;
  #offered = 0;

  constructor(film, videos) {
    this.#film = film;
    this.#videos = videos;
    const button = (action, quiet = true) => {
      const made = element('button', { type: 'button', className: quiet ? 'quiet' : '' });
      made.addEventListener('click', action);
      return made;
    };
    const labelled = (control, ...more) => {
      const name = element('span');
      return { control, name, root: element('label', {}, name, control, ...more) };
    };
    const seconds = () => element('input', { type: 'number', min: 0, step: 'any', required: true });
    const at = element('output');
    const parts = {
      seen: element('canvas', { width: 16, height: 9 }),
      name: element('strong', { className: 'name', textContent: film.file.name, title: film.file.name }),
      facts: element('span', { className: 'state' }),
      state: element('span', { className: 'state' }),
      progress: element('progress', { max: 1 }),
      notes: element('ul', { className: 'notes' }),
      at,
      time: labelled(element('input', { type: 'range', min: 0, max: 1, step: 'any', value: 0 }), at),
      preview: button(() => this.#try()),
      here: button(() => this.#set('from')),
      there: button(() => this.#set('to')),
      from: labelled(seconds()),
      to: labelled(seconds()),
      size: labelled(element('select')),
      codec: labelled(element('select')),
      quality: labelled(element('select')),
      expected: element('p', { className: 'hint' }),
      goOn: button(() => videos.goOn(film), false),
      start: button(() => this.#start(), false),
      pause: button(() => videos.pause(film)),
      resume: button(() => videos.resume(film)),
      stop: button(() => videos.stop(film)),
      again: button(() => videos.again(film)),
      remove: button(() => videos.remove(film)),
      download: element('a', { className: 'button' }),
    };
    parts.progress.setAttribute('aria-label', film.file.name);
    parts.seen.setAttribute('role', 'img');
    parts.settings = element('fieldset', { className: 'film' }, parts.time.root,
      element('span', { className: 'choices' }, parts.preview, parts.here, parts.there),
      parts.from.root, parts.to.root, parts.size.root, parts.codec.root, parts.quality.root, parts.expected);
    parts.legend = element('legend', { className: 'unseen' });
    parts.settings.prepend(parts.legend);
    parts.root = element('li', {}, parts.seen, element('div', {}, parts.name, parts.facts, parts.state, parts.progress, parts.notes),
      parts.settings,
      element('div', { className: 'actions' }, parts.goOn, parts.start, parts.download, parts.pause, parts.resume, parts.stop, parts.again, parts.remove));
    this.#parts = parts;
    for (const key of ['time', 'from', 'to', 'size', 'codec', 'quality']) parts[key].control.name = key;
    parts.time.control.addEventListener('input', () => videos.look(film, parts.time.control.valueAsNumber));
    for (const key of ['size', 'codec', 'quality', 'from', 'to']) parts[key].control.addEventListener('change', () => this.offer());
    parts.codec.control.addEventListener('change', () => remember({ codec: parts.codec.control.value }));
    this.say();
  }

  get root() { return this.#parts.root; }

  /** The settings of a video that was read. */
  async begin() {
    const { about } = this.#film;
    const { time, from, to, size, quality } = this.#parts;
    Object.assign(time.control, { min: about.begin, max: about.end, value: about.begin });
    for (const { control } of [from, to]) Object.assign(control, { min: Math.floor(about.begin), max: Math.ceil(1000 * about.end) / 1000 });
    from.control.value = Math.max(about.begin, 0);
    to.control.value = Math.ceil(1000 * about.end) / 1000;
    const last = remembered();
    size.control.replaceChildren(...SIZES.map((value) => element('option', { value })));
    quality.control.replaceChildren(...Object.keys(QUALITIES).map((value) => element('option', { value })));
    size.control.value = SIZES.includes(last.size) ? last.size : '2';
    quality.control.value = last.quality in QUALITIES ? last.quality : 'good';
    this.say();
    await this.offer();
    this.#videos.look(this.#film, about.begin);
  }

  /** Offers the sizes that can be reached, and the codecs that the browser has for the chosen one. */
  async offer() {
    const film = this.#film;
    const { size, codec, start } = this.#parts;
    if (!film.about) return;
    this.#offered += 1;
    const mine = this.#offered;
    const most = this.#videos.reach;
    for (const option of size.control.options) option.hidden = option.disabled = resultSize(film.about, option.value, 'vp9', most) === null;
    if (size.control.selectedOptions[0]?.disabled) size.control.value = [...size.control.options].find(({ disabled }) => !disabled)?.value ?? '';
    const codecs = await encodable(film.about, size.control.value, most);
    if (mine !== this.#offered) return;
    film.codecs = codecs;
    const names = codecs.map((each) => each.codec);
    // What was chosen for another video is taken where this one's container takes it too.
    const { container, containers } = film.about;
    const last = remembered().codec;
    const before = codec.control.value || (container && containers[last] !== container ? '' : last);
    codec.control.replaceChildren(...names.map((value) => element('option', { value, textContent: codecName(value) })));
    codec.control.value = names.includes(before) ? before : usualCodec(container, names) ?? '';
    start.disabled = names.length === 0;
    this.#tellExpected();
  }

  /** What is chosen; null where that is nothing that can be made. */
  get choices() {
    const { from, to, size, codec, quality } = this.#parts;
    const { about, codecs } = this.#film;
    const found = codecs.find((each) => each.codec === codec.control.value);
    if (!found || !from.control.checkValidity() || !to.control.checkValidity()) return null;
    const [first, last] = [from, to].map(({ control }) => control.valueAsNumber);
    if (!(last > first)) return null;
    const part = first > Math.max(about.begin, 0) || last < about.end;
    return {
      size: size.control.value, codec: found.codec, pixels: found.size, quality: quality.control.value, container: about.containers[found.codec],
      // All of it has no ends: its last frame may be longer than it says.
      from: part ? first : -Infinity, to: last < about.end ? last : Infinity, part,
    };
  }

  #tellExpected() {
    const { expected, size } = this.#parts;
    const film = this.#film;
    const { choices } = this;
    if (!choices) {
      const pixels = resultSize(film.about, size.control.value, 'vp9');
      const none = film.codecs.length === 0 && pixels;
      expected.textContent = `${none ? translated(said('video-not-encoded', pixels)) : text('videoBadRange')}.`;
      return;
    }
    const within = { ...choices, from: Math.max(choices.from, film.about.begin), to: Math.min(choices.to, film.about.end) };
    const { bytes, seconds } = this.#videos.expected(film, within);
    const { width, height } = choices.pixels;
    const told = [text(seconds === null ? 'videoExpected' : 'videoExpectedTime', {
      width, height, size: megabytes(bytes), container: choices.container.toUpperCase(), time: seconds === null ? '' : duration(seconds),
    })];
    const factor = Number(size.control.value);
    if (takesEven(choices.codec) && factor && (width !== factor * film.about.width || height !== factor * film.about.height)) told.push(text('videoEven'));
    expected.textContent = told.join(' ');
  }

  /** Takes the time of the frame that is seen for an end of the range. */
  #set(end) {
    const { control } = this.#parts[end];
    control.value = Number(this.#film.time.toFixed(6));
    this.#tellExpected();
  }

  #start() {
    const { choices } = this;
    if (!choices) {
      const bad = ['from', 'to'].map((key) => this.#parts[key].control).find((control) => !control.checkValidity()) ?? this.#parts.to.control;
      this.#tellExpected();
      bad.focus();
      return;
    }
    this.#videos.start(this.#film, choices);
  }

  async #try() {
    const { choices } = this;
    const pixels = choices?.pixels ?? resultSize(this.#film.about, this.#parts.size.control.value, 'vp9');
    try {
      await this.#videos.preview(this.#film, { size: this.#parts.size.control.value, pixels });
    } catch (error) {
      this.refuse(asSaid(error));
    }
  }

  /** Says what could not be shown. */
  refuse(message) {
    this.#parts.expected.textContent = `${translated(message)}.`;
  }

  /** Shows a frame. */
  show(bitmap) {
    const { seen, at, time } = this.#parts;
    Object.assign(seen, { width: bitmap.width, height: bitmap.height });
    seen.getContext('2d').drawImage(bitmap, 0, 0);
    bitmap.close();
    at.textContent = clock(this.#film.time);
    time.control.setAttribute('aria-valuetext', at.textContent);
    seen.setAttribute('aria-label', text('videoFrameOf', { name: this.#film.file.name, time: at.textContent }));
  }

  forget() {
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = null;
    this.#parts.download.removeAttribute('href');
  }

  /** All texts, by the state and in the language of now. */
  say() {
    const film = this.#film;
    const { state, about, file: { name } } = film;
    const parts = this.#parts;
    parts.root.className = state;
    for (const [key, its] of Object.entries({
      goOn: 'videoGoOn', start: 'videoStart', pause: 'pause', resume: 'resume', stop: state === 'waiting' ? 'cancel' : 'videoStop', again: 'again', remove: 'remove',
      download: 'download', preview: 'videoPreview', here: 'videoHere', there: 'videoThere',
    })) parts[key].textContent = text(its);
    for (const key of ['goOn', 'start', 'pause', 'resume', 'stop', 'again', 'remove', 'download']) parts[key].setAttribute('aria-label', `${parts[key].textContent}: ${name}`);
    for (const [key, its] of Object.entries({ time: 'videoFrame', from: 'videoFrom', to: 'videoTo', size: 'size', codec: 'videoCodec', quality: 'quality' })) parts[key].name.textContent = text(its);
    parts.legend.textContent = text('videoSettings', { name });
    for (const option of parts.size.control.options) option.textContent = Number(option.value) ? `${option.value}×` : text('videoToSize', { size: option.value === '4k' ? '4K' : option.value });
    for (const option of parts.quality.control.options) option.textContent = text({ small: 'videoSmall', good: 'videoGood', best: 'videoBest' }[option.value]);
    parts.facts.textContent = about ? this.#facts() : '';
    parts.state.textContent = this.#stateText();
    if (state === 'ready' && film.codecs.length > 0) this.#tellExpected();
    const at = ['running', 'paused'].includes(state);
    parts.settings.hidden = state !== 'ready';
    parts.progress.hidden = !at;
    const fraction = this.#fraction();
    if (fraction > 0) parts.progress.value = fraction;
    else parts.progress.removeAttribute('value');
    const visible = {
      goOn: state === 'ready' && Boolean(film.earlier), start: state === 'ready', pause: state === 'running' && film.progress.frames > 0 && !film.stopping, resume: state === 'paused', stop: film.unfinished && !film.stopping,
      again: ['done', 'stopped'].includes(state) || (state === 'failed' && about !== null), remove: !film.unfinished, download: Boolean(film.result?.file),
    };
    const had = document.activeElement;
    for (const [key, is] of Object.entries(visible)) parts[key].hidden = !is;
    // The button went away under the keyboard's focus.
    if (had?.hidden && parts.root.contains(had)) parts.root.querySelector('.actions > :not([hidden])')?.focus();
    if (film.result?.file && !this.#url) {
      this.#url = URL.createObjectURL(film.result.file);
      Object.assign(parts.download, { href: this.#url, download: film.name });
    }
    const notes = film.result?.notes ?? about?.notes ?? [];
    parts.notes.replaceChildren(...notes.map((note) => element('li', { textContent: translated(note) })));
    parts.notes.hidden = notes.length === 0;
    this.#speak(fraction);
  }

  #facts() {
    const { about } = this.#film;
    const { width, height } = about.shown;
    const told = [text('videoFacts', { width, height, rate: number(about.rate, about.rate % 1 < 0.005 ? 0 : 2), time: clock(about.end - about.begin) })];
    if (about.codec) told.push(about.codec);
    if (about.sound) told.push(text('videoSound'));
    return told.join(', ');
  }

  /** The share of the frames that is done. */
  #fraction() {
    const { about, progress, choices } = this.#film;
    if (!progress?.frames) return 0;
    const [from, to] = [Math.max(choices.from, about.begin), Math.min(choices.to, about.end)];
    return Math.min((progress.time - from) / (to - from), 1);
  }

  #stateText() {
    const film = this.#film;
    const { state, progress, result } = film;
    switch (state) {
      case 'reading': return text('videoReading');
      case 'waiting': return text('waiting');
      case 'paused': return `${text('videoPaused')}: ${this.#progressText()}`;
      case 'running':
        if (progress.loading !== undefined) return text('loading', { percent: Math.round(100 * progress.loading) });
        if (film.stopping) return text('saving');
        return progress.frames ? this.#progressText() : text('preparing');
      case 'done':
      case 'stopped': {
        if (!result.frames) return text('cancelled');
        const told = text(state === 'done' ? 'videoDone' : 'videoStopped', {
          ...result.pixels, frames: result.frames, time: duration(result.seconds), size: megabytes(result.bytes), until: clock(progress.time ?? 0),
        });
        return film.chosen ? `${told}; ${text('videoSaved', { name: film.chosen.name })}` : told;
      }
      case 'failed': return text('failed', { message: translated(film.error) });
      default: return '';
    }
  }

  /** How far it is: frames, speed, the time that is left and the size to expect. */
  #progressText() {
    const film = this.#film;
    const { progress: { frames, times, bytes }, choices, about } = film;
    const fraction = this.#fraction();
    const all = Math.max(Math.round(frames / Math.max(fraction, 1e-9)), frames);
    const told = [text('videoProgress', { frames, all })];
    const rate = times.length > 1 ? 1000 * (times.length - 1) / (times.at(-1) - times[0]) : null;
    if (rate) {
      told.push(text('videoRate', { rate: number(rate, rate < 10 ? 1 : 0) }));
      if (all > frames) told.push(text('videoLeft', { time: duration((all - frames) / rate) }));
    }
    const within = { ...choices, from: Math.max(choices.from, about.begin), to: Math.min(choices.to, about.end) };
    const size = fraction > TELLING && bytes > 0 ? bytes / fraction : this.#videos.expected(film, within).bytes;
    told.push(text('videoAbout', { size: megabytes(size) }));
    return told.join(', ');
  }

  /** Says each quarter of what takes long. */
  #speak(fraction) {
    const { state, progress, file, begun } = this.#film;
    const quarter = state === 'running' ? Math.floor(4 * fraction) : 0;
    if (quarter > this.#quarter && progress && performance.now() - begun > 1000 * LONG) this.#videos.spoken(`${file.name}: ${this.#stateText()}`);
    this.#quarter = quarter;
  }
}
