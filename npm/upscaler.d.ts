export { Upscaler } from './index.js';
export type * from './index.js';
import type { BlendOptions, Layers, Upscaled } from './index.js';

/** `Upscaler.blend` without an upscaler. */
export function blend(file: Blob, layers: Layers, options: BlendOptions): Promise<Upscaled>;

/** A model of others as `Upscaler` takes it. */
export interface ImportedModel {
  /** Its name, made of the file's. */
  id: string;
  /** The network's name in the field, with its sizes. */
  architecture: string;
  /** How many times it enlarges. */
  scale: number;
  /** The files of its folder, by name. */
  files: Record<string, Blob>;
}

/** Reads a model from its file, or ncnn's two, in a worker of its own. Nothing is uploaded. `mean` is the folder of our model to whose mean results are held. */
export function importModel(files: File[], options?: { onLoading?: (received: number, total: number) => void; mean?: string }): Promise<ImportedModel>;
