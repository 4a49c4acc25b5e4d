// The page: what a person does goes into the queue, what the queue tells goes onto the page.

import { modelAddress, networks, plain, weightsAddress } from './address.js';
import { folderOf, fromFolder, fromList, fromShares, fromTransfer } from './collect.js';
import { bundles, dropModel, importModel, isModel, keepModel, keptModels } from './models.js';
import { keepOffline } from './offline.js';
import { ANY, CLEAN, DRAWN, LOOKED, SQUARES, likely, Queue } from './queue.js';
import { isRemade, remake } from './remake.js';
import { said } from './said.js';
import { signatureAddress } from './signature.js';
import { duration, language, languages, number, speak, text, translated } from './texts.js';
import { Upscaler } from './upscaler.js';
import { interruptedName, isAnimated, isVideo } from './video.js';
import { Viewer } from './viewer.js';
import { zip } from './zip.js';

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const viewer = new Viewer($('viewer'));
/** What the page does, shown before anybody gives it a photo. */
const EXAMPLE = { before: 'example-before.webp', after: 'example-after.webp', width: 576, height: 384 };
/** Rows of the list, by their job's id. */
const rows = new Map();
let upscaler = null;
/** The name of its model. */
let opened = null;
let queue = null;
/** The modes of each model that was open. */
const known = {};
/** The community's models, by the values of their options: those that a person brought, which have `files`, and the server's. */
const brought = new Map();
/** Where the network runs. */
let device = 'cpu';
/** The job that is looked at, and the addresses of its images. */
let shown = null;
let addresses = [];

/** What is to be spoken. */
const unspoken = [];

/** Says something to who does not see it; what happens at once is said at once, or only the last would be heard. */
function announce(sentence) {
  if (unspoken.push(sentence) === 1) setTimeout(() => { $('live').textContent = unspoken.splice(0).join('. '); }, 100);
}

/** What went wrong last: an error or a text of ours, and the job that it is about. */
let wrong = null;

/**
 * Says what went wrong until its job does better, or until a model opens; `said` is an error, or gives a text in the
 * language of now.
 */
function fail(said, job = null, opening = false) {
  wrong = { said, job, opening };
  sayWrong();
}

function sayWrong() {
  $('error').hidden = wrong === null;
  if (!wrong) return;
  const sentence = typeof wrong.said === 'function' ? wrong.said() : translated(wrong.said);
  // Where it is read, whatever lies open above it.
  requestAnimationFrame(() => $('error').scrollIntoView({ block: 'nearest' }));
  $('error').textContent = `${wrong.job ? `${wrong.job.file.name}: ` : ''}${sentence}.`;
}

/** Nothing is wrong any more; with a job, only if it was about that. */
function better(job = null) {
  if (job && wrong?.job !== job) return;
  wrong = null;
  sayWrong();
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
  const refused = !choices.includes(device)
    ? () => text('badQuery', { key: 'device', value: device, choices: choices.join(', ') })
    : model !== null && !plain(model) && (() => text('badModel', { value: model }));
  if (refused) {
    $('device').dataset.text = 'notReady';
    $('device').textContent = text('notReady');
    fail(refused);
    return;
  }
  // A model of one's own takes the place of the choice between ours.
  if (model !== null) $('model').replaceChildren(element('option', { value: model, textContent: model }), $('own-models'));
  open(likely($('model').value));
  queue = new Queue(open);
  queue.addEventListener('change', ({ detail }) => { update(detail); });
  queue.addEventListener('list', list);
  // What was chosen meanwhile gets ready; where photos choose, the last one's is as likely as any.
  queue.addEventListener('idle', () => { if ($('model').value !== LOOKED || !opened) open(likely($('model').value)); });
  queue.addEventListener('rows', ({ detail: { job, first, width, rgba } }) => {
    // While nothing else is looked at, the result is seen as it grows.
    if (!shown && job.width) show(job);
    if (shown === job) viewer.paint(first, width, rgba);
  });
}

/** The key that models have to be signed with; whoever runs the page puts it there. */
const trusted = () => document.querySelector('meta[name=asasr-public-key]')?.content || undefined;

/** An upscaler for a model. */
function upscalerFor(model, onLoading) {
  const place = brought.get(model)?.files ?? modelAddress(model, document.baseURI);
  return new Upscaler({ device: query.get('device') ?? 'auto', model: place, publicKey: trusted(), onLoading });
}

/** The upscaler for photos of a model: there is one at a time, for a device has room for one. */
function open(model) {
  if (opened !== model) {
    upscaler?.dispose();
    const onLoading = (received, total) => { $('device').textContent = text('loading', { percent: Math.round(100 * received / total) }); };
    upscaler = upscalerFor(model, onLoading);
    opened = model;
    report();
  }
  return upscaler;
}

/** The addresses of all that the page may need without a network: the device's module, and every model on offer. */
async function everything() {
  for (;;) {
    const mine = upscaler;
    try {
      const own = await mine.loaded;
      // A community's models are large, and kept by those who bring them.
      const served = [...$('model').options].filter(({ value }) => value !== LOOKED && !brought.has(value));
      const models = await Promise.all(served.map(async ({ value }) => {
        const folder = modelAddress(value, document.baseURI);
        const described = new URL('manifest.json', folder);
        const bytes = await (await fetch(described)).arrayBuffer();
        const manifest = JSON.parse(new TextDecoder().decode(bytes));
        const signature = trusted() ? [await signatureAddress(bytes, folder)] : [];
        return [described.href, ...signature, ...offered(manifest).map((part) => weightsAddress(part, folder))];
      }));
      return [...new Set([...own, ...models.flat()])];
    } catch (error) {
      // Another worker has taken its place, or will never be asked.
      if (mine === upscaler && error.name !== 'AbortError') throw error;
      await new Promise((resolve) => { setTimeout(resolve, 500); });
    }
  }
}

/** The networks of a manifest that the page's modes use: what draws in one step stands for a flow in many. */
function offered(manifest) {
  const { field, ...others } = manifest.networks ?? {};
  return networks(others.one_step ? { ...manifest, networks: others } : manifest);
}

