/** Where the network runs: the graphics card through WebGPU, the processor, or the better of what is there. */
export type DeviceChoice = 'auto' | 'webgpu' | 'cpu';

export interface UpscalerOptions {
  /** Default `'auto'`. */
  device?: DeviceChoice;
  /**
   * Address of a model's folder, or of a community's file (`.pth`, `.safetensors`, `.onnx`); such a file itself, or
   * ncnn's two; or the `files` of `importModel`. Other origins need CORS. Default: `v1/models/asasr-x4-real/` beside the script.
   */
  model?: string | File | (string | File)[] | Record<string, Blob>;
  /** An ed25519 public key in base64 or PEM: a model that it did not sign (`manifest.json.sig` beside its manifest) is an error, and so is one whose folder has not its name. */
  publicKey?: string;
  /** Called while the model is loaded, where its size is known. */
  onLoading?: (received: number, total: number) => void;
}

/**
 * What is said without words: a code, for which `english.js` has the text, and what fills that text's places, by name. Errors of `upscale`
 * and `ready` have both too.
 */
export interface Message {
  code: string;
  args: Record<string, string | number | Message>;
}

/**
 * `'instant'` is the mean of all likely images: nothing is invented. `'fast'` and `'quality'` are one of them, with the texture that the
 * photo has lost, in few steps or in many.
 */
export type Mode = 'instant' | 'fast' | 'quality';

export interface UpscaleOptions {
  /** Default `'instant'`; `'fast'` of a community's model, which is that model's own answer. */
  mode?: Mode;
  /**
   * Keeps the result to the photo: `true` (the default), as the model is made for; `false`, the network's own answer; or the width of
   * the Gaussian, 0.8 to 16 result pixels, below whose frequencies its colours are those of the mean.
   */
  hold?: boolean | number;
  /** Which of the likely images, in a mode that draws more than one. Default 0. */
  seed?: number;
  /** From the likely image, 0, back to the mean, 1. Default 0. */
  fidelity?: number;
  /** Gives both as files beside the result, for `Upscaler.blend`. Default `false`. */
  layers?: boolean;
  /**
   * Likely images to draw and to compare, at most 64: the work grows with them. In a mode that draws one, 2 or more compare it with the
   * mean of all, at no further work. Default 1, which compares none.
   */
  samples?: number;
  /**
   * How many times wider and higher, 1 to 8; otherwise the model's own. What is beyond that takes a second pass, by the restorer, and is at
   * most the square of the model's own.
   */
  scale?: number;
  /** Columns of the result instead: from the image's own to as many times more as two passes reach. */
  width?: number;
  /** Default `'png'`. */
  format?: 'png' | 'jpeg' | 'webp';
  /** Of JPEG and WebP, from 0 to 1. Default 0.92. */
  quality?: number;
  /** Leaves out colour profile and EXIF data; the colours are then sRGB. Default `false`. */
  strip?: boolean;
  /** Cancels; the promise is then rejected with an `AbortError`. */
  signal?: AbortSignal;
  /** Called after every step, with tiles and the share of all the work, up to 1. */
  onProgress?: (done: number, total: number, fraction: number) => void;
  /** Called while weights are loaded that the mode needs first. */
  onLoading?: (received: number, total: number) => void;
  /** Called for rows that are finished, from the top: 4 bytes a pixel. */
  onRows?: (first: number, width: number, rgba: Uint8ClampedArray<ArrayBuffer>) => void;
  /** Called with the given image upright, as PNG, where the browser shows its file otherwise turned: not all browsers heed EXIF data in every format. */
  onOriginal?: (blob: Blob, width: number, height: number) => void;
}

/** How a file is written. */
export type SaveOptions = Pick<UpscaleOptions, 'format' | 'quality' | 'strip' | 'signal'>;

export interface BlendOptions extends SaveOptions {
  fidelity: number;
}

export interface Upscaled {
  blob: Blob;
  width: number;
  height: number;
  /** What had to be changed on the way, a sentence each. */
  notes: string[];
  /** The same for other languages: codes, and what fills the places of their texts. */
  said: Message[];
  /** PSNR in dB between the given image and the result made as small again; `Infinity` where they agree. */
  consistency: number;
  /** For each given pixel how many grey levels these differ. */
  differences: Uint8Array;
  /** Columns of the given image, and thus of the maps. */
  mapWidth: number;
  /**
   * For each given pixel the deviation of the samples in grey levels, fine detail weighed more; `null` for one sample. In a mode whose
   * samples are one, its deviation from the mean of all likely images.
   */
  invented: Float32Array | null;
  /** That of the whole image. */
  deviation: number;
  /** Whether these are the departure from the mean. */
  departure: boolean;
  /** Where they were asked for, the mode has them, and the browser can show an image of this size. */
  layers?: Layers;
  /** For `Upscaler.save`. */
  lossless: Lossless;
  /** A small picture of a result that the browser cannot show whole; its `blob` is a PNG. */
  reduced?: Blob;
}

