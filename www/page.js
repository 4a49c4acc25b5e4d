import { Upscaler } from './upscaler.js';

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const device = query.get('device') ?? 'auto';
const model = query.get('model');
let upscaler = null;
let busy = false;

function fail(name, message) {
  $('error').textContent = name ? `${name}: ${message}.` : `${message}.`;
  $('error').hidden = false;
}

function begin() {
  if (!['auto', 'webgpu', 'cpu'].includes(device)) {
    $('device').textContent = 'Not ready.';
    fail('', `?device=${device} is unknown: use auto, webgpu or cpu`);
    return;
  }
  if (model !== null && !/^[\w.-]+$/.test(model)) {
    $('device').textContent = 'Not ready.';
    fail('', `?model=${model} is no model's name: the server lists them under v1/models`);
    return;
  }
  upscaler = new Upscaler(model === null ? { device } : { device, model: `v1/models/${model}/` });
  report();
}

function report() {
  upscaler.ready.then(
    (where) => { $('device').textContent = `Runs on: ${where}`; document.body.dataset.ready = 'yes'; },
    (error) => {
      if (error.name === 'AbortError') return; // the next worker reports for itself
      $('device').textContent = 'Not ready.';
      fail('', error.message);
    },
  );
}

function show(image, blob) {
  if (image.src) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
}

async function run(file) {
  if (!upscaler) return;
  if (busy) {
    fail(file.name, 'one photo at a time: wait for the running one or cancel it');
    return;
  }
  busy = true;
  for (const id of ['error', 'notes', 'result']) $(id).hidden = true;
  $('work').hidden = false;
  $('progress').removeAttribute('value');
  $('status').textContent = `${file.name}: preparing…`;
  const start = performance.now();
  try {
    const result = await upscaler.upscale(file, {
      onProgress: (done, total) => {
        $('progress').max = total;
        $('progress').value = done;
        const left = (performance.now() - start) / done * (total - done) / 1000;
        $('status').textContent = `${file.name}: tile ${done} of ${total}${left >= 1 ? `, about ${Math.ceil(left)} s left` : ''}`;
      },
    });
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    show($('before'), file);
    show($('after'), result.blob);
    $('summary').textContent = `${result.width} × ${result.height} pixels in ${seconds} s`;
    $('download').href = $('after').src;
    $('download').download = `${file.name.replace(/\.[^.]*$/, '')}-x4.png`;
    $('notes').replaceChildren(...result.notes.map((text) => Object.assign(document.createElement('li'), { textContent: text })));
    $('notes').hidden = result.notes.length === 0;
    $('result').hidden = false;
  } catch (error) {
    if (error.name !== 'AbortError') fail(file.name, error.message);
    report();
  } finally {
    $('work').hidden = true;
    busy = false;
  }
}

$('file').addEventListener('change', ({ target }) => {
  if (target.files[0]) run(target.files[0]);
  target.value = ''; // the same file may be chosen again
});
$('cancel').addEventListener('click', () => upscaler.cancel());

addEventListener('dragover', (event) => { event.preventDefault(); $('drop').classList.add('over'); });
addEventListener('dragleave', (event) => { if (!event.relatedTarget) $('drop').classList.remove('over'); });
addEventListener('drop', (event) => {
  event.preventDefault();
  $('drop').classList.remove('over');
  if (event.dataTransfer.files[0]) run(event.dataTransfer.files[0]);
});

begin();
