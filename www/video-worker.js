// One video: opens it, shows its frames, and makes its result. The network runs elsewhere: the page passes frames to it.

import { containersFor, Result } from './video-output.js';
import { drop, place } from './video-file.js';
import { Journal } from './video-journal.js';
import { openFilm, pixelsOf } from './video-input.js';
import { Said, asSaid, said } from './said.js';

let film = null;
/** What is asked of the page: by their numbers, who waits for an answer. */
const asked = new Map();
let lastAsked = 0;
/** The run: whether it is to end, and what it waits for while it is to pause. */
let run = { stopped: true, paused: null, go: () => {} };

/** Seconds by which the next frame is later at least. */
const NEXT = 3e-6;

/** A frame, enlarged by the page's network. */
function enlarged(frame) {
  lastAsked += 1;
  const number = lastAsked;
  postMessage({ kind: 'enlarge', number, frame }, [frame.data.buffer]);
  return new Promise((resolve, reject) => { asked.set(number, { resolve, reject }); });
}

async function open({ file }) {
  film = await openFilm(file);
  const { width, height } = (await film.at(film.about.begin)).canvas;
  return { ...film.about, shown: { width, height }, containers: containersFor(film), notes: film.notes };
}

/** A frame as a picture: small, for a look, or whole as a PNG. */
async function picture({ time, most }) {
  const { canvas, time: its } = await film.at(time, most);
  if (most) return { bitmap: canvas.transferToImageBitmap(), time: its };
  return { png: await canvas.convertToBlob({ type: 'image/png' }), time: its };
}

/**
 * Makes the result of the frames `from` one time `to` another one, behind those of an interrupted run where it is `resumed`; `lanes` frames are with
 * the network at a time.
 */
async function make({ wish, chosen, name, lanes, resumed }) {
  run = { stopped: false, paused: null, go: () => {} };
  const mine = run;
  const notes = [];
  const journal = new Journal(name);
  let noRoom = false;
  const full = () => {
    noRoom = true;
    stop();
  };
  const at = await place({ chosen, name }, full);
  let result;
  let { from } = wish;
  /** When the last frame that is done ends. */
  let last = 0;
  try {
    const head = resumed ? await journal.reopen() : null;
    result = await Result.begin(film, wish, at, journal);
    const done = head && await result.restore(head, journal.packets());
    if (done !== null) [from, last] = [done + NEXT, done];
  } catch (error) {
    await at.close().catch(() => {});
    await journal.drop();
    if (!chosen) await drop(name);
    throw error instanceof Said ? error : new Said('video-encoder', { why: error.message });
  }
  const pending = [];
  const put = async () => {
    const { made, told, time } = pending.shift();
    await result.add(await made, told, time);
    last = time.timestamp + time.duration;
    postMessage({ kind: 'progress', frames: result.frames, time: last, bytes: result.bytes });
  };
  let failed = null;
  let whole = false;
  try {
    for await (const { frame, ...time } of film.frames(from, wish.to)) {
      if (mine.paused) await mine.paused;
      if (mine.stopped) {
        frame.close();
        break;
      }
      const { told, ...pixels } = await pixelsOf(frame, wish.size).finally(() => frame.close());
      const made = enlarged(pixels);
      made.catch(() => {}); // who takes it hears of it
      pending.push({ made, told, time });
      if (pending.length >= lanes) await put();
    }
    whole = !mine.stopped;
  } catch (error) {
    failed = error;
  }
  // What was begun is not thrown away.
  try {
    while (pending.length > 0) await put();
  } catch (error) {
    failed ??= error;
  }
  if (result.frames === 0) {
    await result.drop();
    await journal.drop();
    if (!chosen) await drop(name);
    if (failed) throw failed;
    if (mine.stopped) return { frames: 0, whole: false };
    throw new Said('video-range');
  }
  try {
    failed = await result.finish(whole && !failed) ?? failed;
    if (failed && result.written === 0) throw failed;
  } catch (error) {
    if (!chosen) await drop(name);
    throw failed ?? error;
  } finally {
    await journal.drop();
  }
  if (noRoom && !whole) notes.push(said('video-disk-full'));
  if (failed) notes.push(asSaid(failed));
  else if (whole && wish.to === Infinity && film.about.end - last > missing()) notes.push(said('video-cut-short', { time: last.toFixed(2) }));
  return { frames: result.written, bytes: at.bytes, whole: whole && !failed, notes: [...film.notes, ...notes] };
}

/** Seconds at the end of a film without frames that are no chance. */
const missing = () => Math.max(3 / film.about.rate, film.about.tellsEnd ? 0.2 : 2);

function stop() {
  run.stopped = true;
  run.go();
}

const questions = { open, picture, make };
const orders = {
  stop,
  pause: () => { run.paused = new Promise((resolve) => { run.go = () => { run.paused = null; resolve(); }; }); },
  resume: () => run.go(),
  enlarged: ({ number, data, error }) => {
    const waiting = asked.get(number);
    asked.delete(number);
    if (error) waiting?.reject(new Said(error.code, error.args));
    else waiting?.resolve(data);
  },
};

self.onmessage = async ({ data }) => {
  if (data.kind in orders) {
    orders[data.kind](data);
    return;
  }
  const { id } = data;
  try {
    const value = await questions[data.kind](data);
    postMessage({ id, kind: 'done', value }, value.bitmap ? [value.bitmap] : []);
  } catch (error) {
    postMessage({ id, kind: 'error', ...asSaid(error) });
  }
};
