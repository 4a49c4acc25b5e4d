import { Upscaler } from 'asasr-upscaler';

document.body.innerHTML = '<asasr-upscaler src=photo.png device=cpu></asasr-upscaler>';
const blob = await (await fetch('photo.png')).blob();
const up = await Upscaler.load({ device: 'cpu' });
let rows = 0;
for await (const part of up.run(blob, { scale: 3, mode: 'fast' })) rows += part.height;
// A bundler's copy of the model has no signature.
document.body.dataset.unsigned = await Upscaler.load({ device: 'cpu', publicKey: 'AA==' }).then(() => 'taken', ({ code }) => code);
document.body.dataset.rows = rows;
