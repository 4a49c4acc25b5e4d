// <asasr-upscaler src model public-key scale width mode seed fidelity hold device format>: an enlarged image where a page wants one.
//
// A page with several of them shares one worker, and one device, for each model and device choice.

import { modelPlace } from './address.js';
import { inWords } from './english.js';
import { fileAt, forbidden, watch } from './reach.js';
import { said } from './said.js';
import { OPTIONS, Upscaler, notOffered } from './upscaler.js';

/** Workers in use: `{ upscaler, users }` by device and model. */
const shared = new Map();

/** A number for each model that is no address. */
const numbers = new WeakMap();
let lastNumber = 0;

function numberOf(model) {
  if (!numbers.has(model)) numbers.set(model, ++lastNumber);
  return numbers.get(model);
}

function acquire({ model, ...options }) {
  const key = JSON.stringify([typeof model === 'string' ? modelPlace(model) : model && numberOf(model), options]);
  if (!shared.has(key)) shared.set(key, { upscaler: new Upscaler({ model, ...options }), users: 0 });
  const entry = shared.get(key);
  entry.users += 1;
  let released = false;
  return {
    entry,
    release() {
      if (released) return;
      released = true;
      entry.users -= 1;
      if (entry.users === 0) {
        shared.delete(key);
        entry.upscaler.dispose();
      }
    },
  };
}

const STYLE = `
  :host { display: inline-block; position: relative; max-width: 100%; color: inherit; font: inherit; }
  :host([hidden]) { display: none; }
  img { display: block; max-width: 100%; height: auto; border-radius: var(--asasr-radius, 0); }
  progress { display: block; width: 100%; accent-color: var(--asasr-accent, auto); }
  [hidden] { display: none !important; }
`;

const words = { read: String };
const place = { read: String, is: (value) => URL.canParse(value, document.baseURI), allowed: 'URL' };
const choice = (name) => ({ read: String, ...OPTIONS[name] });
const number = (name) => ({ read: Number, ...OPTIONS[name] });

/** The attributes: what their text means and what it may be. Each is a property too. */
const ATTRIBUTES = {
  src: place,
  alt: words,
  model: place,
  'public-key': words,
  device: choice('device'),
  mode: choice('mode'),
  seed: number('seed'),
  fidelity: number('fidelity'),
  hold: {
    ...OPTIONS.hold,
    read: (value) => ({ on: true, off: false })[value] ?? Number(value),
    write: (value) => ({ true: 'on', false: 'off' })[value] ?? value,
    allowed: 'on | off | 0.8–16',
  },
  scale: number('scale'),
  width: number('width'),
  format: choice('format'),
};

const propertyOf = (attribute) => attribute.replace(/-./, ([, letter]) => letter.toUpperCase());

/** Those that are options of a call. */
const WISHES = ['mode', 'seed', 'fidelity', 'hold', 'scale', 'width', 'format'];

/** Rejects unless the page can show an image. */
async function showable(address) {
  const watched = watch();
  try {
    await new Promise((resolve, reject) => { Object.assign(new Image(), { onload: resolve, onerror: reject, src: address }); });
  } catch {
    throw inWords(await forbidden(watched, ({ effectiveDirective }) => effectiveDirective === 'img-src') ?? said('not-shown'));
  } finally {
    watched.stop();
  }
}

/** While a server renders there are no elements. */
const Base = globalThis.HTMLElement ?? Object;

/**
 * The element. Its texts are in slots: `progress` while it works, `error` when it failed; the default slot is shown until there is a
 * result, and stays where there is none.
 */
export class AsasrUpscaler extends Base {
  static observedAttributes = Object.keys(ATTRIBUTES);

  #lease = null;
  #stop = null;
  #parts;
  #model = null;
  #planned = false;
  #address = null;
  /** The source that is being fetched or was fetched last. */
  #wish = null;
  /** The last result, as `Upscaler.upscale` gives it. */
  result = null;

  constructor() {
    super();
    const make = (kind, part, more = {}, ...inside) => {
      const element = document.createElement(kind);
      if (part) element.setAttribute('part', part);
      for (const [name, value] of Object.entries(more)) element.setAttribute(name, value);
      element.append(...inside);
      return element;
    };
    const before = make('slot');
    const image = make('img', 'image', { alt: '' });
    const progress = make('progress', 'progress', { max: 1, 'aria-label': 'Enlarging' });
    const status = make('div', 'status', { role: 'status' }, make('slot', null, { name: 'progress' }), progress);
    const message = make('span', 'message');
    const error = make('div', 'error', { role: 'alert' }, make('slot', null, { name: 'error' }, message));
    const root = this.attachShadow({ mode: 'open' });
    root.append(before, image, status, error);
    const sheet = new CSSStyleSheet(); // no inline style, which strict policies forbid
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    this.#parts = { before, image, status, progress, error, message };
    this.#show('before');
    // Properties that were set before this was known.
    for (const name of Object.keys(ATTRIBUTES).map(propertyOf)) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
  }

