// Ours and onnxruntime-web in one page, with the same network and weights: pixels go in, pixels come out of theirs, of ours a PNG.

import { Upscaler } from '../upscaler.js';

let all = [];

/** Red, green and blue of an image, plane by plane. */
async function planes(blob) {
  const bitmap = await createImageBitmap(blob);
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const values = Float32Array.from({ length: 3 * width * height }, (_, i) => data[4 * (i % (width * height)) + Math.floor(i / (width * height))] / 255);
  return { values, width, height };
}

/** Makes both ready for an image and the model of a name, on a backend of theirs and a device of ours with so many threads. */
export async function prepare(bytes, model, backend, device, threads) {
  const ort = await import(backend === 'wasm' ? './npm/ort.wasm.min.mjs' : './npm/ort.webgpu.min.mjs');
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(`${model}.onnx`, { executionProviders: [backend] });
  const ours = await Upscaler.load({ device, model: new URL(`${model}/`, import.meta.url).href });
  const blob = new Blob([bytes]);
  const { values, width, height } = await planes(blob);
  const input = { [session.inputNames[0]]: new ort.Tensor('float32', values, [1, 3, height, width]) };
  all = [
    ['onnxruntime-web', async () => (await session.run(input))[session.outputNames[0]].getData()],
    ['ours', async () => (await ours.upscale(blob, { mode: 'instant', hold: false })).blob],
  ];
  const [theirs, own] = [await all[0][1](), (await planes(await all[1][1]())).values];
  return theirs.reduce((worst, value, i) => Math.max(worst, Math.abs(Math.min(Math.max(value, 0), 1) - own[i])), 0) * 255;
}

/** Runs each of them once; resolves to rows of name and milliseconds. */
export async function round() {
  const times = [];
  for (const [name, run] of all) {
    const start = performance.now();
    await run();
    times.push([name, performance.now() - start]);
  }
  return times;
}
