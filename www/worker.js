// Chooses a device, loads the one WebAssembly module that it needs and runs it.

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

async function load(device, manifest, weights) {
  const module = await import(device === 'webgpu' ? './asasr-gpu.js' : './asasr-cpu.js');
  await module.default();
  upscaler = await module.Upscaler.open(manifest, weights);
}

async function open({ device: wanted, model }) {
  const manifest = await bytesOf(new URL('manifest.json', model).href);
  let file, sha256;
  try {
    ({ file, sha256 } = JSON.parse(new TextDecoder().decode(manifest)));
  } catch {
    throw new Error('the model\'s manifest is not usable: reload the page');
  }
  // The hash in the address lets caches keep each version apart.
  const weights = await bytesOf(new URL(`${file}?sha256=${sha256}`, model).href);
  const [device, why] = await choose(wanted);
  try {
    await load(device, manifest, weights);
  } catch (error) {
    if (wanted !== 'auto' || device === 'cpu') throw error;
    await load('cpu', manifest, weights);
    return `CPU – ${error.message}`;
  }
  return `${device === 'webgpu' ? 'WebGPU' : 'CPU'} (${upscaler.device}) – ${why}`;
}

async function upscale({ bytes, scale }) {
  const result = await upscaler.upscale(bytes, scale, (done, total) => postMessage({ kind: 'progress', done, total }));
  const { width, height, notes } = result;
  const png = result.take_png();
  result.free();
  return { png, width, height, notes };
}

self.onmessage = async ({ data }) => {
  try {
    const value = await (data.kind === 'open' ? open(data) : upscale(data));
    postMessage({ kind: 'done', value }, value.png ? [value.png.buffer] : []);
  } catch (error) {
    const fault = error instanceof WebAssembly.RuntimeError;
    const message = fault ? 'the image needs more memory than the browser gives: try a smaller one' : String(error?.message ?? error);
    postMessage({ kind: 'error', message });
    if (fault) self.close();
  }
};
