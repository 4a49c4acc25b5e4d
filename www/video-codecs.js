// What frames of a video are packed into: codecs and their levels, bits for a second, sizes on offer, and what a browser encodes of it.

/** Codecs by their names in containers, and what people call them. */
export const CODECS = { avc: 'H.264', vp9: 'VP9', av1: 'AV1', vp8: 'VP8' };
/** Others that are read. */
const OTHERS = { hevc: 'H.265', prores: 'ProRes' };
export const codecName = (codec) => CODECS[codec] ?? OTHERS[codec] ?? codec;

/** Most luma samples of a frame and of a second, by the number of a level: H.264 (table A-1), VP9 (Levels and Decoder Testing), AV1 (A.3). */
const LEVELS = {
  avc: [['1e', 414720, 10368000], ['1f', 921600, 27648000], ['28', 2097152, 62914560], ['2a', 2228224, 133693440], ['32', 5652480, 150994944],
    ['33', 9437184, 251658240], ['34', 9437184, 530841600], ['3c', 35651584, 1069547520], ['3e', 35651584, 4278190080]],
  vp9: [['20', 73728, 2764800], ['21', 122880, 4608000], ['30', 245760, 9216000], ['31', 552960, 20736000], ['40', 983040, 36864000],
    ['41', 2228224, 83558400], ['50', 2228224, 160432128], ['51', 8912896, 311951360], ['52', 8912896, 588251136], ['60', 35651584, 1176502272],
    ['62', 35651584, 4706009088]],
  av1: [['00', 147456, 4423680], ['01', 278784, 8363520], ['04', 665856, 19975680], ['05', 1065024, 31950720], ['08', 2359296, 70778880],
    ['09', 2359296, 141557760], ['12', 8912896, 267386880], ['13', 8912896, 534773760], ['16', 35651584, 1069547520], ['18', 35651584, 4278190080]],
};

/** The string of a codec for frames of a size, so many a second. */
function stringOf(codec, { width, height }, rate) {
  if (codec === 'vp8') return 'vp8';
  const levels = LEVELS[codec];
  // Levels count whole blocks.
  const samples = Math.ceil(width / 16) * Math.ceil(height / 16) * 256;
  const [level] = levels.find(([, most, second]) => samples <= most && samples * rate <= second) ?? levels.at(-1);
  return { avc: `avc1.6400${level}`, vp9: `vp09.00.${level}.08`, av1: `av01.0.${level}M.08` }[codec];
}

/** Bits for a pixel of a frame of two megapixels in H.264, by quality. */
export const QUALITIES = { small: 0.05, good: 0.11, best: 0.22 };
/** What others need of it for the same. */
const SHARES = { avc: 1, vp8: 1.1, vp9: 0.75, av1: 0.6 };

/** Bits for a second of frames of a size. */
export function bitrate({ codec, quality, size: { width, height } }, rate) {
  const pixels = width * height;
  // Larger frames, and more of them, have less that is new.
  const perFrame = QUALITIES[quality] * SHARES[codec] * pixels * (pixels / 2 ** 21) ** -0.15;
  return Math.max(Math.round(perFrame * 30 * (Math.min(rate, 240) / 30) ** 0.7), 150_000);
}

/** What a `VideoEncoder` is told. */
export const encoderConfig = ({ codec, quality, size }, rate) => ({
  codec: stringOf(codec, size, rate),
  width: size.width,
  height: size.height,
  bitrate: bitrate({ codec, quality, size }, rate),
  framerate: rate,
  latencyMode: 'quality',
  ...(codec === 'avc' ? { avc: { format: 'avc' } } : {}),
});

/** Whether a codec takes even sides only. */
export const takesEven = (codec) => codec === 'avc';

/** Boxes that a result may be made to fit, as it is shown. */
const BOXES = { '1080p': [1920, 1080], '1440p': [2560, 1440], '4k': [3840, 2160] };

/** Sizes on offer, in the order of a menu. */
export const SIZES = ['2', '3', '4', ...Object.keys(BOXES)];

/** The largest even number that is no larger, but for rounding. */
const even = (n) => 2 * Math.floor(n / 2 + 1e-6);

/**
 * The pixels of a result: `size` is how many times larger, or a box. A film's `width` and `height` are its frames', `pixelAspect` is how wide a
 * pixel is shown, and `rotation` turns it. Null where a network that reaches `most` times does not make it so large.
 */
export function resultSize({ width, height, pixelAspect, rotation }, size, codec, most = 8) {
  let factor = Number(size);
  if (size in BOXES) {
    const wide = width * pixelAspect;
    const sides = rotation % 180 === 0 ? [wide, height] : [height, wide];
    const [long, short] = BOXES[size];
    const box = sides[0] >= sides[1] ? [long, short] : [short, long];
    factor = Math.min(box[0] / sides[0], box[1] / sides[1]);
  }
  if (!(factor > 1) || factor > most) return null;
  const side = (n) => {
    const exact = n * factor;
    // A box is met to the pixel by even sides, which all codecs take.
    return size in BOXES || takesEven(codec) ? even(exact) : Math.round(exact);
  };
  return { width: side(width), height: side(height) };
}

/** The codecs that this browser encodes at a size, each with its own pixels: `{ codec, size }`. */
export async function encodable(film, size, most) {
  const found = await Promise.all(Object.keys(CODECS).map(async (codec) => {
    const pixels = resultSize(film, size, codec, most);
    if (!pixels || !globalThis.VideoEncoder) return null;
    try {
      const { supported } = await VideoEncoder.isConfigSupported(encoderConfig({ codec, quality: 'good', size: pixels }, film.rate));
      return supported ? { codec, size: pixels } : null;
    } catch {
      return null; // a configuration that it does not even understand
    }
  }));
  return found.filter(Boolean);
}

/** The codec for a container of that name, where the browser has it: what plays most widely there. */
export function usualCodec(container, codecs) {
  const order = container === 'webm' ? ['vp9', 'av1', 'vp8', 'avc'] : ['avc', 'vp9', 'av1', 'vp8'];
  return order.find((codec) => codecs.includes(codec)) ?? null;
}
