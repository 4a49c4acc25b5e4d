// The page: what a person does goes into the queue, what the queue tells goes onto the page.

import { fromFolder, fromList, fromTransfer } from './collect.js';
import { keepOffline } from './offline.js';
import { Queue } from './queue.js';
import { duration, language, languages, number, speak, text } from './texts.js';
import { Upscaler } from './upscaler.js';
import { Viewer } from './viewer.js';
import { zip } from './zip.js';

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const viewer = new Viewer($('viewer'));
/** Rows of the list, by their job's id. */
const rows = new Map();
let upscaler = null;
/** The name of its model. */
let opened = null;
let queue = null;
/** The job that is looked at, and the addresses of its images. */
let shown = null;
let addresses = [];

function fail(message) {
  $('error').textContent = `${message}.`;
  $('error').hidden = false;
}

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

// --- where it runs -------------------------------------------------------------------------------------------------

function begin() {
  const device = query.get('device') ?? 'auto';
  const model = query.get('model');
  const choices = ['auto', 'webgpu', 'cpu'];
  const wrong = !choices.includes(device)
    ? text('badQuery', { key: 'device', value: device, choices: choices.join(', ') })
    : model !== null && !/^[\w.-]+$/.test(model) && text('badModel', { value: model });
  if (wrong) {
    $('device').textContent = text('notReady');
    fail(wrong);
    return;
  }
  // A model of one's own takes the place of the choice between ours.
  if (model !== null) $('model').replaceChildren(element('option', { value: model, textContent: model }));
  open($('model').value);
  queue = new Queue(open);
  queue.addEventListener('change', ({ detail }) => { update(detail); });
  queue.addEventListener('list', list);
  queue.addEventListener('rows', ({ detail: { job, first, width, rgba } }) => {
    // While nothing else is looked at, the result is seen as it grows.
    if (!shown && job.width) show(job);
    if (shown === job) viewer.paint(first, width, rgba);
  });
}

/** The upscaler for a model: there is one at a time, for a device has room for one. */
function open(model) {
  if (opened !== model) {
    upscaler?.dispose();
    const device = query.get('device') ?? 'auto';
    upscaler = new Upscaler({ device, model: `v1/models/${model}/` });
    opened = model;
    report();
  }
  return upscaler;
}

/** Says where the network runs, or why it does not. */
function report() {
  upscaler?.ready.then(
    (where) => { $('device').textContent = text('device', { where }); document.body.dataset.ready = 'yes'; queue?.runsOn(where); },
    (error) => {
      if (error.name === 'AbortError') return; // the next worker reports for itself
      $('device').textContent = text('notReady');
      fail(error.message);
    },
  );
}

function take(files) {
  $('error').hidden = true;
  if (files.length === 0) fail(text('noImages'));
  else if (queue) {
    const options = { model: $('model').value, scale: Number($('scale').value), format: $('format').value, quality: $('quality').value / 100, strip: !$('carry').checked };
    queue.add(files, options);
  }
}

// --- the list ------------------------------------------------------------------------------------------------------

function row(job) {
  const { name } = job.file;
  const button = (action) => {
    const made = element('button', { type: 'button', className: 'quiet' });
    made.addEventListener('click', () => {
      const next = parts.root.nextElementSibling ?? parts.root.previousElementSibling;
      action();
      // The button goes away under the keyboard's focus: on to what is left of its row, or to the next one.
      const left = (row) => row?.isConnected && row.querySelector('.actions > :not([hidden])');
      (left(parts.root) || left(next) || $('choose')).focus();
    });
    return made;
  };
  const address = URL.createObjectURL(job.file);
  const thumb = element('img', { alt: '', decoding: 'async', src: address });
  thumb.addEventListener('load', () => queue.measured(job, thumb.naturalWidth, thumb.naturalHeight));
  thumb.addEventListener('error', () => { thumb.removeAttribute('src'); });
  const parts = {
    thumb,
    address,
    name: element('button', { type: 'button', className: 'name', textContent: name, title: name }),
    state: element('span', { className: 'state' }),
    progress: element('progress', { max: 1 }),
    download: element('a', { className: 'button' }),
    cancel: button(() => queue.cancel(job)),
    retry: button(() => queue.retry(job)),
    remove: button(() => queue.remove(job)),
  };
  parts.progress.setAttribute('aria-label', name);
  parts.name.addEventListener('click', () => show(job));
  parts.root = element('li', {}, thumb, element('div', {}, parts.name, parts.state, parts.progress),
    element('div', { className: 'actions' }, parts.download, parts.retry, parts.cancel, parts.remove));
  return parts;
}