/** Says where the network runs, or why it does not. */
function report() {
  const model = opened;
  const opening = upscaler && Promise.all([upscaler.ready, upscaler.where, upscaler.scale, upscaler.modes]);
  opening?.then(
    ([where, message, scale, modes]) => {
      delete $('device').dataset.text;
      if (wrong?.opening) better();
      $('device').textContent = text('device', { where: translated(message) });
      document.body.dataset.ready = 'yes';
      device = where.startsWith('WebGPU') ? 'webgpu' : 'cpu';
      known[model] = modes;
      queue?.runsOn(where, model, scale, modes);
      offer();
    },
    (error) => {
      if (error.name === 'AbortError') return; // the next worker reports for itself
      $('device').textContent = text('notReady');
      // The photo that met it says more.
      if (!wrong?.job) fail(error, null, true);
    },
  );
}

/** Offers the modes and sizes that the chosen model has; all of ours while that is not known. */
function offer() {
  const own = brought.get($('model').value);
  const scale = own?.scale ?? 4;
  // What one pass does not reach a second does.
  const most = Math.max(scale, Math.min(scale * scale, 8));
  for (const option of $('scale').options) {
    const factor = Number(option.value);
    option.hidden = option.disabled = factor > most || (factor === 1 && most > 1);
  }
  if (!$('scale').value || $('scale').selectedOptions[0].disabled) $('scale').value = scale;
  $('width-choice').hidden = $('scale').value !== 'width';
  $('model-label').textContent = text(own ? 'modelOwn' : 'model');
  $('drop-model').hidden = !own?.files;
  $('hold-choice').hidden = !own;
  for (const option of $('mode').options) option.textContent = text(own ? `${option.value}Own` : option.value);
  const modes = known[likely($('model').value)];
  for (const option of $('mode').options) option.disabled = Boolean(modes) && !modes.some(({ mode }) => mode === option.value);
  if ($('mode').selectedOptions[0]?.disabled) $('mode').value = 'instant';
  explainMode();
}

/** What the mode chosen is for, and how long it takes where that was measured. */
function explainMode() {
  const { mode, model } = chosenOptions();
  const time = queue?.seconds(1e6, { model, mode }) ?? null;
  const own = brought.get(model);
  const explained = own && mode !== 'instant'
    ? text($('hold').checked ? own.author ? 'aboutServed' : 'aboutOwn' : 'aboutFree', own)
    : text(mode === 'instant' ? 'aboutInstant' : 'aboutFlow');
  $('about-mode').textContent = time === null ? explained : `${explained} ${text('perMegapixel', { time: duration(time) })}`;
  $('seed-choice').hidden = mode === 'instant' || drawsOne(likely(model), mode);
  offerStrictness();
}

/** What is chosen once is chosen the next time. */
const CHOICES = ['model', 'mode', 'scale', 'width', 'format', 'quality', 'carry', 'hold', 'strictness'];
/** What a model may be asked for: of another one it says nothing. */
const OF_MODEL = ['mode', 'scale', 'hold', 'strictness'];
const KEPT = 'asasr-choices';

function rememberChoices() {
  const value = (id) => ($(id).type === 'checkbox' ? $(id).checked : $(id).value);
  try {
    localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(CHOICES.map((id) => [id, value(id)]))));
  } catch { /* it lasts as long as the page */ }
}

/** What was chosen the last time; nothing where the browser kept nothing. */
function rememberedChoices() {
  try {
    return { ...JSON.parse(localStorage.getItem(KEPT)) };
  } catch {
    return {};
  }
}

/** Whether a model is on offer. */
const isOffered = (model) => [...$('model').options].some(({ value }) => value === model);

/** Chooses it again, as far as it is still on offer. */
function recallChoices() {
  const kept = rememberedChoices();
  const other = query.has('model') || !isOffered(kept.model);
  for (const id of CHOICES.filter((each) => each in kept && !(other && ['model', ...OF_MODEL].includes(each)))) {
    if ($(id).type === 'checkbox') $(id).checked = kept[id];
    else if (!$(id).options || [...$(id).options].some(({ value }) => value === kept[id])) $(id).value = kept[id];
  }
  $('quality-choice').hidden = $('format').value === 'png';
  $('quality-value').value = $('quality').value;
}

/** Chooses the model of the last time, which is on offer only now, and what it was asked for. */
function recallModel(last) {
  if (!isOffered(last.model) || $('model').value === last.model || query.has('model') || queue.jobs.length > 0) return;
  const { open } = $('settings');
  chooseModel(last.model);
  $('settings').open = open;
  for (const id of OF_MODEL.filter((each) => each in last)) {
    if ($(id).type === 'checkbox') $(id).checked = last[id];
    else $(id).value = last[id];
  }
  offer();
}

/** The Gaussian below whose frequencies the model's colours are the mean's, in result pixels; true is three quarters of a photo's pixel. */
function holdWidth() {
  const strictness = $('strictness').valueAsNumber;
  const { scale } = brought.get($('model').value);
  return strictness === 0 || Math.min(Math.max(0.75 * scale * 2 ** -strictness, 0.8), 16);
}

/** Offers how strictly a model is held, and says it in words. */
function offerStrictness() {
  $('strictness-choice').hidden = !brought.has($('model').value) || $('mode').value === 'instant' || !$('hold').checked;
  const strictness = $('strictness').valueAsNumber;
  $('strictness-value').textContent = text(strictness === 0 ? 'asUsual' : strictness < 0 ? 'looser' : 'stricter');
  $('strictness').setAttribute('aria-valuetext', $('strictness-value').textContent);
}

/** Whether all samples of a model's mode are one, as far as that is known. */
function drawsOne(model, mode) {
  return known[model]?.find((each) => each.mode === mode)?.draws === false;
}

function chosenOptions() {
  const [mode, format] = [$('mode').value, $('format').value];
  const size = $('scale').value === 'width' ? { width: $('width').valueAsNumber } : { scale: Number($('scale').value) };
  const drawn = mode === 'instant' ? {} : { seed: $('seed').valueAsNumber, layers: true };
  const model = $('model').value;
  const held = brought.has(model) ? { hold: $('hold').checked && (mode === 'instant' || holdWidth()) } : {};
  return { model, mode, ...size, ...drawn, ...held, format, quality: $('quality').value / 100, strip: !$('carry').checked };
}