  connectedCallback() { this.#plan(); }

  disconnectedCallback() { this.dispose(); }

  attributeChangedCallback(name, before, now) {
    if (name === 'model') this.#model = null;
    if (name === 'alt') this.#parts.image.alt = now ?? '';
    else if (before !== now) this.#plan();
  }

  /** The model: its attribute, or what no attribute can say, such as a file. */
  get model() { return this.#model ?? this.getAttribute('model'); }

  set model(model) {
    if (typeof model === 'string') {
      this.setAttribute('model', model);
      return;
    }
    this.removeAttribute('model');
    this.#model = model ?? null;
    this.#plan();
  }

  /** Several attributes that change together are one wish. */
  #plan() {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      if (!this.isConnected) return;
      if (this.getAttribute('src')) this.#fetch();
      else if (this.#wish) this.#empty();
    });
  }

  /** What stood there before stands there again. */
  #empty() {
    this.cancel();
    this.#wish = this.result = null;
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = null;
    this.#show('before');
  }

  async #fetch() {
    this.cancel();
    const src = this.getAttribute('src');
    const wish = {};
    this.#wish = wish;
    const current = () => this.isConnected && this.#wish === wish;
    try {
      this.#check();
      const blob = await (await fileAt(new URL(src, document.baseURI).href, { name: src })).blob();
      if (current()) await this.upscale(blob);
    } catch (error) {
      // What `upscale` met it has told already; what another source met is of no interest any more.
      if (!error.told && current()) this.#fail(error.args ? inWords(error) : error);
    }
  }

  /** Enlarges a Blob and shows it; resolves to the result. What runs already is cancelled. */
  async upscale(blob, { signal } = {}) {
    this.cancel();
    const stop = new AbortController();
    this.#stop = stop;
    const done = new AbortController();
    if (signal?.aborted) stop.abort();
    else signal?.addEventListener('abort', () => stop.abort(), { signal: done.signal });
    try {
      this.#check();
      const before = this.#lease;
      this.#lease = acquire({ device: this.device ?? undefined, model: this.model ?? undefined, publicKey: this.publicKey ?? undefined });
      before?.release();
      const { entry } = this.#lease;
      this.#show('status');
      this.#parts.progress.removeAttribute('value');
      const result = await entry.upscaler.upscale(blob, {
        ...this.#wishes(),
        signal: stop.signal,
        onProgress: (done, total, fraction) => {
          this.#parts.progress.value = fraction;
          this.#tell('progress', { done, total, fraction });
        },
      });
      const address = URL.createObjectURL(result.reduced ?? result.blob);
      try {
        await showable(address);
        stop.signal.throwIfAborted();
      } catch (error) {
        URL.revokeObjectURL(address);
        throw error;
      }
      if (this.#address) URL.revokeObjectURL(this.#address);
      this.#address = address;
      this.result = result;
      Object.assign(this.#parts.image, { src: address, alt: this.alt ?? '', width: result.width, height: result.height });
      this.#show('image');
      this.#tell('result', result);
      return result;
    } catch (error) {
      if (error.name === 'AbortError') {
        if (!this.#stop || this.#stop === stop) this.#show(this.#address ? 'image' : 'before');
        this.#tell('cancel');
      } else this.#fail(error);
      throw Object.assign(error, { told: true });
    } finally {
      done.abort();
      if (this.#stop === stop) this.#stop = null;
    }
  }

  /** Refuses attributes that mean nothing. */
  #check() {
    for (const [name, { read, is, allowed }] of Object.entries(ATTRIBUTES)) {
      const value = this.getAttribute(name);
      if (is && value !== null && !is(read(value))) throw notOffered(name, value, allowed);
    }
  }

  /** What the attributes say. */
  #wishes() {
    return Object.fromEntries(WISHES.filter((name) => this.hasAttribute(name)).map((name) => [name, this[name]]));
  }

  /** Stops what is running. */
  cancel() {
    this.#stop?.abort();
    this.#stop = null;
  }

  /** Stops, and frees the device unless another element uses it. */
  dispose() {
    // The last user ends the worker and what it runs; another's is only cancelled.
    this.#lease?.release();
    this.#lease = null;
    this.cancel();
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = null;
  }

  /** What the page put inside stays until there is a result: a failure takes nothing away. */
  #show(part) {
    for (const name of ['before', 'image', 'status', 'error']) this.#parts[name].hidden = name === 'before' ? part === 'image' : name !== part;
  }

  #fail(error) {
    this.#parts.message.textContent = error.message;
    this.#show('error');
    const { message, code, args } = error;
    // Exceptions of the browser have codes of another kind.
    this.#tell('error', args ? { message, code, args } : { message });
  }

  #tell(kind, detail) {
    // The names of `error` and `cancel` mean something else further up.
    this.dispatchEvent(new CustomEvent(kind, { detail, bubbles: ['progress', 'result'].includes(kind) }));
  }
}

for (const [attribute, { read, write = String }] of Object.entries(ATTRIBUTES)) {
  const name = propertyOf(attribute);
  if (name in AsasrUpscaler.prototype) continue;
  Object.defineProperty(AsasrUpscaler.prototype, name, {
    /** Null where there is no such attribute. */
    get() {
      const value = this.getAttribute(attribute);
      return value === null ? null : read(value);
    },
    set(value) {
      if (value === null || value === undefined) this.removeAttribute(attribute);
      else this.setAttribute(attribute, write(value));
    },
    configurable: true,
    enumerable: true,
  });
}

if (globalThis.customElements && !customElements.get('asasr-upscaler')) customElements.define('asasr-upscaler', AsasrUpscaler);

export { blend, importModel, save, Upscaler } from './upscaler.js';
