// Chooses a device, loads the one WebAssembly module that it needs and runs it.

import { withMetadata } from './container.js';

let upscaler = null;

async function bytesOf(url) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error(`${new URL(url).pathname} could not be loaded: check the connection and reload`);
  }
  if (!response.ok) throw new Error(`${new URL(url).pathname} could not be loaded (${response.status}): reload the page`);
  return new Uint8Array(await response.arrayBuffer());
}

/** 'webgpu' or 'cpu', and a sentence why. */
async function choose(wanted) {
  if (wanted === 'cpu') return ['cpu', 'as asked'];
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (wanted === 'webgpu') {
    if (!adapter) throw new Error('WebGPU was asked for, but this browser offers none: remove ?device=webgpu');
    return ['webgpu', 'as asked'];
  }
  if (!navigator.gpu) return ['cpu', 'this browser has no WebGPU'];
  if (!adapter) return ['cpu', 'WebGPU found no graphics card'];
  if (adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter) {
    return ['cpu', 'WebGPU would run in software here'];
  }
  return ['webgpu', 'the fastest here'];
}

/** Opens the model on a device; returns the addresses of the module's files. */
async function load(device, manifest, weights) {
  // Written out, so that bundlers find them.
  const gpu = device === 'webgpu';
  const module = gpu ? await import('./asasr-gpu.js') : await import('./asasr-cpu.js');
  await module.default();
  upscaler = await module.Upscaler.open(manifest, weights);
  const name = gpu ? 'asasr-gpu' : 'asasr-cpu';
  return [`${name}.js`, `${name}_bg.wasm`].map((file) => new URL(file, self.location).href);
}

async function open({ device: wanted, model }) {
  const described = new URL('manifest.json', model).href;
  const manifest = await bytesOf(described);
  let file, sha256;
  try {
    ({ file, sha256 } = JSON.parse(new TextDecoder().decode(manifest)));
  } catch {
    throw new Error('the model\'s manifest is not usable: reload the page');
  }
  // The hash in the address lets caches keep each version apart.
  const kept = new URL(`${file}?sha256=${sha256}`, model).href;
  const weights = await bytesOf(kept);
  const [device, why] = await choose(wanted);
  let where;
  let module;
  try {
    module = await load(device, manifest, weights);
    const name = device === 'webgpu' ? 'WebGPU' : 'CPU';
    // Browsers often keep the adapter's name to themselves.
    where = `${name}${upscaler.device === name ? '' : ` (${upscaler.device})`} – ${why}`;
  } catch (error) {
    if (wanted !== 'auto' || device === 'cpu') throw error;
    module = await load('cpu', manifest, weights);
    where = `CPU – ${error.message}`;
  }
  return { where, loaded: [described, kept, ...module] };
}

/** A file that only the browser reads, as a PNG of 8 bits: AVIF. */
async function readable(bytes) {
  const brand = String.fromCharCode(...bytes.subarray(4, 12));
  if (!/^ftypavi[fs]/.test(brand)) return { bytes, notes: [] };
  let image;
  try {
    image = await createImageBitmap(new Blob([bytes], { type: 'image/avif' }));
  } catch {
    throw new Error('this browser cannot read the AVIF file: convert it to PNG or JPEG first');
  }
  const png = await drawn(image, 'image/png');
  return {
    bytes: new Uint8Array(await png.arrayBuffer()),
    notes: ['the file is AVIF: the browser read it, in 8 bits and sRGB'],
  };
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

async function upscale({ id, bytes: given, scale, format, quality, strip, preview }) {
  const progress = (done, total) => postMessage({ id, kind: 'progress', done, total });
  const rows = (first, width, rgba) => {
    if (preview) postMessage({ id, kind: 'rows', first, width, rgba }, [rgba.buffer]);
  };
  const { bytes, notes: first } = await readable(given);
  // A canvas would turn colours into its own space: other formats are made of the bare samples, and carry the rest later.
  const result = await upscaler.upscale(bytes, scale, format === 'png' && !strip, progress, rows);
  const { width, height, png, alpha, icc, exif, consistency, differences } = result;
  const notes = [...first, ...result.notes];
  result.free();
  let blob = new Blob(png, { type: 'image/png' });
  if (format !== 'png') {
    try {
      blob = await drawn(await createImageBitmap(blob), `image/${format}`, quality);
      if (!strip) blob = await withMetadata(blob, { icc, exif, width, height, alpha });
      if (alpha && format === 'jpeg') notes.push('JPEG has no transparency: it was laid on white');
    } catch {
      // An hour's work is not thrown away because the browser cannot write it in that format.
      notes.push(`the browser could not write ${format === 'jpeg' ? 'JPEG' : 'WebP'} of this size: it was saved as PNG`);
    }
  }
  return { blob, width, height, notes, consistency, differences };
}

self.onmessage = async ({ data }) => {
  const { id } = data;
  try {
    postMessage({ id, kind: 'done', value: await (data.kind === 'open' ? open(data) : upscale(data)) });
  } catch (error) {
    // A trap leaves the module in pieces, a lost device never comes back: the page starts another worker.
    const trap = error instanceof WebAssembly.RuntimeError;
    const lost = /^the compute device failed/.test(error?.message ?? '');
    const message = trap
      ? 'the image needs more memory than the browser gives: try a smaller one'
      : `${error?.message ?? error}${lost ? ' (the device is being opened again)' : ''}`;
    postMessage({ id, kind: 'error', message, fatal: data.kind === 'upscale' && (trap || lost) });
  }
};