/** A result before it was saved. */
export interface Lossless {
  /** A PNG without profile and metadata. */
  sample: Blob;
  /** Whether its colours were converted to sRGB. */
  converted: boolean;
}

/** The likely image and the mean of all likely ones, as PNG files. */
export interface Layers {
  sample: Blob;
  mean: Blob;
  /** Whether their colours were converted to sRGB, for a result that could not tell others. */
  converted: boolean;
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
  /** The same for other languages. */
  readonly where: Promise<Message>;
  /** What the model can do, how many times the first one's work it is, and whether it draws more than one image. */
  readonly modes: Promise<{ mode: Mode; work: number; draws: boolean }[]>;
  /** How many times the model enlarges. */
  readonly scale: Promise<number>;
  /** The mode that is used where none is asked for. */
  readonly usualMode: Promise<Mode>;
  /** Calls wait for each other: there is one network. */
  upscale(file: Blob, options?: UpscaleOptions): Promise<Upscaled>;
  /** The same as a sequence of rows; its return value is the result. */
  run(file: Blob, options?: Omit<UpscaleOptions, 'onRows'>): AsyncGenerator<Rows, Upscaled, void>;
  /** The result at another fidelity, of the same file. No network runs, and it waits for none. */
  blend(file: Blob, layers: Layers, options: BlendOptions): Promise<Upscaled>;
  /** A result in another format or quality, of the same file. No network runs, and it waits for none. */
  save(file: Blob, result: Pick<Upscaled, 'lossless' | 'width' | 'height'>, options?: SaveOptions): Promise<Pick<Upscaled, 'blob' | 'notes' | 'said'>>;
  /** Stops what is running. */
  cancel(): void;
  /** Ends the worker and frees the device. */
  dispose(): void;
}

/** `Upscaler.blend` without an upscaler. */
export function blend(file: Blob, layers: Layers, options: BlendOptions): Promise<Upscaled>;

/** `Upscaler.save` without an upscaler. */
export const save: Upscaler['save'];

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

export interface AsasrUpscalerEventMap {
  progress: CustomEvent<{ done: number; total: number; fraction: number }>;
  result: CustomEvent<Upscaled>;
  error: CustomEvent<{ message: string } & Partial<Message>>;
  cancel: CustomEvent<null>;
}

type Events = Omit<HTMLElementEventMap, keyof AsasrUpscalerEventMap> & AsasrUpscalerEventMap;

/** `<asasr-upscaler>`. Its properties are its attributes, `null` where there is none; whatever changes, it enlarges anew. */
export class AsasrUpscaler extends HTMLElement {
  /** The image's address; other origins need CORS. */
  src: string | null;
  /** Of the image that is shown. */
  alt: string | null;
  model: NonNullable<UpscalerOptions['model']> | null;
  publicKey: string | null;
  device: DeviceChoice | null;
  mode: Mode | null;
  seed: number | null;
  fidelity: number | null;
  hold: boolean | number | null;
  scale: number | null;
  width: number | null;
  format: 'png' | 'jpeg' | 'webp' | null;
  readonly result: Upscaled | null;
  upscale(blob: Blob, options?: { signal?: AbortSignal }): Promise<Upscaled>;
  cancel(): void;
  dispose(): void;
  addEventListener<K extends keyof Events>(type: K, listener: (this: AsasrUpscaler, event: Events[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof Events>(type: K, listener: (this: AsasrUpscaler, event: Events[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

/** Its attributes and events in JSX. */
export interface AsasrUpscalerAttributes {
  src?: string;
  alt?: string;
  model?: UpscalerOptions['model'];
  'public-key'?: string;
  device?: DeviceChoice;
  mode?: Mode;
  seed?: number | `${number}`;
  fidelity?: number | `${number}`;
  hold?: 'on' | 'off' | number | `${number}`;
  scale?: number | `${number}`;
  width?: number | `${number}`;
  format?: 'png' | 'jpeg' | 'webp';
  onprogress?: (event: AsasrUpscalerEventMap['progress']) => void;
  onresult?: (event: AsasrUpscalerEventMap['result']) => void;
  onerror?: (event: AsasrUpscalerEventMap['error']) => void;
  oncancel?: (event: AsasrUpscalerEventMap['cancel']) => void;
}

declare global {
  interface HTMLElementTagNameMap {
    'asasr-upscaler': AsasrUpscaler;
  }
  namespace JSX {
    interface IntrinsicElements {
      'asasr-upscaler': AsasrUpscalerAttributes & Record<string, unknown>;
    }
  }
}
