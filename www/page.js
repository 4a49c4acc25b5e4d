// The page: what a person does goes into the queue, what the queue tells goes onto the page.

import { fromFolder, fromList, fromTransfer } from './collect.js';
import { keepOffline } from './offline.js';
import { Queue, resultName } from './queue.js';
import { duration, language, languages, number, speak, text, translated } from './texts.js';
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
  $('error').textContent = `${translated(message)}.`;
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
    const onLoading = (received, total) => { $('device').textContent = text('loading', { percent: Math.round(100 * received / total) }); };
    upscaler = new Upscaler({ device, model: `v1/models/${model}/`, onLoading });
    opened = model;
    report();
  }
  return upscaler;
}

/** Says where the network runs, or why it does not. */
function report() {
  const model = opened;
  const known = upscaler && Promise.all([upscaler.ready, upscaler.modes]);
  known?.then(
    ([where, modes]) => {
      $('device').textContent = text('device', { where: translated(where) });
      document.body.dataset.ready = 'yes';
      queue?.runsOn(where, model, modes);
      offer(modes.map(({ mode }) => mode));
    },
    (error) => {
      if (error.name === 'AbortError') return; // the next worker reports for itself
      $('device').textContent = text('notReady');
      fail(error.message);
    },
  );
}

/** Offers the modes that the model has. */
function offer(modes) {
  if (opened !== $('model').value) return;
  for (const option of $('mode').options) option.disabled = !modes.includes(option.value);
  if ($('mode').selectedOptions[0]?.disabled) $('mode').value = 'instant';
  explainMode();
}

/** What the mode chosen is for, and how long it takes where that was measured. */
function explainMode() {
  const { mode, model } = chosenOptions();
  const time = queue?.seconds(1e6, { model, mode }) ?? null;
  const explained = text(mode === 'instant' ? 'aboutInstant' : 'aboutFlow');
  $('about-mode').textContent = time === null ? explained : `${explained} ${text('perMegapixel', { time: duration(time) })}`;
  $('seed-choice').hidden = mode === 'instant';
}

function chosenOptions() {
  const [mode, format] = [$('mode').value, $('format').value];
  const size = $('scale').value === 'width' ? { width: $('width').valueAsNumber } : { scale: Number($('scale').value) };
  const drawn = mode === 'instant' ? {} : { seed: $('seed').valueAsNumber, layers: true };
  return { model: $('model').value, mode, ...size, ...drawn, format, quality: $('quality').value / 100, strip: !$('carry').checked };
}

function take(files) {
  $('error').hidden = true;
  const wrong = [...document.querySelectorAll('#options input')].find((input) => input.checkVisibility() && !input.checkValidity());
  if (files.length === 0) fail(text('noImages'));
  else if (wrong) {
    fail(text('badNumber', { name: wrong.labels[0].textContent.trim(), min: wrong.min, max: wrong.max }));
    wrong.focus();
  } else queue?.add(files, chosenOptions());
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
      if (progress.loading !== undefined) return text('loading', { percent: Math.round(100 * progress.loading) });
      if (progress.fraction === 1) return text('saving');
      return text(progress.left >= 1 ? 'shareLeft' : 'share', { percent: Math.round(100 * progress.fraction), time: duration(progress.left) });
    case 'done': return text('done', { ...result, time: duration(result.seconds) });
    case 'failed': return text('failed', { message: translated(job.error.message) });
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
  if (job.progress?.fraction) parts.progress.value = job.progress.fraction;
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
    failed: () => text('announceFailed', { name, message: translated(job.error.message) }),
  }[job.state];
  if (announce) $('live').textContent = announce();
  if (job.state === 'done') {
    offerDownload(job);
    // Another run of a finished one came to nothing: what it had is back.
    if (job.error) fail(`${name}: ${translated(job.error.message)}`);
    // The first result shows itself; later ones do not push away what is looked at.
    if (!shown || shown === job) show(job);
  }
  if (['failed', 'cancelled'].includes(job.state) && shown === job) hide();
  // Whether it failed or was cancelled, another worker may have begun.
  if (['done', 'failed', 'cancelled'].includes(job.state)) report();
  // One photo that fails says so where everybody looks.
  if (job.state === 'failed') fail(`${name}: ${translated(job.error.message)}`);
}

function offerDownload(job) {
  const { download } = rows.get(job.id);
  if (download.href) URL.revokeObjectURL(download.href);
  download.href = URL.createObjectURL(job.result.blob);
  download.download = job.result.name;
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
  $('result').hidden = false;
  $('download').hidden = $('trust').hidden = !result;
  $('differences').hidden = $('spread').hidden = true;
  rows.get(job.id).root.setAttribute('aria-current', 'true');
  if (!result) {
    const scale = (job.options.width ?? job.options.scale * job.width) / job.width;
    viewer.show(addresses[0], null, { width: Math.round(job.width * scale), height: Math.max(Math.round(job.height * scale), 1) }, file.name);
    $('summary').textContent = '';
    $('notes').hidden = true;
    return;
  }
  const { layers } = result;
  addresses.push(URL.createObjectURL(layers ? layers.sample : result.blob));
  if (layers) addresses.push(URL.createObjectURL(layers.mean));
  const [before, after, mean] = addresses;
  viewer.show(before, after, result, file.name, mean);
  $('summary').textContent = text('done', { ...result, time: duration(result.seconds) });
  $('fidelity-choice').hidden = $('spread-choice').hidden = !layers;
  seen(job.fidelity);
  tell();
}

