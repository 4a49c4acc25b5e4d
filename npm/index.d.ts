/** Where the network runs: the graphics card through WebGPU, the processor, or the better of what is there. */
export type DeviceChoice = 'auto' | 'webgpu' | 'cpu';

export interface UpscalerOptions {
  /** Default `'auto'`. */
  device?: DeviceChoice;
  /** Address of a model's folder, with a final slash; other origins need CORS. Default: `v1/models/asasr-x4-clean/` beside the script. */
  model?: string;
}

export interface UpscaleOptions {
  /** How many times wider and higher. Default 4. */
  scale?: 2 | 3 | 4;
  /** Default `'png'`. */
  format?: 'png' | 'jpeg' | 'webp';
  /** Of JPEG and WebP, from 0 to 1. Default 0.92. */
  quality?: number;
  /** Leaves out colour profile and EXIF data. Default `false`. */
  strip?: boolean;
  /** Cancels; the promise is then rejected with an `AbortError`. */
  signal?: AbortSignal;
  /** Called after every tile. */
  onProgress?: (done: number, total: number) => void;
  /** Called for rows that are finished, from the top: 4 bytes a pixel. */
  onRows?: (first: number, width: number, rgba: Uint8ClampedArray<ArrayBuffer>) => void;
}

export interface Upscaled {
  blob: Blob;
  width: number;
  height: number;
  /** What had to be changed on the way, a sentence each. */
  notes: string[];
  /** PSNR in dB between the given image and the result made as small again; `Infinity` where they agree. */
  consistency: number;
  /** For each given pixel how many grey levels these differ. */
  differences: Uint8Array;
}

/** Rows of the result that are finished. */
export interface Rows {
  first: number;
  width: number;
  height: number;
  rgba: Uint8ClampedArray<ArrayBuffer>;
}

/** Runs the network in a worker. */
export class Upscaler {
  /** An upscaler that is ready. */
  static load(options?: UpscalerOptions): Promise<Upscaler>;
  constructor(options?: UpscalerOptions);
  /** Where the network runs, and why. */
  readonly ready: Promise<string>;
  /** Calls wait for each other: there is one network. */
  upscale(file: Blob, options?: UpscaleOptions): Promise<Upscaled>;
  /** The same as a sequence of rows; its return value is the result. */
  run(file: Blob, options?: Omit<UpscaleOptions, 'onRows'>): AsyncGenerator<Rows, Upscaled, void>;
  /** Stops what is running. */
  cancel(): void;
  /** Ends the worker and frees the device. */
  dispose(): void;
}

export interface AsasrUpscalerEventMap {
  progress: CustomEvent<{ done: number; total: number }>;
  result: CustomEvent<Upscaled>;
  error: CustomEvent<{ message: string }>;
  cancel: CustomEvent<null>;
}

/** `<asasr-upscaler src model scale format device alt>`. */
export class AsasrUpscaler extends HTMLElement {
  readonly result: Upscaled | null;
  upscale(blob: Blob, options?: { signal?: AbortSignal }): Promise<Upscaled>;
  cancel(): void;
  dispose(): void;
  addEventListener<K extends keyof AsasrUpscalerEventMap>(
    type: K, listener: (event: AsasrUpscalerEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'asasr-upscaler': AsasrUpscaler;
  }
}