/** Hands the options chosen now to `use`, or says which of them makes no sense. */
function withOptions(use) {
  better();
  const bad = [...document.querySelectorAll('#options input')].find((input) => !input.closest('[hidden]') && !input.checkValidity());
  if (bad) {
    fail(() => text('badNumber', { name: bad.labels[0].textContent.trim(), min: bad.min, max: bad.max }));
    $('settings').open = true;
    bad.focus();
  } else use(chosenOptions());
}

async function take(files) {
  if (!queue) return; // and the page says why
  const models = files.filter(isModel);
  const films = files.filter(isVideo);
  const photos = files.filter((file) => !isModel(file) && !isVideo(file));
  if (models.length > 0) reading = takeModels(models);
  // Photos that come with a model, or while one is read, are for it: not without it.
  if (!await reading && models.length > 0) return;
  if (films.length > 0) {
    better();
    takeVideos(films);
  }
  if (photos.length === 0 && models.length + films.length > 0) return;
  if (photos.length === 0) fail(() => text('noImages'));
  else {
    withOptions((options) => {
      const idle = !busy();
      const [first] = queue.add(photos, options);
      // Whoever gives a photo when nothing is at work wants to see that one.
      awaited = idle ? { job: first, beside: shown } : null;
    });
  }
  offerAnimations(photos);
}

/** The photo that was given last, and what was looked at then. */
let awaited = null;

// --- videos ----------------------------------------------------------------------------------------------------------

/** The list of videos, once there was one; what it is made of is loaded then. */
let videos = null;

/** Says that a video was interrupted, which goes on when it is given again. */
async function tellInterrupted() {
  const name = await interruptedName();
  $('interrupted').hidden = name === null || videos !== null;
  $('interrupted').textContent = name === null ? '' : text('videoInterrupted', { name });
}

/** Puts videos into their list. */
async function takeVideos(files) {
  try {
    const { Videos } = await import('./videos.js');
    videos ??= new Videos({
      announce,
      preview: previewFrame,
      wanted: wantedOfVideos,
      upscaler: upscalerFor,
      seconds: (pixels, options) => queue.seconds(pixels, options),
      resting: photosRest,
      changed: () => makeRoom(queue.jobs.length + videos.count > 0),
    });
    videos.add(files);
    $('interrupted').hidden = true;
  } catch {
    fail(said('not-loaded', { name: 'videos.js' }));
  }
}

/** Images that move are offered as videos too. */
async function offerAnimations(files) {
  const moving = await Promise.all(files.map(isAnimated));
  const films = files.filter((_, i) => moving[i]);
  if (films.length > 0) takeVideos(films);
}

/** The model of videos, and how it is asked: by what is chosen only where that is a model of others, for detail that is drawn flickers. */
function wantedOfVideos() {
  const { scale } = brought.get($('model').value) ?? {};
  if (!(scale > 1)) return { model: brought.has($('model').value) ? ANY : likely($('model').value), mode: 'instant', hold: true, most: 8 };
  return { model: $('model').value, mode: $('mode').value, hold: chosenOptions().hold, most: Math.max(scale, Math.min(scale * scale, 8)) };
}

/** Resolves when no photo is being enlarged. */
const photosRest = () => new Promise((resolve) => {
  if (queue.unfinished.length === 0) resolve();
  else queue.addEventListener('idle', resolve, { once: true });
});

/** The job of the frame that was tried last. */
let tried = null;

/** Shows a frame of a video, enlarged, in place of the one before. */
function previewFrame(file, options) {
  if (tried) queue.remove(tried);
  [tried] = queue.add([file], options);
  awaited = { job: tried, beside: shown };
}

/** While there are photos, what is looked at has the room, and what was needed to begin is a bar. */
function makeRoom(working) {
  if (document.body.classList.contains('working') === working) return;
  document.body.classList.toggle('working', working);
  $('example').hidden = working;
  $('settings').open = false;
}

// --- models that a person brings -----------------------------------------------------------------------------------

/** The option of a model that a person brought. */
function offerModel(model) {
  const value = `own:${model.id}`;
  brought.set(value, model);
  delete known[value];
  const option = [...$('model').options].find((each) => each.value === value) ?? element('option', { value });
  option.textContent = model.id;
  $('own-models').append(option);
  $('own-models').hidden = false;
  return value;
}

/** Offers what the server has beside our models. */
async function offerServed() {
  const response = await fetch(new URL('v1/models', document.baseURI));
  if (!response.ok) return; // a plain host of files has no list
  for (const { id, scale, community } of await response.json()) {
    if (!community || !plain(id) || brought.has(id)) continue;
    brought.set(id, { id, scale, ...community });
    $('served-models').append(element('option', { value: id, textContent: id }));
    $('served-models').hidden = false;
  }
}

/** Whether a model of others is chosen. */
let ownChosen = false;

/** Chooses a model. */
function chooseModel(value) {
  $('model').value = value;
  const own = brought.get(value);
  // A model of others is asked for what it makes, ours for what is certain.
  if (Boolean(own) !== ownChosen) $('mode').value = own ? 'fast' : 'instant';
  ownChosen = Boolean(own);
  if (own && $('scale').value !== 'width') $('scale').value = own.scale;
  if (own) $('settings').open = true;
  offer();
  if (shown?.result) tellVersions();
  // Whoever is at work keeps the device.
  if (queue && !busy()) open(likely(value));
  videos?.reconsider();
}

/** The models that are read: whether all could be. */
let reading = Promise.resolve(true);

/** Reads a model from its files, keeps it for the next visit, and chooses it; tells whether that could be done. */
async function takeModel(files) {
  const { name } = files[0];
  $('add-model').disabled = true;
  try {
    const onLoading = (received, total) => {
      $('reading').textContent = text('readingModel', { name, percent: Math.round(100 * received / total) });
      $('reading').hidden = false;
    };
    const model = await importModel(files, { onLoading, mean: modelAddress('asasr-x4-real', document.baseURI) });
    const value = offerModel(model);
    // What is open under this name is another one.
    if (opened === value) opened = null;
    chooseModel(value);
    rememberChoices();
    announce(text('announceModel', { name: model.id }));
    await keepModel(model).catch(() => fail(() => text('notKept', { name: model.id })));
    return true;
  } catch (error) {
    fail(error, { file: { name } });
    return false;
  } finally {
    $('reading').hidden = true;
    $('add-model').disabled = false;
  }
}

