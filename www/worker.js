// Chooses a device, loads the WebAssembly module for it and the one for image files, and runs them.

import { isModel, networks, weightsAddress } from './address.js';
import { leftOut, withChunks, withMetadata } from './container.js';
import { Pool, threads } from './pool.js';
import { layered } from './limits.js';
import { fileAt, nameOf, reached, refused } from './reach.js';
import { Reduced } from './reduced.js';
import { begun, converts, filesModule, readable, upright } from './read.js';
import { Said, asSaid, free, said } from './said.js';
import { checkName, checkSignature, signatureAddress } from './signature.js';
import { asked, here, start } from './workers.js';

let upscaler = null;
/** The networks' WebAssembly module, once it is loaded. */
let module = null;
/** The address of the model's folder; or its files, or their addresses, by their names. */
let folder = null;
/** Workers that share the processor's work; none on a graphics card. */
let pool = null;

/** Longest side of an image in a format that the browser writes. */
const LONGEST = { jpeg: 65_535, webp: 16_383 };
/** Their names. */
const NAMES = { jpeg: 'JPEG', webp: 'WebP' };

/** Fetches a file, or reads one that is here; `told(received, total)` is called meanwhile where its size is known. */
async function bytesOf(url, told) {
  if (url instanceof Blob) return new Uint8Array(await url.arrayBuffer());
  const name = nameOf(url);
  // Weights that a server no longer has belong to a manifest of before.
  const response = await fileAt(url, { belongs: url.includes('?sha256=') });
  try {
    const total = Number(response.headers.get('content-length'));
    // What is compressed on the way is counted in other bytes.
    if (!told || !total || response.headers.has('content-encoding')) return new Uint8Array(await response.arrayBuffer());
    const parts = [];
    let received = 0;
    for (const reader = response.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      received += value.length;
      told(received, total);
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  } catch {
    throw new Said('not-loaded', { name });
  }
}

/** What tells a graphics card from others, as far as the browser says. */
const named = ({ info }) => ['vendor', 'architecture', 'device', 'description'].map((part) => info?.[part] ?? '').join('/');

/** 'webgpu' or 'cpu', a sentence why, and the graphics card's name. */
async function choose(wanted) {
  if (wanted === 'cpu') return ['cpu', said('as-asked')];
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (wanted === 'webgpu') {
    if (!adapter) throw new Said('webgpu-missing');
    return ['webgpu', said('as-asked'), named(adapter)];
  }
  if (!navigator.gpu) return ['cpu', said('no-webgpu')];
  if (!adapter) return ['cpu', said('no-card')];
  if (adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter) {
    return ['cpu', said('in-software')];
  }
  return ['webgpu', said('fastest'), named(adapter)];
}

/** Loads the module for a device; returns the names of its files, and of those that other photos may need. */
async function load(device) {
  // Written out, so that bundlers find them.
  const gpu = device === 'webgpu';
  const name = gpu ? 'asasr-gpu' : 'asasr-cpu';
  module = await begun(() => (gpu ? import('./asasr-gpu.js') : import('./asasr-cpu.js')), name);
  return [name, 'asasr-files'].flatMap((each) => [`${each}.js`, `${each}_bg.wasm`]);
}

/** Checks a manifest's signature; returns the addresses of what that took. */
async function signed(manifest, publicKey) {
  const address = await signatureAddress(manifest, folder);
  const answer = await reached(address);
  const { ok, status } = answer;
  // Only what is not there is no signature; what did not come says nothing about who made the model.
  if (!ok && status !== 404) throw refused(status, nameOf(address));
  const signature = ok ? await answer.text() : '';
  await checkSignature(manifest, signature, publicKey);
  checkName(manifest, folder);
  return [address];
}

/** The manifest of a model: of a folder's address, or of its files by their names. */
const manifestIn = (model) => (typeof model === 'string' ? new URL('manifest.json', model).href : model['manifest.json']);

/** A file of weights of a model. */
const weightsIn = (model, part) => (typeof model === 'string' ? weightsAddress(part, model) : model[part.file]);

/** The files of a model that is one itself, or ncnn's two. */
async function brought(model, id, mean) {
  const files = [];
  for (const each of [model].flat()) {
    if (each instanceof Blob) files.push(each);
    else {
      const bytes = await bytesOf(each, (received, total) => postMessage({ id, kind: 'loading', received, total }));
      files.push(new File([bytes], decodeURIComponent(new URL(each).pathname.split('/').at(-1))));
    }
  }
  // The memory that reading takes ends with its worker.
  return (await asked(here(), { kind: 'import', files, mean })).files;
}

async function open({ id, device: wanted, model, publicKey, place, mean, tunings }) {
  const isFile = (each) => each instanceof Blob || (typeof each === 'string' && isModel({ name: new URL(each).pathname }));
  folder = [model].flat().some(isFile) ? await brought(model, id, mean) : model;
  // Not waited for: it comes while the weights do, and is asked for again with the first photo.
  filesModule().catch(() => {});
  const served = typeof folder === 'string';
  const described = manifestIn(folder);
  const manifest = await bytesOf(described);
  // A bundler's files have no signature beside them; what a person brought is their own choice.
  if (publicKey !== undefined && !served && typeof described === 'string') throw new Said('signature-missing');
  const signature = publicKey === undefined || !served ? [] : await signed(manifest, publicKey);
  let address;
  try {
    address = weightsIn(folder, networks(JSON.parse(new TextDecoder().decode(manifest)))[0]);
  } catch {
    throw new Said('manifest-unusable');
  }
  const weights = await bytesOf(address, (received, total) => postMessage({ id, kind: 'loading', received, total }));
  const begin = async (device) => {
    const files = await load(device);
    upscaler = await module.Upscaler.open(manifest, weights, tunings?.[adapter]);
    pool = device === 'cpu' && threads() ? new Pool(() => start(here()), threads()) : null;
    pool?.tell({ kind: 'serve', manifest, weights });
    return files;
  };
  let [device, why, adapter] = await choose(wanted);
  let files;
  try {
    files = await begin(device);
  } catch (error) {
    if (wanted !== 'auto' || device === 'cpu') throw error;
    [device, why] = ['cpu', asSaid(error)];
    files = await begin(device);
  }
  const name = device === 'webgpu' ? 'WebGPU' : 'CPU';
  const ours = pool ? said('threads', { count: threads() }) : said('one-thread');
  const detail = device === 'cpu' ? ours : upscaler.device;
  // Browsers often keep the adapter's name to themselves.
  const where = detail === name ? said('where', { device: name, why }) : said('where-exactly', { device: name, detail, why });
  const tuned = upscaler.tuning === undefined ? {} : { [adapter]: upscaler.tuning };
  return { where, device, tuned, modes: upscaler.modes.map((mode, i) => ({ mode, work: upscaler.work[i], draws: Boolean(upscaler.draws[i]) })), scale: upscaler.scale, usual: upscaler.defaultMode, loaded: [described, ...signature, address, ...files.map((file) => new URL(file, place).href)].filter((each) => typeof each === 'string') };
}

/** An image as a file of another type, on white where that type has no transparency. */
async function drawn(image, type, quality) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext('2d');
  if (type === 'image/jpeg') {
    context.fillStyle = '#fff';
    context.fillRect(0, 0, image.width, image.height);
  }
  context.drawImage(image, 0, 0);
  image.close();
  const blob = await canvas.convertToBlob({ type, quality });
  if (blob.type !== type) throw new Error(`this browser does not write ${type.slice(6)}: save as PNG`);
  return blob;
}

