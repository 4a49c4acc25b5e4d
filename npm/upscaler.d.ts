export { Upscaler } from './index.js';
export type * from './index.js';
import type { BlendOptions, Layers, Upscaled } from './index.js';

/** `Upscaler.blend` without an upscaler. */
export function blend(file: Blob, layers: Layers, options: BlendOptions): Promise<Upscaled>;