/** Several, one after the other, until one cannot be read; the last is chosen. Tells whether all could be read. */
async function takeModels(files) {
  better();
  for (const bundle of bundles(files)) if (!await takeModel(bundle)) return false;
  return true;
}

async function forgetModel() {
  const value = $('model').value;
  const { id } = brought.get(value);
  brought.delete(value);
  [...$('model').options].find((each) => each.value === value)?.remove();
  $('own-models').hidden = $('own-models').children.length === 0;
  chooseModel($('model').options[0].value);
  rememberChoices();
  $('model').focus();
  await dropModel(id).catch(() => {});
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
  thumb.addEventListener('load', () => {
    if (!job.original) queue.measured(job, thumb.naturalWidth, thumb.naturalHeight);
  });
  thumb.addEventListener('error', () => { thumb.removeAttribute('src'); });
  const parts = {
    thumb,
    address,
    upright: null,
    quarter: 0,
    name: element('button', { type: 'button', className: 'name', textContent: name, title: name }),
    state: element('span', { className: 'state' }),
    progress: element('progress', { max: 1 }),
    download: element('a', { className: 'button' }),
    part: button(() => tryPiece(job)),
    cancel: button(() => queue.cancel(job)),
    retry: button(() => withOptions((options) => queue.retry(job, options))),
    largest: button(() => {
      better();
      queue.retryLargest(job);
    }),
    again: button(() => withOptions((options) => {
      // It takes the place of what is shown of this photo.
      [following] = queue.add([job.file], options);
    })),
    // Of a size that no model reaches.
    squares: button(() => {
      const { looks, options: { scale, width, ...others } } = job;
      const most = Math.floor(WIDEST / Math.max(looks.width, looks.height));
      const times = Math.min(scale ?? Math.max(Math.round(width / looks.width), 1), most);
      [following] = queue.add([job.file], { ...others, ...asSquares(times) });
      awaited = { job: following, beside: shown };
      better(job);
    }),
    remove: button(() => queue.remove(job)),
  };
  parts.progress.setAttribute('aria-label', name);
  parts.name.addEventListener('click', () => show(job));
  parts.root = element('li', {}, thumb, element('div', {}, parts.name, parts.state, parts.progress),
    element('div', { className: 'actions' }, parts.download, parts.again, parts.retry, parts.largest, parts.squares, parts.part, parts.cancel, parts.remove));
  return parts;
}

/** The names of a row's buttons. */
function label(job) {
  const parts = rows.get(job.id);
  for (const key of ['download', 'again', 'part', 'cancel', 'retry', 'squares', 'remove']) {
    parts[key].textContent = text(key);
    parts[key].setAttribute('aria-label', text(`${key}Of`, { name: job.file.name }));
  }
}

/** Enlarges a piece of a photo first, and shows it. */
async function tryPiece(job) {
  try {
    following = await queue.tryPiece(job) ?? following;
  } catch (error) {
    fail(error, job);
  }
}

function forget(parts) {
  for (const address of [parts.address, parts.upright]) if (address) URL.revokeObjectURL(address);
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
      // A piece stands before its photo.
      const before = rows.get(job.whole?.id)?.root ?? null;
      $('list').insertBefore(rows.get(job.id).root, before);
      label(job);
      update(job);
    }
  }
  $('photos').hidden = queue.jobs.length === 0;
  makeRoom(queue.jobs.length + (videos?.count ?? 0) > 0);
  if (shown && !queue.jobs.includes(shown)) hide();
  if (shown?.result) {
    tellOthers();
    if (left === 'original' && leftAddress) compareWith(left);
  }
  if (wrong?.job && !queue.jobs.includes(wrong.job)) better();
  actions();
}

/** A result in a line. */
const describe = (job) => [text('done', { ...job.result, time: duration(job.result.seconds) }), ...kind(job)].join(', ');

/** A result in a few words. */
const title = (job) => [...new Set([...(job.options.mode === 'instant' && job.options.model !== SQUARES ? [text('instant')] : []), ...kind(job)])].join(', ');

/** What tells a result from the faithful one of the model for all photos. */
function kind({ options, fidelity }) {
  const told = [];
  // The model for all photos goes without saying.
  const own = brought.get(options.model) ?? (options.model.startsWith('own:') && { id: options.model.slice(4) });
  if (options.model === SQUARES) return [text('bySquares')];
  const faithful = fidelity === 1 || options.mode === 'instant';
  const detail = text(own ? 'fastOwn' : 'fast');
  if (!faithful) told.push(fidelity > 0 ? text('ofDetail', { detail, percent: Math.round(100 * (1 - fidelity)) }) : detail);
  else if (options.mode !== 'instant' || own) told.push(text('instant'));
  if (own) told.push(text('byModel', { name: own.id }));
  else if (options.model === CLEAN) told.push(text('asClean'));
  else if (options.model === DRAWN) told.push(text('asDrawn'));
  if (options.hold === false) told.push(text('notHeld'));
  if (!faithful && options.seed !== undefined) told.push(text('variation', options));
  return told;
}

/** With what is to be known of a large result before it is there. */
function large(job, told) {
  const megapixels = queue.beyondShown(job);
  return megapixels === null ? told : `${told}; ${text('seenSmaller', { megapixels })}`;
}