/** What the module is to do, in its own terms. */
function wishFor({ mode, scale, width, height, format, seed, fidelity, hold = true, layers, samples }) {
  const wish = new module.Wish();
  const anchor = typeof hold === 'number' ? hold : undefined;
  const wanted = { mode, scale, width, height, seed, fidelity, hold: hold !== false, anchor, layers, samples, longest: LONGEST[format] };
  for (const [key, value] of Object.entries(wanted)) if (value !== undefined) wish[key] = value;
  return wish;
}

/**
 * A result as the page takes it: its report, PNG files without metadata of the `sample` and perhaps the `mean`, and the photo as it was read.
 * `lossless` is what `save` makes another file of.
 */
async function finished(report, { sample, mean }, { format, quality, strip, layered = format }, { photo, notes: first, converted = false }) {
  const { width, height, consistency, differences, invented, deviation = 0, departure } = report;
  free(report);
  const notes = [...first];
  // Layers are seen in the photo's own colours.
  const coloured = (layer) => withChunks(layer, photo.chunks(width, height, false));
  const whole = (layer) => withChunks(layer, photo.chunks(width, height, true));
  // Layers that were made for another format or with a profile are in colours that this file cannot tell: PNG tells them all the same, and for
  // other formats the canvas converts them.
  const own = converts(photo, { strip, format });
  // A canvas would turn colours into its own space: other formats are made of the bare samples, and carry the rest later.
  const bare = own ? coloured(sample) : sample;
  let blob = format === 'png' && !strip ? whole(sample) : bare;
  if (format !== 'png') {
    const name = NAMES[format];
    try {
      const plain = await drawn(await createImageBitmap(bare), `image/${format}`, quality);
      const carried = photo.carried(width, height);
      const { icc, exif, xmp, resolution, texts } = carried;
      free(carried);
      const told = { icc: own ? undefined : icc, exif, xmp, resolution, texts };
      blob = strip ? plain : await withMetadata(plain, { ...told, width, height, alpha: photo.alpha });
      if (!strip) notes.push(...leftOut(format, told));
      if (!photo.opaque && format === 'jpeg') notes.push(said('jpeg-opaque'));
      if (photo.bits === 16) notes.push(said('bits-lost', { format: name }));
    } catch {
      // An hour's work is not thrown away because the browser cannot write it in that format.
      blob = strip ? coloured(sample) : whole(sample);
      notes.push(said('saved-as-png', { format: name }));
    }
  }
  const layers = mean && {
    sample: layered !== 'png' || strip ? coloured(sample) : whole(sample),
    mean: coloured(mean),
    converted,
  };
  return { blob, width, height, notes, consistency, differences, mapWidth: photo.width, invented: invented ?? null, deviation, departure, layers, lossless: { sample, converted } };
}

