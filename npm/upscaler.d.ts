export { Upscaler } from './index.js';
export type * from './index.js';
import type { BlendOptions, Layers, Upscaled } from './index.js';

/** `Upscaler.blend` without an upscaler. `device` says which module blends; default `'cpu'`. */
export function blend(file: Blob, layers: Layers, options: BlendOptions & { device?: 'webgpu' | 'cpu' }): Promise<Upscaled>;