function stateText(job) {
  const { progress } = job;
  const expected = queue.expected(job);
  switch (job.state) {
    case 'waiting': return large(job, expected === null ? text('waiting') : text('waitingAbout', { time: duration(expected) }));
    case 'running':
      if (!progress) return text('preparing');
      if (progress.loading !== undefined) return text('loading', { percent: Math.round(100 * progress.loading) });
      if (progress.fraction === 1) return text('saving');
      return large(job, text(progress.left >= 1 ? 'shareLeft' : 'share', { percent: Math.round(100 * progress.fraction), time: duration(progress.left) }));
    case 'done': return describe(job);
    case 'failed': return text('failed', { message: translated(job.error) });
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
  parts.part.hidden = !queue.hasPiece(job);
  parts.cancel.hidden = !unfinished;
  parts.remove.hidden = unfinished;
  parts.retry.hidden = !['failed', 'cancelled'].includes(job.state);
  tellLargest(job, parts.largest);
  parts.squares.hidden = job.state !== 'failed' || !job.looks?.isPixelArt;
  parts.name.disabled = parts.download.hidden = !job.result;
  parts.again.hidden = job.state !== 'done';
  if (job.original && !parts.upright) {
    parts.upright = URL.createObjectURL(job.original);
    parts.thumb.src = parts.upright;
  }
  if (job === shown) tellMeasuring(job);
  if (job === following && isFollowing(shown)) tellVersions();
  tellProgress(job, parts);
  if (job.state === before) return;
  const measuredOnly = parts.measuring;
  parts.measuring = Boolean(job.measuring);
  turned(job, parts, measuredOnly);
  actions();
}

/** Offers the largest size that there is, where what was asked for is larger. */
function tellLargest(job, button) {
  const largest = queue.largest(job);
  button.hidden = !largest;
  if (!largest) return;
  const size = largest.width ? text('pixelsWide', { width: number(largest.width) }) : `${largest.scale}×`;
  button.textContent = text('largest', { size });
  button.setAttribute('aria-label', text('largestOf', { name: job.file.name, size }));
}

/** Seconds of work that who does not see it wants to hear of. */
const LONG = 10;

/** Says each quarter of what takes long. */
function tellProgress(job, parts) {
  const quarter = job.state === 'running' ? Math.floor(4 * (job.progress?.fraction ?? 0)) : 0;
  if (quarter > parts.quarter && job.progress.left >= LONG) announce(`${job.file.name}: ${stateText(job)}`);
  parts.quarter = quarter;
}

/** Once for every change of a job's state. */
function turned(job, parts, measuredOnly) {
  const { name } = job.file;
  const happened = {
    running: () => text('announceStart', { name }),
    // A measurement may come to nothing; the result is there all the same.
    done: () => text(measuredOnly && !job.result.invented ? 'announceKept' : 'announceDone', { name }),
    failed: () => text('announceFailed', { name, message: translated(job.error) }),
  }[job.state];
  if (happened) announce(happened());
  if (job.state === 'done') {
    offerDownload(job);
    if (job.error) fail(job.error, job);
    else better(job);
    // The first result shows itself; others do not push away what is looked at.
    const isAwaited = awaited?.job === job && awaited.beside === shown;
    if (!shown || isAwaited || (job === following && (job.whole || job === shown.whole || isFollowing(shown)))) show(job);
    else if (shown === job && measuredOnly) measured(job);
    else if (shown === job) show(job);
    writes(saveAsChosen(job));
  }
  if (['failed', 'cancelled'].includes(job.state) && shown === job) hide();
  // Whether it failed or was cancelled, another worker may have begun.
  if (['done', 'failed', 'cancelled'].includes(job.state)) report();
  // One photo that fails says so where everybody looks.
  if (job.state === 'failed') fail(job.error, job);
}

/** Offers a job's file; of one that is being made anew there is none yet. */
function offerDownload(job) {
  const { download } = rows.get(job.id);
  if (download.href) URL.revokeObjectURL(download.href);
  if (isRemade(job) || isStale(job)) download.removeAttribute('href');
  else Object.assign(download, { href: URL.createObjectURL(job.result.blob), download: job.result.name });
  if (job === shown) tellFile();
}

/** The file of the result that is shown. */
function tellFile() {
  const { href, download } = rows.get(shown.id).download;
  if (href) Object.assign($('download'), { href, download });
  else $('download').removeAttribute('href');
  // It keeps its place among what the keyboard reaches.
  $('download').tabIndex = 0;
  $('download').setAttribute('aria-disabled', !href);
  $('fidelity-choice').setAttribute('aria-busy', isRemade(shown));
}

function actions() {
  const done = queue.jobs.filter((job) => job.result);
  $('download-all').hidden = done.length < 2;
  $('download-all').textContent = text('downloadAll', { count: done.length });
  $('cancel-all').hidden = queue.unfinished.length < 2;
  $('clear').hidden = queue.jobs.length < 2 || queue.unfinished.length > 0;
}

// --- the result ----------------------------------------------------------------------------------------------------

function show(job) {
  const first = !shown && $('result').hidden;
  hide();
  shown = job;
  const { result, file } = job;
  addresses = [URL.createObjectURL(job.original ?? file)];
  $('result').hidden = false;
  $('download').hidden = !result;
  // Of what no network made there is nothing to doubt.
  $('trust').hidden = !result?.differences;
  $('differences').hidden = $('spread').hidden = true;
  rows.get(job.id).root.setAttribute('aria-current', 'true');
  if (first) inView();
  if (!result) {
    const scale = (job.options.width ?? job.options.scale * job.width) / job.width;
    viewer.show(addresses[0], null, { width: Math.round(job.width * scale), height: Math.max(Math.round(job.height * scale), 1) }, file.name);
    $('summary').textContent = '';
    for (const id of ['notes', 'versions', 'whole', 'left-choice', 'advice', 'squares-choice']) $(id).hidden = true;
    for (const button of [...$('treat').children]) button.hidden = true;
    for (const side of ['before', 'after']) $('viewer').querySelector(`.tag-${side}`).textContent = text(side);
    return;
  }
  const { layers } = result;
  addresses.push(URL.createObjectURL(result.reduced ?? (layers ? layers.sample : result.blob)));
  if (layers) addresses.push(URL.createObjectURL(layers.mean));
  const [before, after, mean] = addresses;
  viewer.show(before, after, result, file.name, mean);
  $('fidelity-choice').hidden = $('spread-choice').hidden = !layers;
  // What a model of others invents is shown unasked, the first time.
  if (result.invented && brought.has(job.options.model) && !markedOnce) markedOnce = $('show-spread').checked = true;
  seen(job.fidelity);
  tell();
}

/** Whether what is invented was marked without being asked for. */
let markedOnce = false;

/** Whoever does nothing else is led to what there is to see. */
function inView() {
  const idle = [document.body, $('choose'), $('choose-folder'), $('try')].includes(document.activeElement);
  if (idle) toStage();
  if ($('viewer').lastElementChild.getBoundingClientRect().bottom > innerHeight) $('result').scrollIntoView();
}

/** The job of more detail, or of another variation, that takes the place of what is looked at when it is done. */
let following = null;

/** Whether such a job is made of this one's photo. */
const isFollowing = (job) => following !== null && following.file === job?.file;

/** Offers the result that is shown as the faithful one and with more detail. */
function tellVersions() {
  const { result, options } = shown;
  const fidelity = $('fidelity').valueAsNumber / 100;
  const own = brought.has(options.model);
  const offered = isOffered(options.model);
  const more = offered && known[options.model]?.some(({ mode }) => mode === 'fast') !== false;
  $('versions').hidden = !result?.layers && !(result && more);
  const busy = isFollowing(shown) && ['waiting', 'running'].includes(following.state);
  const drawing = busy && following.options.mode !== 'instant';
  $('detailed').checked = drawing || (options.mode !== 'instant' && fidelity < 1);
  $('faithful').checked = !$('detailed').checked;
  $('viewer').querySelector('.tag-after').textContent = result ? title({ ...shown, fidelity }) : text('after');
  const name = text(own ? 'fastOwn' : 'fast');
  $('detailed-text').textContent = drawing ? `${name}: ${text('share', { percent: Math.round(100 * (following.progress?.fraction ?? 0)) })}` : name;
  $('another').hidden = !result?.layers || !offered || drawsOne(options.model, options.mode);
  // Pixel art has neither noise nor a photo's sharpness.
  const others = !result || busy || shown.looks?.isPixelArt ? [] : othersOf(options.model);
  for (const button of $('treat').children) button.hidden = !others.includes(button.dataset.model);
  const chosen = chosenOwn();
  $('treat-own').hidden = !result || Boolean(busy) || !chosen || chosen.value === options.model;
  if (chosen) $('treat-own').textContent = text('treatOwn', { name: chosen.id });
}

/** The model of others that is chosen: the value of its option, and its name. */
function chosenOwn() {
  const { value } = $('model');
  return brought.has(value) ? { value, id: brought.get(value).id } : null;
}

/** The focus goes to the picture: what had it goes away. */
const toStage = () => $('viewer').querySelector('.stage').focus({ preventScroll: true });

/** What the result is compared with in place of the original: `mean`, or the number of another job. */
let left = 'original';
/** The address of that job's result. */
let leftAddress = null;

/** Offers the other results of the photo that is shown. */
function tellOthers() {
  const { result, file, options: { model } } = shown;
  // The faithful one of the same model is the mean that is offered anyway.
  const isMean = ({ options }) => result?.layers && options.mode === 'instant' && options.model === model;
  const others = queue.jobs.filter((job) => job !== shown && job.result && isSame(job.file, file) && !isMean(job));
  // What goes without saying elsewhere tells it from a result of another model.
  const name = (job) => (job.options.model === ANY && model !== ANY ? `${title(job)}, ${text('asAny')}` : title(job));
  const offered = [['original', text('before')], ...(result?.layers ? [['mean', text('instant')]] : []),
    ...numbered(others.map((job) => [String(job.id), name(job)]))];
  $('left').replaceChildren(...offered.map(([value, textContent]) => element('option', { value, textContent })));
  $('left-choice').hidden = offered.length < 2;
  if (!offered.some(([value]) => value === left)) left = 'original';
  $('left').value = left;
  $('viewer').querySelector('.tag-before').textContent = $('left').selectedOptions[0].textContent;
}

/** Whether two files are one, which may have been chosen twice. */
const isSame = (a, b) => a === b || (a.name === b.name && a.size === b.size && a.lastModified === b.lastModified);

/** Options with names of their own: those that share one are counted. */
function numbered(options) {
  const seen = {};
  return options.map(([value, name]) => {
    seen[name] = (seen[name] ?? 0) + 1;
    return [value, seen[name] > 1 ? `${name} (${seen[name]})` : name];
  });
}

/** Compares the result with what was chosen. */
function compareWith(value) {
  left = value;
  if (leftAddress) URL.revokeObjectURL(leftAddress);
  const other = queue.jobs.find(({ id }) => String(id) === value);
  leftAddress = other ? URL.createObjectURL(other.result.reduced ?? other.result.blob) : null;
  viewer.before = leftAddress ?? (value === 'mean' ? addresses[2] : addresses[0]);
  tellOthers();
}

/** Offers the whole photo of a piece, with the time that it takes. */
function tellWhole() {
  const { whole, result } = shown;
  $('whole').hidden = !result || !whole || !queue.jobs.includes(whole) || whole.state !== 'cancelled';
  const time = whole ? queue.expected(whole) : null;
  $('whole').textContent = time === null ? text('whole') : text('wholeAbout', { time: duration(time) });
}

/** Our other models, where one of them is in use. */
function othersOf(model) {
  const all = [ANY, CLEAN, DRAWN];
  return all.includes(model) ? all.filter((other) => other !== model && isOffered(other)) : [];
}

/** Shows the faithful version, 1, or that with more detail, 0: where both are there, at once. */
function turnTo(fidelity) {
  if (!shown?.result) return;
  if (shown.result.layers) {
    seen(fidelity);
    writes(refine());
  } else if (fidelity === 1 && shown.options.mode !== 'instant') {
    // Of a large result there is one version at a time.
    follow({ mode: 'instant', seed: undefined, layers: false });
  } else if (fidelity === 0) {
    follow({ mode: 'fast', seed: $('seed').valueAsNumber || 0, layers: true });
  } else if (isFollowing(shown)) {
    queue.cancel(following);
  }
}

/** Enlarges the photo that is shown once more, and shows that result. */
function follow(others) {
  const { file, options } = shown;
  [following] = queue.add([file], { ...options, ...others });
  tellVersions();
}

/** A share of the mean as the viewer and the slider show it. */
function seen(fidelity) {
  viewer.fidelity = fidelity;
  $('fidelity').value = Math.round(100 * fidelity);
  $('fidelity-value').value = `${100 - $('fidelity').value} %`;
  $('fidelity').setAttribute('aria-valuetext', $('fidelity-value').value);
  tellVersions();
}

/** What there is to know of the result that is shown: its file, its notes and how far it can be trusted. */
function tell() {
  tellFile();
  relabel();
  drawMaps();
}

/** The texts of the result that is shown, in the language of now. */
function relabel() {
  const { result } = shown;
  viewer.relabel();
  if (!result) return;
  $('summary').textContent = describe(shown);
  $('notes').replaceChildren(...result.said.map((note) => element('li', { textContent: translated(note) })));
  $('notes').hidden = result.said.length === 0;
  tellWhole();
  tellOthers();
  advise();
  tellVersions();
  const exact = !Number.isFinite(result.consistency);
  // A model that removes noise and compression departs from a photo that has them, and should: that has no grade.
  const cleans = shown.options.model !== CLEAN && !brought.has(shown.options.model);
  // Rounding to 8 bits alone leaves about 59 dB.
  const grade = result.consistency >= 45 ? 'good' : cleans ? 'cleaned' : result.consistency >= 35 ? 'fair' : 'poor';
  $('consistency').textContent = text(exact ? 'exact' : grade);
  $('figures').textContent = [
    text('consistency', { psnr: exact ? '∞' : number(result.consistency, 1) }),
    ...(result.invented ? [text(result.departure ? 'departureIs' : 'deviationIs', { levels: number(result.deviation, 1) })] : []),
  ].join(' ');
  const left = 1 - shown.fidelity;
  $('deviation').textContent = !result.invented ? text('notMeasured')
    : left === 0 ? text('nothing')
      : text(result.departure ? 'departure' : 'deviation', { amount: amount(left * result.deviation) });
  tellMeasuring(shown);
}

/** Advice on images that are no photos. */
function advise() {
  const { looks, result, options } = shown;
  const squares = Boolean(looks?.isPixelArt);
  const isOne = options.model === SQUARES;
  $('advice').hidden = isOne || (!squares && !(result.layers && looks?.isDrawn));
  $('advice').textContent = text(squares ? 'squaresLook' : 'drawnMore');
  $('squares-choice').hidden = !squares;
  if (!squares) return;
  const wanted = Number($('squares-times').value) || options.scale || 8;
  const times = TIMES.filter((each) => each * Math.max(looks.width, looks.height) <= WIDEST);
  $('squares-times').replaceChildren(...times.map((each) => element('option', { value: each, textContent: `${each}×`, selected: each === wanted })));
}

/** How many times pixel art is enlarged, to so many pixels a side. */
const TIMES = [2, 3, 4, 8, 16, 32];
const WIDEST = 16_384;

/** What asks for every pixel as a square. */
const asSquares = (scale) => ({ model: SQUARES, mode: 'instant', scale, width: undefined, seed: undefined, layers: false });

/** So many grey levels of invention in a word. */
const amount = (levels) => text(levels < 1.5 ? 'little' : levels < 4 ? 'some' : 'much');

/** How far the measurement of what is invented is. */
function tellMeasuring({ result, measuring, progress }) {
  $('measure').hidden = Boolean(result?.invented);
  $('measure').disabled = Boolean(measuring);
  $('measure').textContent = measuring
    ? text('measuring', { percent: Math.round(100 * (progress?.fraction ?? 0)) })
    : text('measure', { count: SAMPLES });
  $('show-spread').disabled = !result?.invented;
}

/** The result that is shown was measured; its image is what it was. */
function measured(job) {
  if (!job.result.invented) $('show-spread').checked = false;
  tell();
  // The button went away under the keyboard's focus.
  if (job.result.invented && document.activeElement === document.body) $('show-spread').focus();
}

/** Makes the file of the result that is shown at the fidelity of the slider. */
async function refine() {
  const job = shown;
  const fidelity = $('fidelity').valueAsNumber / 100;
  if (!job?.result?.layers || (fidelity === job.fidelity && !isRemade(job))) return;
  if (await anew(job, { fidelity })) announce(text('announceFidelity', { percent: Math.round(100 * (1 - fidelity)) }));
}

/** Makes a job's file anew; tells whether that is what is wanted still. */
async function anew(job, changes) {
  const made = remake(job, changes);
  offerDownload(job);
  let last = false;
  try {
    last = await made;
  } catch (error) {
    if (error.name === 'AbortError') return false;
    fail(error, job);
    if (shown === job) seen(job.fidelity);
  }
  if (rows.has(job.id)) {
    offerDownload(job);
    update(job);
  }
  if (shown === job) tell();
  return last;
}

/** How files are saved, once that was chosen anew: photos that came before follow. */
let wantedFile = null;

/** Saves every result as is chosen now, first the one that is looked at: one after the other, for each takes memory. */
async function saveAll() {
  const { format, quality, strip } = chosenOptions();
  const mine = { format, quality, strip };
  wantedFile = mine;
  for (const job of queue.jobs.filter(({ state, result }) => state === 'waiting' && !result)) job.options = { ...job.options, ...mine };
  const done = queue.jobs.filter(({ result }) => result);
  done.forEach(offerDownload);
  for (const job of [...done.filter((each) => each === shown), ...done.filter((each) => each !== shown)]) {
    await saveAsChosen(job);
    if (wantedFile !== mine) return;
  }
}

/** Whether a result was saved otherwise than is chosen since; pixel art stays what it is, and so does what could not be saved so. */
function isStale(job) {
  if (!wantedFile || job.tried === wantedFile || job.options.model === SQUARES) return false;
  const { format, quality, strip } = job.options;
  return format !== wantedFile.format || strip !== wantedFile.strip || (format !== 'png' && quality !== wantedFile.quality);
}

/** Saves a result as was chosen since it was asked for. */
async function saveAsChosen(job) {
  if (!queue.jobs.includes(job) || !isStale(job)) return;
  job.tried = wantedFile;
  await anew(job, wantedFile);
}

/** The end of all files that are made anew. */
let written = Promise.resolve();

const writes = (work) => { written = Promise.allSettled([written, work]); };

/** Samples that are drawn to see where they differ. */
const SAMPLES = 4;

/** The maps of the result that is shown, where they are wanted. */
function drawMaps() {
  const result = shown?.result;
  // One grey level is rounding; from there to full colour.
  drawMap('differences', result?.differences, 0x2800ff, 8);
  // What is taken back towards the mean is not invented.
  drawMap('spread', result?.invented, 0x00beff, 16, 1 - (shown?.fidelity ?? 0));
}

/** Paints a share of grey levels of the given image's pixels in a colour, `0xbbggrr`, which is full at so many of them. */
function drawMap(id, levels, colour, full, part = 1) {
  const canvas = $(id);
  canvas.hidden = !$(`show-${id}`).checked || !levels;
  if (canvas.hidden) return;
  const width = shown.result.mapWidth;
  Object.assign(canvas, { width, height: levels.length / width });
  const image = new ImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) {
    const share = Math.min(Math.max(part * levels[i] - 1, 0) / (full - 1), 1);
    pixels[i] = (Math.round(230 * share) << 24 | colour) >>> 0;
  }
  canvas.getContext('2d').putImageData(image, 0, 0);
}

