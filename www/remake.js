// The file of a finished result made anew: at another fidelity, or saved in another way. No network runs.

import { resultName } from './queue.js';
import { blend, save } from './upscaler.js';

/** The last wish for each job that has one at work: what ends it, and all that is wanted. */
const wishes = new Map();

/** Whether a job's file is being made anew. */
export const isRemade = (job) => wishes.has(job);

/**
 * Makes the file of a finished job anew by `changes` of { fidelity, format, quality, strip }, and puts it into its result. A later call takes
 * the place of an earlier one, and wants what that wanted too. Resolves to whether this was the last; rejects by an `AbortError` where it was not.
 */
export async function remake(job, changes) {
  const { file, options } = job;
  const before = wishes.get(job);
  before?.stop.abort();
  const { fidelity, ...how } = { fidelity: job.fidelity, format: options.format, quality: options.quality, strip: options.strip, ...before?.wanted, ...changes };
  const mine = { stop: new AbortController(), wanted: { fidelity, ...how } };
  wishes.set(job, mine);
  const { signal } = mine.stop;
  try {
    const made = fidelity === job.fidelity
      ? await save(file, job.result, { ...how, signal })
      : await blend(file, job.result.layers, { ...how, fidelity, signal });
    if (wishes.get(job) !== mine) return false;
    // What says nothing of the file stays: the layers, and what was measured.
    const { blob, said, lossless, consistency, differences } = { ...job.result, ...made };
    // A format that could not be written came as PNG.
    const name = resultName(file.name || 'image', { ...options, ...how, fidelity, format: blob.type.slice('image/'.length) });
    Object.assign(job, { fidelity, options: { ...job.options, ...how }, result: { ...job.result, blob, said, lossless, consistency, differences, name } });
    return true;
  } finally {
    if (wishes.get(job) === mine) wishes.delete(job);
  }
}
