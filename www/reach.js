// Fetches; where that fails, finds out which host, header or line of the page's policy is missing.

import { Said } from './said.js';

/** Notes what the page's Content-Security-Policy forbids, until `stop`. */
export function watch() {
  const seen = [];
  const note = (event) => { if (event.disposition === 'enforce') seen.push(event); };
  addEventListener('securitypolicyviolation', note);
  return { seen, stop: () => removeEventListener('securitypolicyviolation', note) };
}

/** A file's name for a reader: its path, and its host where that is another one. */
export function nameOf(address) {
  const { origin, host, pathname } = new URL(address);
  return origin === globalThis.origin ? pathname : host + pathname;
}

/** What a directive calls the source of a blocked address; of some of these the browser tells the kind only. */
function sourceOf(blocked) {
  if (blocked === 'wasm-eval') return "'wasm-unsafe-eval'";
  if (!blocked.includes(':')) return `${blocked}:`;
  const { origin } = new URL(blocked);
  return origin === globalThis.origin ? "'self'" : origin;
}

/** What a violation of the policy says. */
export function violated({ effectiveDirective, blockedURI }) {
  if (effectiveDirective.endsWith('trusted-types') || blockedURI.startsWith('trusted-types')) return new Said('trusted-types');
  // Browsers tell scripts of elements apart, for which policies seldom have a line of their own.
  const directive = effectiveDirective.replace(/-(elem|attr)$/, '');
  const name = { 'wasm-eval': 'WebAssembly' }[blockedURI] ?? (blockedURI.includes(':') ? nameOf(blockedURI) : blockedURI);
  return new Said('policy-forbids', { name, directive, source: sourceOf(blockedURI) });
}

/** The error of what was forbidden while it was watched, if `is` takes it: its event comes a moment after the failure. */
export async function forbidden({ seen }, is = () => true) {
  await new Promise((resolve) => { setTimeout(resolve, 100); });
  const found = seen.find(is);
  return found && violated(found);
}

/** The error of an answer that is not the file of that name; one that `belongs` to a file which the page has may be gone with a new version. */
export function refused(status, name, { belongs = false } = {}) {
  if (status === 401 || status === 403) return new Said('not-given', { name, status });
  if (status === 429 || status >= 500) return new Said('server-failed', { name, status });
  if ((status === 404 || status === 410) && !belongs) return new Said('not-on-server', { name, status });
  return new Said('not-loaded-status', { name, status });
}

/** The answer to a request for a file, `name` for a reader; an error says what came in its place. */
export async function fileAt(address, { name = nameOf(address), belongs } = {}) {
  const response = await reached(address);
  if (!response.ok) throw refused(response.status, name, { belongs });
  // Many servers answer so, and with a good status, for what they do not have.
  if (response.headers.get('content-type')?.startsWith('text/html')) throw new Said('web-page', { name });
  return response;
}

/** The answer to a request, of whatever status; an error says why there is none. */
export async function reached(address) {
  const watched = watch();
  try {
    return await fetch(address);
  } catch {
    const { href, host, pathname, protocol } = new URL(address);
    const policy = await forbidden(watched, ({ blockedURI }) => href.startsWith(blockedURI));
    if (policy) throw policy;
    const name = host ? pathname : protocol;
    if (!host || new URL(href).origin === globalThis.origin) throw new Said('not-loaded', { name });
    // A host that answers this way is there, and only keeps its answer from this page.
    const there = await fetch(href, { mode: 'no-cors' }).then(() => true, () => false);
    throw there ? new Said('not-shared', { name, host, origin: globalThis.origin }) : new Said('no-answer', { name, host });
  } finally {
    watched.stop();
  }
}
