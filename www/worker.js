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
  const name = device === 'webgpu' ? 'WebGPU' : 'CPU';
  // Browsers often keep the adapter's name to themselves.
  return `${name}${upscaler.device === name ? '' : ` (${upscaler.device})`} – ${why}`;
}

async function upscale({ id, bytes, scale }) {
  const progress = (done, total) => postMessage({ id, kind: 'progress', done, total });
  const result = await upscaler.upscale(bytes, scale, progress);
  const { width, height, notes, png } = result;
  result.free();
  return { blob: new Blob(png, { type: 'image/png' }), width, height, notes };
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
