// Workers that run tiles for another one.

import { Said } from './said.js';

/** More of them need more memory than they save time. */
const MOST = 8;

/** Workers that are worth having: one for each thread of the processor; none where that is the one at work already. */
export const threads = () => {
  const count = Math.min(navigator.hardwareConcurrency ?? 1, MOST);
  return count > 1 ? count : 0;
};

/** Tells every worker the same at its start and before its next tile, and gives each a tile when it is free. */
export class Pool {
  #start;
  #greetings = [];
  #workers = [];
  #waiting = [];
  #count;

  /** `count` workers that `start` starts, begun when there is work for them. */
  constructor(start, count) {
    this.#start = start;
    this.#count = count;
  }

  /** A message for all workers, those to come too. */
  tell(message) {
    this.#greetings.push(message);
    this.#workers.forEach((each) => each.worker.postMessage(message));
  }

  /** Sends a message to the next free worker; resolves to its answer. `onShare(share)` is told how far it is. */
  ask(message, transfer, onShare) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ message, transfer, onShare, resolve, reject });
      if (!this.#workers.some(({ job }) => !job) && this.#workers.length < this.#count) this.#begin();
      this.#next();
    });
  }

  #begin() {
    const each = { worker: this.#start(), job: null };
    const end = (how, value) => {
      const { job } = each;
      each.job = null;
      job?.[how](value);
      this.#next();
    };
    each.worker.onmessage = ({ data }) => {
      if (data.kind === 'share') each.job?.onShare(data.share);
      if (data.kind === 'done') end('resolve', data.value);
      if (data.kind === 'error') end('reject', new Said(data.code, data.args));
    };
    each.worker.onerror = (event) => {
      event.preventDefault();
      end('reject', new Said('unexpected', { why: event.message ?? 'a worker ended' }));
    };
    this.#workers.push(each);
    this.#greetings.forEach((message) => each.worker.postMessage(message));
  }

  #next() {
    for (const each of this.#workers) {
      if (each.job || this.#waiting.length === 0) continue;
      each.job = this.#waiting.shift();
      each.worker.postMessage(each.job.message, each.job.transfer);
    }
  }
}
