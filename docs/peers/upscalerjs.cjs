// How UpscalerJS's rows in docs/RESULTS.md were made: its weights by TensorFlow.js on its wasm backend, without its tiling.
// node upscalerjs.cjs esrgan-slim|esrgan-medium|esrgan-thick LQ OUT
const fs = require('node:fs');
const path = require('node:path');
const tf = require('@tensorflow/tfjs');
require('@tensorflow/tfjs-backend-wasm');
const { PNG } = require('pngjs');

const [, , name, lq, out] = process.argv;
// The largest works on 0 to 1, the others on 0 to 255.
const range = name === 'esrgan-thick' ? 1 : 255;
const only = (x) => (Array.isArray(x) ? x[0] : x);

class MultiplyBeta extends tf.layers.Layer {
  constructor() { super({}); this.beta = 0.2; }
  call(x) { return tf.mul(only(x), this.beta); }
  getConfig() { return { ...super.getConfig(), beta: this.beta }; }
  static get className() { return 'MultiplyBeta'; }
}
tf.serialization.registerClass(MultiplyBeta);

/** Each model names its pixel shuffle in its own way. */
function register(json) {
  const names = new Set();
  JSON.stringify(json, (key, value) => {
    if (key === 'class_name' && /PixelShuffle/i.test(value)) names.add(value);
    return value;
  });
  for (const className of names) {
    tf.serialization.registerClass(class extends tf.layers.Layer {
      constructor(config) { super(config ?? {}); }
      computeOutputShape([n, h, w]) { return [n, h, w, 3]; }
      call(x) { return tf.depthToSpace(only(x), 4, 'NHWC'); }
      static get className() { return className; }
    });
  }
}

async function model() {
  const folder = path.join(path.dirname(require.resolve('@tensorflow/tfjs/package.json')), '../../@upscalerjs', name, 'models/x4');
  const json = JSON.parse(fs.readFileSync(path.join(folder, 'model.json')));
  register(json);
  const groups = json.weightsManifest;
  const bytes = Buffer.concat(groups.flatMap(({ paths }) => paths.map((file) => fs.readFileSync(path.join(folder, file)))));
  return tf.loadLayersModel({
    load: async () => ({
      modelTopology: json.modelTopology,
      weightSpecs: groups.flatMap(({ weights }) => weights),
      weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
    }),
  });
}

(async () => {
  await tf.setBackend('wasm');
  await tf.ready();
  const network = await model();
  fs.mkdirSync(out, { recursive: true });
  let [pixels, milliseconds] = [0, 0];
  for (const file of fs.readdirSync(lq).filter((each) => each.endsWith('.png')).sort()) {
    const { data, width, height } = PNG.sync.read(fs.readFileSync(path.join(lq, file)));
    const x = tf.tidy(() => tf.tensor(new Uint8Array(data), [1, height, width, 4], 'int32')
      .slice([0, 0, 0, 0], [1, height, width, 3]).toFloat().div(255 / range));
    const start = performance.now();
    const y = network.predict(x);
    const values = await y.data();
    milliseconds += performance.now() - start;
    const result = new PNG({ width: y.shape[2], height: y.shape[1] });
    pixels += y.shape[1] * y.shape[2];
    for (let i = 0; i < values.length / 3; i += 1) {
      for (let c = 0; c < 3; c += 1) result.data[4 * i + c] = Math.max(0, Math.min(255, Math.round(values[3 * i + c] * 255 / range)));
      result.data[4 * i + 3] = 255;
    }
    fs.writeFileSync(path.join(out, file), PNG.sync.write(result));
    x.dispose();
    y.dispose();
  }
  console.log(`${name}: ${(pixels / 1e3 / milliseconds).toFixed(3)} output MP/s`);
})();