/** Gets the weights that a mode needs and that are not here yet. */
async function fetched(wanted, id) {
  const wish = wishFor(wanted);
  const [file, sha256] = upscaler.needs(wish);
  if (file) {
    const weights = await bytesOf(weightsIn(folder, { file, sha256 }), (received, total) => postMessage({ id, kind: 'loading', received, total }));
    upscaler.add(wish, weights);
    pool?.tell({ kind: 'add', wanted, weights });
  }
  free(wish);
}

async function upscale({ id, bytes: given, preview, original, ...wanted }) {
  await fetched(wanted, id);
  const read = await readable(given, wanted);
  try {
    const shown = original && await upright(given, read.photo);
    if (shown) postMessage({ id, kind: 'original', ...shown });
    return await enlarged(read, { id, preview, given, ...wanted });
  } finally {
    free(read.photo);
  }
}

/** The photo that was read, enlarged. */
async function enlarged(read, { id, preview, given, ...wanted }) {
  // Tiles in other workers: how far each is, from the first unfinished one.
  const shares = [];
  let [counted, all] = [0, 0];
  const progress = (done, total, fraction) => {
    shares.splice(0, done - counted);
    [counted, all] = [done, total];
    const inTiles = (done + shares.reduce((sum, each) => sum + each.share, 0)) / total;
    postMessage({ id, kind: 'progress', done, total, fraction: Math.max(fraction, inTiles) });
  };
  const shown = (first, width, rgba) => {
    reduced?.paint(first, width, rgba);
    if (preview) postMessage({ id, kind: 'rows', first, width, rgba }, [rgba.buffer]);
  };
  const elsewhere = (values, width, height, x0, y0, columns, rows, again) => {
    const tile = { share: 0 };
    shares.push(tile);
    const asked = again ? { ...wanted, mode: 'instant' } : wanted;
    const message = { kind: 'tile', values, size: [width, height], at: [x0, y0], image: [columns, rows], wanted: asked };
    const answer = pool.ask(message, [values.buffer], (share) => {
      tile.share = share;
      progress(counted, all, 0);
    });
    return answer.catch((error) => {
      failure ??= error;
      throw error;
    });
  };
  let failure = null;
  const { photo } = read;
  const { width, height, channels, bits } = photo;
  const wish = wishFor(wanted);
  const [columns, lines] = upscaler.size(wish, width, height);
  free(wish);
  // What no browser shows has a small picture beside it.
  const large = columns * lines > wanted.most;
  const canvas = large ? new OffscreenCanvas(1, 1) : null;
  const reduced = large ? new Reduced(canvas, { width: columns, height: lines }) : null;
  wanted.layers &&= layered(photo, wanted, upscaler.scale, wanted.most);
  const { PngFile } = await filesModule();
  // The result and, where it is told, the mean.
  const pngs = [];
  let unwritten = null;
  const rows = (layer, samples) => {
    try {
      (pngs[layer] ??= new PngFile(columns, lines, channels, bits)).add(samples);
    } catch (error) {
      unwritten ??= error;
      throw error;
    }
  };
  let report;
  try {
    const pixels = new module.Pixels(width, height, channels, bits, photo.takeSamples());
    report = await upscaler.upscale(pixels, wishFor(wanted), progress, rows, preview || large ? shown : undefined, pool ? threads() + 1 : 0, elsewhere);
  } catch (error) {
    pngs.forEach(free);
    // What another worker met it says best itself; the pool begins anew.
    if (failure) throw Object.assign(failure, { fatal: true });
    // So does what met the rows, which the network's module could only pass on.
    throw unwritten ?? error;
  }
  const [sample, mean] = pngs.map((png) => new Blob(png.finish(), { type: 'image/png' }));
  if (large) {
    const result = await finished(report, { sample }, { ...wanted, format: 'png' }, read);
    return { ...result, notes: [...result.notes, ...beyond(columns, lines, wanted.format)], reduced: await canvas.convertToBlob() };
  }
  if (!wanted.layers || !mean || wanted.fidelity === 0) return finished(report, { sample, mean }, wanted, read);
  // The layers stay as they are, the file is their blend, whose photo is read once more.
  const { layers, invented, deviation, departure } = await finished(report, { sample, mean }, { ...wanted, format: 'png', layered: wanted.format }, read);
  return { ...await blend({ ...wanted, bytes: given, layers }), layers, invented, deviation, departure };
}