/** The names of a row's buttons. */
function label(job) {
  const parts = rows.get(job.id);
  for (const key of ['download', 'cancel', 'retry', 'remove']) {
    parts[key].textContent = text(key);
    parts[key].setAttribute('aria-label', text(`${key}Of`, { name: job.file.name }));
  }
}

function forget(parts) {
  URL.revokeObjectURL(parts.address);
  if (parts.download.href) URL.revokeObjectURL(parts.download.href);
  parts.root.remove();
}

function list() {
  for (const [id, parts] of rows) {
    if (!queue.jobs.some((job) => job.id === id)) {
      forget(parts);
      rows.delete(id);
    }
  }
  for (const job of queue.jobs) {
    if (!rows.has(job.id)) {
      rows.set(job.id, row(job));
      $('list').append(rows.get(job.id).root);
      label(job);
      update(job);
    }
  }
  $('photos').hidden = queue.jobs.length === 0;
  $('drop').classList.toggle('small', queue.jobs.length > 0);
  if (shown && !queue.jobs.includes(shown)) hide();
  actions();
}

function stateText(job) {
  const { progress, result } = job;
  const expected = queue.expected(job);
  switch (job.state) {
    case 'waiting': return expected === null ? text('waiting') : text('waitingAbout', { time: duration(expected) });
    case 'running':
      if (!progress) return text('preparing');
      if (progress.done === progress.total) return text('saving');
      return progress.left >= 1 ? text('tileLeft', { ...progress, time: duration(progress.left) }) : text('tile', progress);
    case 'done': return text('done', { ...result, time: duration(result.seconds) });
    case 'failed': return text('failed', { message: job.error.message });
    default: return text('cancelled');
  }
}

function update(job) {
  const parts = rows.get(job.id);
  if (!parts) return;
  const before = parts.root.className;
  parts.root.className = job.state;
  parts.state.textContent = stateText(job);
  const unfinished = ['waiting', 'running'].includes(job.state);
  parts.progress.hidden = job.state !== 'running';
  if (job.progress) Object.assign(parts.progress, { max: job.progress.total, value: job.progress.done });
  else parts.progress.removeAttribute('value');
  parts.cancel.hidden = !unfinished;
  parts.remove.hidden = unfinished;
  parts.retry.hidden = !['failed', 'cancelled'].includes(job.state);
  parts.name.disabled = parts.download.hidden = job.state !== 'done';
  if (job.state === before) return;
  turned(job, parts);
  actions();
}

/** Once for every change of a job's state. */
function turned(job, parts) {
  const { name } = job.file;
  const announce = {
    running: () => text('announceStart', { name }),
    done: () => text('announceDone', { name }),
    failed: () => text('announceFailed', { name, message: job.error.message }),
  }[job.state];
  if (announce) $('live').textContent = announce();
  if (job.state === 'done') {
    parts.download.href = URL.createObjectURL(job.result.blob);
    parts.download.download = job.result.name;
    // The first result shows itself; later ones do not push away what is looked at.
    if (!shown || shown === job) show(job);
  }
  if (['failed', 'cancelled'].includes(job.state) && shown === job) hide();
  // Whether it failed or was cancelled, another worker may have begun.
  if (['done', 'failed', 'cancelled'].includes(job.state)) report();
  // One photo that fails says so where everybody looks.
  if (job.state === 'failed') fail(`${name}: ${job.error.message}`);
}

function actions() {
  const done = queue.jobs.filter((job) => job.state === 'done');
  $('download-all').hidden = done.length < 2;
  $('download-all').textContent = text('downloadAll', { count: done.length });
  $('cancel-all').hidden = queue.unfinished.length < 2;
  $('clear').hidden = queue.jobs.length < 2 || queue.unfinished.length > 0;
}

// --- the result ----------------------------------------------------------------------------------------------------

function show(job) {
  hide();
  shown = job;
  const { result, file } = job;
  addresses = [URL.createObjectURL(file)];
  const { scale } = job.options;
  $('result').hidden = false;
  $('download').hidden = $('trust').hidden = !result;
  $('differences').hidden = true;
  rows.get(job.id).root.setAttribute('aria-current', 'true');
  if (!result) {
    viewer.show(addresses[0], null, { width: job.width * scale, height: job.height * scale }, file.name);
    $('summary').textContent = '';
    $('notes').hidden = true;
    return;
  }
  addresses.push(URL.createObjectURL(result.blob));
  viewer.show(...addresses, result, file.name);
  $('summary').textContent = text('done', { ...result, time: duration(result.seconds) });
  $('download').href = addresses[1];
  $('download').download = result.name;
  $('notes').replaceChildren(...result.notes.map((note) => element('li', { textContent: note })));
  $('notes').hidden = result.notes.length === 0;
  const exact = !Number.isFinite(result.consistency);
  $('consistency').textContent = exact ? text('exact') : text('consistency', { psnr: number(result.consistency, 1) });
  drawDifferences();
}