function hide() {
  left = 'original';
  if (leftAddress) URL.revokeObjectURL(leftAddress);
  leftAddress = null;
  if (shown) rows.get(shown.id)?.root.removeAttribute('aria-current');
  shown = null;
  addresses.forEach(URL.revokeObjectURL);
  addresses = [];
  viewer.clear();
  for (const id of ['differences', 'spread']) Object.assign($(id), { width: 1, height: 1 });
  $('result').hidden = true;
}

async function downloadAll() {
  $('download-all').disabled = true;
  await written;
  const files = queue.jobs.filter((job) => job.result).map(({ file, result }) => ({ name: folderOf(file) + result.name, blob: result.blob }));
  try {
    const link = element('a', { href: URL.createObjectURL(await zip(files)), download: 'asasr.zip' });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    fail(error);
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
$('try').addEventListener('click', async () => {
  try {
    const response = await fetch(EXAMPLE.before);
    take([new File([await response.blob()], 'kitten.webp', { type: 'image/webp' })]);
  } catch (error) {
    fail(error);
  }
});
addEventListener('dragover', (event) => { event.preventDefault(); $('drop').classList.add('over'); });
addEventListener('dragleave', (event) => { if (!event.relatedTarget) $('drop').classList.remove('over'); });
addEventListener('drop', async (event) => {
  event.preventDefault();
  $('drop').classList.remove('over');
  try {
    take(await fromTransfer(event.dataTransfer));
  } catch {
    fail(() => text('noFolder'));
  }
});
addEventListener('paste', async (event) => {
  const files = await fromTransfer(event.clipboardData);
  if (files.length) take(files);
});
let later;
for (const id of ['format', 'quality', 'carry']) {
  $(id).addEventListener('change', () => {
    $('quality-choice').hidden = $('format').value === 'png';
    rememberChoices();
    // A key that is held changes it many times.
    clearTimeout(later);
    if (id === 'quality') later = setTimeout(() => writes(saveAll()), 300);
    else writes(saveAll());
  });
}
$('quality').addEventListener('input', () => { $('quality-value').value = $('quality').value; });
$('show-differences').addEventListener('change', drawMaps);
$('show-spread').addEventListener('change', drawMaps);
$('fidelity').addEventListener('input', () => seen($('fidelity').valueAsNumber / 100));
$('fidelity').addEventListener('change', () => writes(refine()));
$('faithful').addEventListener('change', () => turnTo(1));
$('detailed').addEventListener('change', () => turnTo(0));
$('another').addEventListener('click', () => follow({ seed: (shown.options.seed + 1) % 2 ** 32 }));
$('whole').addEventListener('click', () => {
  const { whole, options: { scale, ...others } } = shown;
  const { width } = whole.options;
  following = whole;
  // As its piece was.
  queue.retry(whole, { ...others, ...(width ? { width } : { scale }) });
  tellWhole();
});
$('left').addEventListener('change', () => compareWith($('left').value));
for (const button of $('treat').children) {
  button.addEventListener('click', () => {
    const { model } = button.dataset;
    // A model of others as it is chosen.
    const { model: chosen, mode, seed, hold } = chosenOptions();
    follow(model ? { model } : { model: chosen, mode, seed, hold, layers: mode !== 'instant' });
    toStage();
  });
}
$('squares').addEventListener('click', () => {
  follow(asSquares(Number($('squares-times').value)));
  toStage();
});
$('measure').addEventListener('click', () => {
  $('show-spread').checked = true;
  queue.measure(shown, SAMPLES);
});
$('mode').addEventListener('change', explainMode);
$('hold').addEventListener('change', explainMode);
$('strictness').addEventListener('input', offerStrictness);
$('scale').addEventListener('change', () => { $('width-choice').hidden = $('scale').value !== 'width'; });
$('model').addEventListener('change', () => chooseModel($('model').value));
$('options').addEventListener('change', rememberChoices);
$('add-model').addEventListener('click', () => $('model-file').click());
$('model-file').addEventListener('change', ({ target }) => {
  reading = takeModels([...target.files]);
  target.value = ''; // the same file may be chosen again
});
$('drop-model').addEventListener('click', forgetModel);
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
/** The browser's offer to install the page, which waits to be asked for. */
let installing = null;
addEventListener('beforeinstallprompt', (event) => {
  event.preventDefault();
  installing = event;
  $('install').hidden = false;
});
addEventListener('appinstalled', () => { $('install').hidden = true; });
$('install').querySelector('button').addEventListener('click', () => {
  $('install').hidden = true;
  installing.prompt();
});

/** Whether something would be lost with the page. */
const busy = () => Boolean(queue?.unfinished.length || videos?.busy);
addEventListener('beforeunload', (event) => { if (busy()) event.preventDefault(); });
$('language').addEventListener('change', () => {
  try {
    localStorage.setItem('asasr-language', $('language').value);
  } catch { /* it lasts as long as the page */ }
  speak($('language').value);
  report();
  offer();
  queue?.jobs.forEach((job) => { label(job); update(job); });
  sayWrong();
  if (shown) relabel();
  if (queue) actions();
  videos?.relabel();
  tellInterrupted();
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
recallChoices();
new Viewer($('example')).show(EXAMPLE.before, EXAMPLE.after, EXAMPLE, 'kitten.webp');
begin();
tellInterrupted();
if (queue) {
  keepOffline($('offline'), everything, busy);
  // A browser that keeps nothing has none.
  const last = rememberedChoices();
  keptModels().then((models) => {
    models.forEach(offerModel);
    recallModel(last);
  }, () => {});
  // Photos from the system: opened with the page, or shared with it.
  globalThis.launchQueue?.setConsumer(async ({ files }) => {
    if (files.length) take(await Promise.all(files.map((file) => file.getFile())));
  });
  fromShares().then((files) => { if (files.length) take(files); }, () => {});
  // What is on offer for one model is not asked for.
  if (!query.has('model')) offerServed().then(() => recallModel(last), () => {});
}