/** The blend of two layers of an image. */
async function blend({ bytes: given, layers, ...wanted }) {
  const read = await readable(given, { ...wanted, converted: Boolean(layers.converted) });
  try {
    const { blend: blended } = await filesModule();
    const [sample, mean] = await Promise.all([layers.sample, layers.mean].map(async (layer) => new Uint8Array(await layer.arrayBuffer())));
    const result = blended(read.photo, sample, mean, wanted.fidelity);
    const { png } = result;
    return await finished(result, { sample: new Blob(png, { type: 'image/png' }) }, wanted, read);
  } finally {
    free(read.photo);
  }
}

/** What is told of a result that no browser shows, for which the canvas that writes other formats than PNG has no room either. */
function beyond(width, height, format) {
  const name = NAMES[format];
  return [said('seen-smaller', { megapixels: Math.round(width * height / 1e6) }), ...(name ? [said('saved-as-png', { format: name })] : [])];
}

/** A result in another format or quality, of the photo it was made of; no network runs. */
async function save({ bytes: given, lossless: { sample, converted }, width, height, most, ...wanted }) {
  const large = width * height > most;
  const read = await readable(given, { ...wanted, converted });
  try {
    const { blob, notes } = await finished({ width, height }, { sample }, large ? { ...wanted, format: 'png' } : wanted, read);
    return { blob, notes: [...notes, ...(large ? beyond(width, height, wanted.format) : [])] };
  } finally {
    free(read.photo);
  }
}

/** Every pixel of an image as a square of so many; no network runs. */
async function squares({ bytes: given, scale: times, strip }) {
  const read = await readable(given, { strip });
  try {
    const { photo } = read;
    const { channels, bits } = photo;
    const { PngFile } = await filesModule();
    const png = new PngFile(times * photo.width, times * photo.height, channels, bits);
    const [samples, size] = [photo.takeSamples(), channels * bits / 8];
    // Sixteen bits come with the low byte first, and PNG has the high one there.
    const swapped = bits === 16 ? 1 : 0;
    const row = new Uint8Array(times * photo.width * size);
    for (let y = 0; y < photo.height; y++) {
      const from = y * photo.width * size;
      for (let i = 0; i < row.length; i++) row[i] = samples[(from + Math.floor(i / size / times) * size + i % size) ^ swapped];
      for (let again = 0; again < times; again++) png.add(row);
    }
    const report = { width: times * photo.width, height: times * photo.height, consistency: Infinity, differences: null };
    return await finished(report, { sample: new Blob(png.finish(), { type: 'image/png' }) }, { format: 'png', strip }, read);
  } finally {
    free(read.photo);
  }
}