/** A difference of so many grey levels is full red. */
const FULL = 8;

/** The differences of the result that is shown, where they are wanted. */
function drawDifferences() {
  const canvas = $('differences');
  canvas.hidden = !$('show-differences').checked || !shown?.result;
  if (canvas.hidden) return;
  const { differences, width, height } = shown.result;
  const { scale } = shown.options;
  Object.assign(canvas, { width: width / scale, height: height / scale });
  const image = new ImageData(canvas.width, canvas.height);
  differences.forEach((difference, i) => {
    image.data.set([255, 0, 40, Math.min(difference / FULL, 1) * 230], 4 * i);
  });
  canvas.getContext('2d').putImageData(image, 0, 0);
}

function hide() {
  if (shown) rows.get(shown.id)?.root.removeAttribute('aria-current');
  shown = null;
  addresses.forEach(URL.revokeObjectURL);
  addresses = [];
  viewer.clear();
  $('differences').width = $('differences').height = 1;
  $('result').hidden = true;
}

async function downloadAll() {
  const files = queue.jobs.filter((job) => job.state === 'done').map(({ result }) => ({ name: result.name, blob: result.blob }));
  $('download-all').disabled = true;
  try {
    const link = element('a', { href: URL.createObjectURL(await zip(files)), download: 'asasr.zip' });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    fail(error.message);
  } finally {
    $('download-all').disabled = false;
  }
}

// --- what a person does --------------------------------------------------------------------------------------------

for (const [button, input, collect] of [['choose', 'file', fromList], ['choose-folder', 'folder', fromFolder]]) {
  $(button).addEventListener('click', () => $(input).click());
  $(input).addEventListener('change', ({ target }) => {
    take(collect(target.files));
    target.value = ''; // the same file may be chosen again
  });
}
addEventListener('dragover', (event) => { event.preventDefault(); $('drop').classList.add('over'); });
addEventListener('dragleave', (event) => { if (!event.relatedTarget) $('drop').classList.remove('over'); });
addEventListener('drop', async (event) => {
  event.preventDefault();
  $('drop').classList.remove('over');
  take(await fromTransfer(event.dataTransfer));
});
addEventListener('paste', async (event) => {
  const files = await fromTransfer(event.clipboardData);
  if (files.length) take(files);
});
$('format').addEventListener('change', () => { $('quality-choice').hidden = $('format').value === 'png'; });
$('quality').addEventListener('input', () => { $('quality-value').value = $('quality').value; });
$('show-differences').addEventListener('change', drawDifferences);
$('download-all').addEventListener('click', downloadAll);
$('cancel-all').addEventListener('click', () => {
  queue.unfinished.reverse().forEach((job) => queue.cancel(job));
  $('clear').focus();
});
$('clear').addEventListener('click', () => {
  queue.jobs.forEach((job) => queue.remove(job));
  $('choose').focus();
});
for (const radio of document.querySelectorAll('input[name=mode]')) {
  radio.addEventListener('change', () => { viewer.mode = radio.value; });
}
$('viewer').addEventListener('view', ({ detail }) => { $('zoom').value = `${Math.round(detail.zoom * devicePixelRatio * 100)} %`; });
$('zoom-in').addEventListener('click', () => viewer.magnify(1.5));
$('zoom-out').addEventListener('click', () => viewer.magnify(1 / 1.5));
$('zoom-fit').addEventListener('click', () => viewer.fit());
$('zoom-pixels').addEventListener('click', () => viewer.pixels());
/** Whether something would be lost with the page. */
const busy = () => Boolean(queue?.unfinished.length);
addEventListener('beforeunload', (event) => { if (busy()) event.preventDefault(); });
$('language').addEventListener('change', () => {
  try {
    localStorage.setItem('asasr-language', $('language').value);
  } catch { /* it lasts as long as the page */ }
  speak($('language').value);
  report();
  queue?.jobs.forEach((job) => { label(job); update(job); });
  if (shown) show(shown);
  if (queue) actions();
});

let chosen = query.get('lang');
try {
  chosen ??= localStorage.getItem('asasr-language');
} catch { /* storage may be forbidden */ }
speak(chosen);
$('language').replaceChildren(...Object.keys(languages).map((code) => {
  const own = new Intl.DisplayNames(code, { type: 'language' }).of(code);
  return element('option', { value: code, lang: code, textContent: own, selected: code === language() });
}));
begin();
if (upscaler) keepOffline($('offline'), upscaler.loaded, busy);