/** A share of the mean as the viewer and the slider show it. */
function seen(fidelity) {
  viewer.fidelity = fidelity;
  $('fidelity').value = Math.round(100 * fidelity);
  $('fidelity-value').value = `${$('fidelity').value} %`;
}

/** What there is to know of the result that is shown: its file, its notes and how far it can be trusted. */
function tell() {
  const { result } = shown;
  addresses[3] = URL.createObjectURL(result.blob);
  $('download').href = addresses[3];
  $('download').download = result.name;
  $('notes').replaceChildren(...result.notes.map((note) => element('li', { textContent: translated(note) })));
  $('notes').hidden = result.notes.length === 0;
  const exact = !Number.isFinite(result.consistency);
  $('consistency').textContent = exact ? text('exact') : text('consistency', { psnr: number(result.consistency, 1) });
  $('measure').hidden = Boolean(result.spread);
  $('measure').textContent = text('measure', { count: SAMPLES });
  $('show-spread').disabled = !result.spread;
  $('deviation').textContent = result.spread ? text('deviation', { levels: number(result.deviation, 1) }) : text('notMeasured');
  drawMaps();
}

/** The wish for another fidelity that is at work. */
let refining = null;

/** Makes the file of another fidelity. Only the last wish counts. */
async function refine() {
  const job = shown;
  const fidelity = $('fidelity').valueAsNumber / 100;
  if (!job?.result?.layers || fidelity === job.fidelity) return;
  const { result } = job;
  const mine = {};
  refining = mine;
  const current = () => refining === mine && shown === job;
  $('fidelity-choice').setAttribute('aria-busy', 'true');
  try {
    const blended = await upscaler.blend(job.file, result.layers, { ...job.options, fidelity });
    if (!current()) return;
    const { blob, notes, consistency, differences } = blended;
    const name = resultName(job.file.name || 'image', { ...job.options, format: blob.type.slice('image/'.length) });
    URL.revokeObjectURL(addresses[3]);
    Object.assign(job, { fidelity, result: { ...result, blob, name, notes, consistency, differences } });
    offerDownload(job);
    tell();
    $('live').textContent = text('announceFidelity', { percent: Math.round(100 * fidelity) });
  } catch (error) {
    if (error.name !== 'AbortError' && current()) {
      seen(job.fidelity);
      fail(error.message);
    }
  } finally {
    if (refining === mine) $('fidelity-choice').removeAttribute('aria-busy');
  }
}

/** A difference of so many grey levels is full red. */
const FULL = 8;
/** Samples that are drawn to see where they differ. */
const SAMPLES = 4;

/** The maps of the result that is shown, where they are wanted. */
function drawMaps() {
  const result = shown?.result;
  drawMap('differences', result?.differences, [255, 0, 40], (level) => level / FULL);
  // Everything is invented a little: what is more so than the whole stands out.
  drawMap('spread', result?.spread, [255, 190, 0], (level) => (level / result.deviation / 2) ** 2);
}

/** Paints a value for each of the given image's pixels in a colour, as strong as `strength` says from 0 to 1. */
function drawMap(id, levels, colour, strength) {
  const canvas = $(id);
  canvas.hidden = !$(`show-${id}`).checked || !levels;
  if (canvas.hidden) return;
  const width = shown.result.mapWidth;
  Object.assign(canvas, { width, height: levels.length / width });
  const image = new ImageData(canvas.width, canvas.height);
  levels.forEach((level, i) => {
    image.data.set([...colour, Math.min(strength(level), 1) * 230], 4 * i);
  });
  canvas.getContext('2d').putImageData(image, 0, 0);
}

function hide() {
  if (shown) rows.get(shown.id)?.root.removeAttribute('aria-current');
  shown = null;
  addresses.forEach(URL.revokeObjectURL);
  addresses = [];
  viewer.clear();
  for (const id of ['differences', 'spread']) Object.assign($(id), { width: 1, height: 1 });
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
$('show-differences').addEventListener('change', drawMaps);
$('show-spread').addEventListener('change', drawMaps);
$('fidelity').addEventListener('input', () => seen($('fidelity').valueAsNumber / 100));
$('fidelity').addEventListener('change', refine);
$('measure').addEventListener('click', () => {
  $('show-spread').checked = true;
  queue.again(shown, { samples: SAMPLES, fidelity: shown.fidelity });
});
$('mode').addEventListener('change', explainMode);
$('scale').addEventListener('change', () => { $('width-choice').hidden = $('scale').value !== 'width'; });
// Whoever is at work keeps the device.
$('model').addEventListener('change', () => { if (!busy()) open($('model').value); });
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
  explainMode();
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