/** Reads a model from its files and puts it beside the restorer of the model `mean`. */
async function importFiles({ id, files, mean }) {
  const { ModelFile, importModel: read } = await begun(() => import('./asasr-models.js'), 'asasr-models');
  const manifest = await bytesOf(manifestIn(mean));
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let received = 0;
  const given = [];
  for (const file of files) {
    const into = new ModelFile(file.name, file.size);
    given.push(into);
    for (const reader = file.stream().getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      into.push(value);
      received += value.length;
      postMessage({ id, kind: 'loading', received, total });
    }
  }
  const model = read(given[0], given[1], manifest);
  const [restorer] = networks(JSON.parse(new TextDecoder().decode(manifest)));
  const weights = await bytesOf(weightsIn(mean, restorer));
  const { architecture, scale } = model;
  return {
    id: model.id,
    architecture,
    scale,
    files: { 'manifest.json': new Blob([model.manifest]), [model.file]: new Blob([model.takeWeights()]), [model.restorer]: new Blob([weights]) },
  };
}

/** A worker of a pool. */
async function serve({ manifest, weights }) {
  await load('cpu');
  upscaler = await module.Upscaler.open(manifest, weights);
}

async function tile({ values, size, at, image, wanted }) {
  const share = (share) => postMessage({ kind: 'share', share });
  return upscaler.tile(values, Uint32Array.from(size), Uint32Array.from(at), Uint32Array.from(image), wishFor(wanted), share);
}

/** The end of the last frame that was asked for: one at a time runs here, or in each worker of the pool. */
let framed = Promise.resolve();

/** A frame of a video, enlarged. */
async function frame(question) {
  const { id, kind, frame: given, ...wanted } = question;
  const mine = framed.then(async () => {
    await fetched(wanted, id);
    const { data, format, width, height, matrix, full } = given;
    if (!pool) return upscaler.frame(data, format, width, height, matrix, full, wishFor(wanted));
    const answer = pool.ask({ kind, frame: given, ...wanted }, [data.buffer], () => {});
    // Others need not wait for it.
    return { answer: answer.catch((error) => { throw Object.assign(error, { fatal: true }); }) };
  });
  framed = mine.catch(() => {});
  const value = await mine;
  return value.answer ?? value;
}

const kinds = { open, upscale, blend, save, squares, tile, frame, import: importFiles };

/** What a pool tells its workers, in its order. */
let told = Promise.resolve();
const orders = { serve, add: ({ wanted, weights }) => upscaler.add(wishFor(wanted), weights) };

/** A trap leaves the module in pieces; of those that can happen only want of memory is the image's fault. */
const isTrap = (error) => error instanceof WebAssembly.RuntimeError;

/** What traps after its call returned reaches nobody who waits for it: the page is told, and starts another worker. */
const late = (event, error) => {
  if (!isTrap(error)) return;
  event.preventDefault();
  postMessage({ kind: 'error', ...said('no-memory'), fatal: true });
};
self.addEventListener('error', (event) => late(event, event.error));
self.addEventListener('unhandledrejection', (event) => late(event, event.reason));

self.onmessage = async ({ data }) => {
  const { id } = data;
  if (data.kind in orders) {
    told = told.then(() => orders[data.kind](data));
    told.catch(() => {}); // whoever asks for a tile hears of it
    return;
  }
  try {
    await told;
    const value = await kinds[data.kind](data);
    // A tile's pixels go along as they are: a copy of each would wait for the collector.
    postMessage({ id, kind: 'done', value }, ArrayBuffer.isView(value) ? [value.buffer] : []);
  } catch (error) {
    // After a trap or a lost device, which never comes back, the page starts another worker.
    const trap = isTrap(error);
    const { code, args } = trap ? said('no-memory') : asSaid(error);
    const lost = code === 'device';
    const fatal = ['upscale', 'frame'].includes(data.kind) && (trap || lost || Boolean(error.fatal));
    const message = lost && fatal ? said('device-again', { what: said(code, args) }) : said(code, args);
    postMessage({ id, kind: 'error', ...message, fatal });
  }
};
