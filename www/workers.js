// Starts workers, wherever their script lies: beside the page, on another origin, or where a bundler put it.

import { inWords } from './english.js';
import { forbidden, nameOf, reached, refused, violated, watch } from './reach.js';
import { said } from './said.js';

/** The name of our policy where a page enforces Trusted Types. */
const POLICY = 'asasr';
let policy;

/** The address of a script of ours, as such a page takes it. */
function trusted(address) {
  if (policy === undefined) {
    try {
      policy = globalThis.trustedTypes?.createPolicy(POLICY, { createScriptURL: (own) => own }) ?? null;
    } catch {
      policy = null; // a policy of the page's own may still take it
    }
  }
  return policy?.createScriptURL(address) ?? address;
}

/** A script that runs one of another origin, which browsers do not start as a worker; what comes before that is ready waits. */
const relay = (address, type) => (type === 'classic' ? `importScripts(${JSON.stringify(address)});` : `
  const early = [];
  const keep = (event) => early.push(event);
  let forbidden;
  addEventListener('message', keep);
  addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => { forbidden ??= { effectiveDirective, blockedURI }; });
  import(${JSON.stringify(address)}).then(
    () => { removeEventListener('message', keep); early.forEach((event) => self.onmessage(event)); },
    () => setTimeout(() => postMessage({ kind: 'not-started', forbidden }), 100),
  );`);

/** The relays that were made, by what they run. */
const relays = new Map();

function relayed(address, type) {
  if (new URL(address).origin === globalThis.origin) return address;
  if (!relays.has(address)) relays.set(address, URL.createObjectURL(new Blob([relay(address, type)], { type: 'text/javascript' })));
  return relays.get(address);
}

/** A worker. */
export const start = ({ address, type }) => new Worker(trusted(relayed(address, type)), { type });

/** Why a worker did not start. */
async function whyNot(address, watched) {
  const about = /^(worker-src|trusted-types|require-trusted-types-for)$/;
  const policy = await forbidden(watched, ({ effectiveDirective }) => about.test(effectiveDirective));
  if (policy) return policy;
  try {
    const { ok, status } = await reached(address);
    return ok ? said('worker-failed') : refused(status, nameOf(address), { belongs: true });
  } catch (error) {
    return error;
  }
}

/** A worker that is spoken with: `told(data)` is given what it says, `failed(message)` why it cannot go on. */
export function begin(script, told, failed) {
  const { address } = script;
  const watched = watch();
  let started = false;
  let ended = false;
  const fail = async (why) => {
    const message = await why;
    watched.stop();
    if (!ended) failed(message);
  };
  const end = (worker) => {
    ended = true;
    watched.stop();
    worker?.terminate();
  };
  let worker;
  try {
    worker = start(script);
  } catch {
    fail(whyNot(address, watched));
    return { postMessage() {}, terminate: () => end() };
  }
  worker.onmessage = ({ data }) => {
    if (data.kind === 'not-started') fail(data.forbidden ? violated(data.forbidden) : whyNot(address, watched));
    else {
      if (!started) watched.stop();
      started = true;
      told(data);
    }
  };
  worker.onerror = (event) => {
    event.preventDefault();
    // What broke in a script has a message, what never came has none. Of what it could tell itself, a worker that runs has told.
    fail(started || event.message ? said('worker-failed') : whyNot(address, watched));
  };
  return { postMessage: (...given) => worker.postMessage(...given), terminate: () => end(worker) };
}

/** The answer to one question, by a worker of its own, whose memory ends with it. */
export async function asked(script, question, { onLoading, signal } = {}) {
  let worker;
  let stop;
  try {
    return await new Promise((resolve, reject) => {
      stop = () => reject(cancelled());
      signal?.addEventListener('abort', stop);
      worker = begin(script, ({ kind, value, ...data }) => {
        if (kind === 'loading') onLoading?.(data.received, data.total);
        else if (kind === 'done') resolve(value);
        else reject(inWords(data));
      }, (why) => reject(inWords(why)));
      worker.postMessage({ id: 0, ...question });
    });
  } finally {
    signal?.removeEventListener('abort', stop);
    worker?.terminate();
  }
}

/** What is thrown where somebody wants no more. */
export const cancelled = () => new DOMException('cancelled', 'AbortError');

/** The address and the type of the worker that runs this: to start another one. */
export function here() {
  let type = 'classic';
  try {
    importScripts();
  } catch {
    type = 'module';
  }
  return { address: globalThis.location.href, type };
}
