// Ours and UpscalerJS in one page: a file goes in, a PNG comes out.
/* global tf, Upscaler, ESRGANSlim4x, ESRGANMedium4x, ESRGANThick4x */

import { Upscaler as Ours } from '../upscaler.js';

const models = { slim: ESRGANSlim4x, medium: ESRGANMedium4x, thick: ESRGANThick4x };

/** Starts a backend of TensorFlow.js; returns what ran in place of it where it does not start. */
async function start(backend) {
  tf.wasm.setWasmPaths('npm/');
  try {
    await tf.setBackend(backend);
    await tf.ready();
  } catch (error) {
    return error.message;
  }
  return tf.getBackend() === backend ? null : `${tf.getBackend()} ran in place of it`;
}

/** What enlarges `blob` with each of UpscalerJS's models and with each of our modes on `device`. */
async function contenders(blob, device) {
  const bitmap = await createImageBitmap(blob);
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const ours = await Ours.load({ device });
  const theirs = Object.entries(models).map(([name, model]) => {
    const upscaler = new Upscaler({ model: { ...model, path: `npm/${name}/model.json` } });
    // Not every backend reads an image element here; all read pixels.
    return [`UpscalerJS ${name}`, async () => {
      const input = tf.browser.fromPixels(pixels);
      const result = await upscaler.upscale(input);
      input.dispose();
      return result;
    }];
  });
  return [...theirs, ...['instant', 'fast'].map((mode) => [`ours, ${mode}`, () => ours.upscale(blob, { mode })])];
}

let all = [];

/** Makes all of them ready for an image file; resolves to a sentence where `backend` does not start. */
export async function prepare(bytes, backend, device) {
  const missing = await start(backend);
  if (!missing) all = await contenders(new Blob([bytes]), device);
  return missing;
}

/** Runs each of them once; resolves to rows of name and milliseconds, or why it failed. */
export async function round() {
  const times = [];
  for (const [name, run] of all) {
    const start = performance.now();
    const failed = await run().then(() => null, String);
    times.push([name, failed ?? performance.now() - start]);
  }
  return times;
}
