export { Upscaler, blend, importModel } from './index.js';
export type * from './index.js';
