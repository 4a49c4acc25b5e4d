// <asasr-upscaler src model public-key scale width mode seed fidelity hold device format>: an enlarged image where a page wants one.
//
// A page with several of them shares one worker, and one device, for each model and device choice.

import { Upscaler } from './upscaler.js';

/** Workers in use: `{ upscaler, users }` by device and model. */
const shared = new Map();

function acquire(options) {
  const key = JSON.stringify(options);
  if (!shared.has(key)) shared.set(key, { upscaler: new Upscaler(options), users: 0 });
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

/** The element. Its texts are in slots: `progress` while it works, `error` when it failed; the default slot is shown before. */
export class AsasrUpscaler extends HTMLElement {
  static observedAttributes = ['src', 'model', 'public-key', 'scale', 'width', 'mode', 'seed', 'fidelity', 'hold', 'device', 'format'];

  #lease = null;
  #stop = null;
  #parts;
  #planned = false;
  #address = null;
  /** The source that is being fetched or was fetched last. */
  #wish = null;
  /** The last result, as `Upscaler.upscale` gives it. */
  result = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    root.innerHTML = `<slot></slot><img part="image" alt="" hidden>
      <div part="status" role="status" hidden><slot name="progress"></slot><progress part="progress" max="1" aria-label="Enlarging"></progress></div>
      <div part="error" role="alert" hidden><slot name="error"><span part="message"></span></slot></div>`;
    const sheet = new CSSStyleSheet(); // no inline style, which strict policies forbid
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    const find = (part) => root.querySelector(`[part=${part}]`);
    this.#parts = { before: root.querySelector('slot'), image: find('image'), status: find('status'), progress: find('progress'), error: find('error'), message: find('message') };
  }

  connectedCallback() { this.#plan(); }

  disconnectedCallback() { this.dispose(); }

  attributeChangedCallback(_, before, now) { if (before !== now) this.#plan(); }

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
      const response = await fetch(src);
      if (!response.ok) throw new Error(`${src} could not be loaded (${response.status})`);
      const blob = await response.blob();
      if (current()) await this.upscale(blob);
    } catch (error) {
      // What `upscale` met it has told already; what another source met is of no interest any more.
      if (!error.told && current()) this.#fail(error);
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
    const options = {};
    for (const name of ['device', 'model']) if (this.hasAttribute(name)) options[name] = this.getAttribute(name);
    if (this.hasAttribute('public-key')) options.publicKey = this.getAttribute('public-key');
    const before = this.#lease;
    this.#lease = acquire(options);
    before?.release();
    const { entry } = this.#lease;
    this.#show('status');
    this.#parts.progress.removeAttribute('value');
    try {
      this.result = await entry.upscaler.upscale(blob, {
        ...this.#wishes(),
        signal: stop.signal,
        onProgress: (done, total, fraction) => {
          this.#parts.progress.value = fraction;
          this.#tell('progress', { done, total, fraction });
        },
      });
      if (this.#address) URL.revokeObjectURL(this.#address);
      this.#address = URL.createObjectURL(this.result.blob);
      Object.assign(this.#parts.image, { src: this.#address, alt: this.getAttribute('alt') ?? '', width: this.result.width, height: this.result.height });
      this.#show('image');
      this.#tell('result', this.result);
      return this.result;
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

  /** What the attributes say. */
  #wishes() {
    const wishes = {};
    for (const name of ['mode', 'format']) if (this.hasAttribute(name)) wishes[name] = this.getAttribute(name);
    for (const name of ['scale', 'width', 'seed', 'fidelity']) if (this.hasAttribute(name)) wishes[name] = Number(this.getAttribute(name));
    const hold = this.getAttribute('hold');
    if (hold !== null) wishes.hold = { on: true, off: false }[hold] ?? Number(hold);
    return wishes;
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

  #show(part) {
    for (const name of ['before', 'image', 'status', 'error']) this.#parts[name].hidden = name !== part && !(name === 'before' && part === 'status');
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

if (!customElements.get('asasr-upscaler')) customElements.define('asasr-upscaler', AsasrUpscaler);

export { Upscaler };
