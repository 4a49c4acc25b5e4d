// A video or an animated image as frames in the order in which they are shown, and what is to be known of it.

import { ALL_FORMATS, BlobSource, EncodedPacketSink, Input, VideoSampleSink } from './mediabunny.js';
import { codecName } from './video-codecs.js';
import { Said, said } from './said.js';

/** Frames that wait for a decoder. */
const AHEAD = 4;
/** A time that is nearer to another one is the same, in seconds. */
const SAME = 1e-6;
/** Packets whose times tell how many frames there are in a second. */
const COUNTED = 240;

/** The names of containers that results may have too. */
const CONTAINERS = { 'MP4': 'mp4', 'QuickTime File Format': 'mov', 'WebM': 'webm', 'Matroska': 'mkv' };

/** Codecs of more than 8 bits, by their strings. */
const DEEP = /^(vp09\.0[23]|av01\.\d\.\d+[MH]\.1|avc[13]\.(6e|7a)|(hvc|hev)1\.2|ap)/i;

/** Matrices that colours are converted by. */
const MATRICES = ['bt709', 'bt470bg', 'smpte170m', 'bt2020-ncl'];

/** The matrix that players take where a video names none. */
const guessed = ({ width, height }) => (width >= 1280 || height > 576 ? 'bt709' : 'smpte170m');

/** The simplest fraction between two numbers (by the tree of Stern and Brocot). */
function simplest(low, high) {
  const whole = Math.ceil(low);
  if (whole <= high) return { num: whole, den: 1 };
  const { num, den } = simplest(1 / (high - whole + 1), 1 / (low - whole + 1));
  return { num: (whole - 1) * num + den, den: num };
}

/** How wide a pixel is for its height: what rounds to the sides that square pixels would take. */
function aspectOf(width, squareWidth, height, squareHeight) {
  if (squareWidth === width && squareHeight === height) return { num: 1, den: 1 };
  if (squareHeight === height) return simplest((squareWidth - 0.5) / width, (squareWidth + 0.5) / width);
  const { num, den } = simplest((squareHeight - 0.5) / height, (squareHeight + 0.5) / height);
  return { num: den, den: num };
}

/** What an error of reading a container says. */
function unread(error) {
  if (error instanceof Said) return error;
  return new Said('video-damaged', { why: error?.message ?? String(error) });
}

/** Bytes at either end of a file in which it says what it holds. */
const ENDS = 1 << 20;

/** Whether one of the ends of a file, as text, is so. */
async function ends(file, is) {
  const parts = [file.slice(0, ENDS), file.slice(-ENDS)];
  const texts = await Promise.all(parts.map(async (part) => new TextDecoder('latin1').decode(await part.arrayBuffer())));
  return texts.some(is);
}

/** Whether an MP4 file says that its frames are encrypted (ISO/IEC 14496-12, 8.12). */
const isEncrypted = (file) => ends(file, (text) => text.includes('encv') && text.includes('sinf'));

/** Whether a file has tracks of text, by their handlers in MP4 and by their codecs in Matroska: mediabunny reads none. */
const hasText = (file) => ends(file, (text) => /hdlr\0{8}(sbtl|text|subt|clcp)|S_(TEXT|HDMV|VOBSUB|DVBSUB|KATE)|D_WEBVTT/.test(text));

/** Opens a file; whoever has the film closes it. */
export async function openFilm(file) {
  if (file.size === 0) throw new Said('empty');
  const type = await animatedType(file);
  if (type) return Animation.open(file, type);
  return Film.open(file);
}

/** The media type of an image file that may be animated; null for others. */
async function animatedType(file) {
  const bytes = new Uint8Array(await file.slice(0, 16).arrayBuffer());
  const text = String.fromCharCode(...bytes);
  if (text.startsWith('GIF8')) return 'image/gif';
  if (text.startsWith('\x89PNG')) return 'image/png';
  return text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP' ? 'image/webp' : null;
}

/**
 * A frame's pixels as the network takes them: `data` in planes without gaps, and how they are to be understood. `told` is what the result says of
 * its colours.
 */
export async function pixelsOf(frame, made) {
  const { visibleRect: rect, colorSpace } = frame;
  const { width, height } = rect;
  const { primaries, transfer, matrix, fullRange } = colorSpace;
  const known = MATRICES.includes(matrix ?? guessed(rect));
  const planar = known && /^(I4|NV12)/.test(frame.format ?? '');
  if (planar) {
    const data = new Uint8Array(frame.allocationSize({ rect }));
    await frame.copyTo(data, { rect });
    const meant = matrix ?? guessed(rect);
    // The result may be so large that players would take it for something else.
    const says = matrix ?? (guessed(rect) === guessed(made) ? null : meant);
    const told = { primaries, transfer, matrix: says, fullRange: fullRange ?? false };
    return { data, width, height, format: frame.format, matrix: meant, full: Boolean(fullRange), told };
  }
  // Of other kinds the browser knows how to make what screens show.
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(frame, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const told = { primaries: 'bt709', transfer: 'iec61966-2-1', matrix: 'bt709', fullRange: false };
  return { data: new Uint8Array(data.buffer), width, height, format: 'RGBA', matrix: 'bt709', full: false, told };
}

/** A video in a container. */
class Film {
  #input;
  #track;

  static async open(file) {
    if (!globalThis.VideoDecoder || !globalThis.VideoEncoder) throw new Said('video-no-browser');
    const encrypted = () => { throw new Said('video-encrypted'); };
    const input = new Input({
      source: new BlobSource(file, { handleUnhandledError: () => {} }),
      formats: ALL_FORMATS,
      formatOptions: { isobmff: { resolveKeyId: encrypted } },
    });
    const film = new Film();
    film.#input = input;
    try {
      await film.#read();
      if (await hasText(file)) film.notes.push(said('video-text-left-out'));
      return film;
    } catch (error) {
      film.close();
      throw await isEncrypted(file) ? new Said('video-encrypted') : unread(error);
    }
  }

  async #read() {
    const input = this.#input;
    const format = await input.getFormat().catch(() => null);
    if (!format) throw new Said('video-unread');
    const tracks = await input.getTracks();
    const track = await input.getPrimaryVideoTrack();
    if (!track) throw new Said(tracks.length > 0 ? 'video-sound-only' : 'video-no-frames');
    const known = CONTAINERS[format.name] ?? null;
    this.#track = track;
    const codec = await track.getCodec();
    const first = await new EncodedPacketSink(track).getFirstPacket();
    if (!first) throw new Said('video-no-frames');
    const config = await track.getDecoderConfig();
    const name = codec ? codecName(codec) : String(await track.getInternalCodecId());
    if (!config) throw new Said('video-codec', { codec: name });
    const support = await VideoDecoder.isConfigSupported(config).catch(() => ({ supported: false }));
    if (!support.supported) throw new Said('video-codec', { codec: name });
    const stats = await track.computePacketStats(COUNTED);
    const sample = await new VideoSampleSink(track).getSample(first.timestamp);
    const { width, height } = sample?.visibleRect ?? { width: await track.getCodedWidth(), height: await track.getCodedHeight() };
    const format10 = /P1[02]$/.test(sample?.format ?? '');
    sample?.close();
    const aspect = aspectOf(await track.getCodedWidth(), await track.getSquarePixelWidth(), await track.getCodedHeight(), await track.getSquarePixelHeight());
    const begin = await track.getFirstTimestamp();
    const end = await track.getDurationFromMetadata() ?? await track.computeDuration();
    const deep = format10 || DEEP.test(config.codec) || await track.hasHighDynamicRange();
    this.resolution = await track.getTimeResolution();
    // What is known by names of its own; the rest is of one kind of container.
    const { raw, ...tags } = await input.getMetadataTags().catch(() => ({}));
    this.tags = tags;
    this.sounds = [];
    this.notes = deep ? [said('video-reduced')] : [];
    for (const sound of await input.getAudioTracks()) {
      const its = await sound.getCodec();
      const decoderConfig = its && await sound.getDecoderConfig();
      if (decoderConfig) this.sounds.push({ track: sound, codec: its, decoderConfig });
      else {
        const kind = its ?? await sound.getInternalCodecId();
        this.notes.push(said('video-sound-left-out', { codec: `${kind}` }));
      }
    }
    this.about = {
      container: known,
      // Others say only when all of their tracks end.
      tellsEnd: ['mp4', 'mov'].includes(known),
      codec: name,
      width,
      height,
      pixelAspect: aspect.num / aspect.den,
      aspect,
      rotation: await track.getRotation(),
      flip: await track.getFlip(),
      begin,
      end: Math.max(end, begin),
      rate: stats.averagePacketRate || 1,
      frames: stats.packetCount < COUNTED ? stats.packetCount : Math.round(stats.averagePacketRate * (end - begin)),
      soundRate: await this.#soundRate(),
      sound: this.sounds.length > 0,
    };
    this.track = {
      languageCode: await track.getLanguageCode(),
      name: await track.getName() ?? undefined,
      disposition: await track.getDisposition(),
    };
  }

  /** Bits of sound in a second. */
  async #soundRate() {
    const rates = await Promise.all(this.sounds.map(async ({ track }) => (await track.computePacketStats(COUNTED)).averageBitrate));
    return rates.reduce((sum, rate) => sum + rate, 0);
  }

  /** The frame that is shown at a time, on a canvas as it is shown, no larger than `most` pixels a side; and its own time. */
  async at(time, most = Infinity) {
    try {
      const sink = new VideoSampleSink(this.#track);
      const sample = await sink.getSample(Math.max(time, this.about.begin)) ?? await sink.getSample(this.about.begin);
      if (!sample) throw new Said('video-no-frames');
      const { displayWidth, displayHeight, timestamp } = sample;
      const share = Math.min(1, most / Math.max(displayWidth, displayHeight));
      const canvas = new OffscreenCanvas(Math.max(1, Math.round(share * displayWidth)), Math.max(1, Math.round(share * displayHeight)));
      sample.draw(canvas.getContext('2d'), 0, 0, canvas.width, canvas.height);
      sample.close();
      return { canvas, time: timestamp };
    } catch (error) {
      throw unread(error);
    }
  }

  /** Yields `{ frame, timestamp, duration }` of frames from one time until before another one, in seconds; whoever takes a frame closes it. */
  async* frames(from, to) {
    const sink = new EncodedPacketSink(this.#track);
    const times = new Map();
    const ready = [];
    let wake = () => {};
    let failed = null;
    let last = from;
    const decoder = new VideoDecoder({
      output: (frame) => { ready.push(frame); wake(); },
      error: (error) => { failed = error; wake(); },
    });
    decoder.addEventListener('dequeue', () => wake());
    const something = () => new Promise((resolve) => { wake = resolve; });
    // What decoders give back is of whole microseconds; the container's own times are kept beside it.
    const taken = function* taken() {
      while (ready.length > 0) {
        const frame = ready.shift();
        const time = times.get(frame.timestamp) ?? { timestamp: frame.timestamp / 1e6, duration: (frame.duration ?? 0) / 1e6 };
        times.delete(frame.timestamp);
        last = time.timestamp;
        if (time.timestamp < from - SAME || time.timestamp + time.duration <= 0) frame.close();
        else if (time.timestamp > to - SAME) {
          frame.close();
          return true;
        } else yield { frame, ...time };
      }
      if (failed) throw failed;
      return false;
    };
    try {
      decoder.configure(await this.#track.getDecoderConfig());
      const start = from > this.about.begin ? await sink.getKeyPacket(from, { verifyKeyPackets: true }) : null;
      for await (const packet of sink.packets(start ?? await sink.getFirstPacket() ?? undefined)) {
        if (packet.type === 'key' && packet.timestamp > to - SAME) break;
        if (yield* taken()) return;
        while (decoder.decodeQueueSize >= AHEAD && ready.length === 0 && !failed) await something();
        if (yield* taken()) return;
        const { timestamp, duration } = packet;
        // Durations stand in the order of decoding, where the last of them may be that of another frame.
        const left = this.about.tellsEnd && this.about.end > timestamp ? this.about.end - timestamp : Infinity;
        times.set(packet.microsecondTimestamp, { timestamp, duration: Math.min(duration, left) });
        decoder.decode(packet.toEncodedVideoChunk());
      }
      let over = false;
      const flushed = decoder.flush().catch((error) => { failed ??= error; }).finally(() => { over = true; wake(); });
      for (;;) {
        if (yield* taken()) return;
        if (over && ready.length === 0) break;
        if (ready.length === 0 && !over) await something();
      }
      await flushed;
      if (yield* taken()) return;
    } catch (error) {
      throw error instanceof Said ? error : new Said('video-decoder', { time: last.toFixed(2), why: error?.message ?? String(error) });
    } finally {
      ready.forEach((frame) => frame.close());
      if (decoder.state !== 'closed') decoder.close();
    }
  }

  close() {
    this.#input.dispose();
  }
}

/** An animated image. */
class Animation {
  #decoder;
  /** When each frame begins, and how long it is seen. */
  #times = [];

  static async open(file, type) {
    if (!globalThis.ImageDecoder || !globalThis.VideoEncoder) throw new Said('video-no-browser');
    const film = new Animation();
    const decoder = new ImageDecoder({ data: file.stream(), type });
    film.#decoder = decoder;
    try {
      await decoder.tracks.ready;
      await decoder.completed;
      await film.#read();
      return film;
    } catch (error) {
      decoder.close();
      throw unread(error);
    }
  }

  async #read() {
    const count = this.#decoder.tracks.selectedTrack?.frameCount ?? 0;
    if (count === 0) throw new Said('video-no-frames');
    let [end, width, height, clear] = [0, 0, 0, false];
    for (let i = 0; i < count; i++) {
      const frame = await this.#image(i);
      // What is to be shown for no time is shown as browsers do.
      const duration = (frame.duration || 100_000) / 1e6;
      this.#times.push({ timestamp: end, duration });
      end += duration;
      [width, height] = [frame.displayWidth, frame.displayHeight];
      clear ||= /A$/.test(frame.format ?? '') && i === 0 && await this.#isClear(frame);
      frame.close();
    }
    this.resolution = 1e6;
    this.tags = {};
    this.sounds = [];
    this.notes = clear ? [said('video-opaque')] : [];
    this.track = {};
    this.about = {
      container: null, codec: null, width, height, pixelAspect: 1, aspect: { num: 1, den: 1 }, rotation: 0, flip: false, begin: 0, end,
      rate: count / end, frames: count, soundRate: 0, sound: false, tellsEnd: true,
    };
  }

  async #image(frameIndex) {
    return (await this.#decoder.decode({ frameIndex, completeFramesOnly: true })).image;
  }

  /** Whether some of a frame is transparent. */
  async #isClear(frame) {
    const data = new Uint8Array(frame.allocationSize({ format: 'RGBA' }));
    await frame.copyTo(data, { format: 'RGBA' });
    return data.some((value, i) => i % 4 === 3 && value < 255);
  }

  async at(time, most = Infinity) {
    const found = this.#times.findLastIndex(({ timestamp }) => timestamp <= time + SAME);
    const index = Math.max(found, 0);
    const frame = await this.#image(index);
    const share = Math.min(1, most / Math.max(frame.displayWidth, frame.displayHeight));
    const canvas = new OffscreenCanvas(Math.max(1, Math.round(share * frame.displayWidth)), Math.max(1, Math.round(share * frame.displayHeight)));
    canvas.getContext('2d').drawImage(frame, 0, 0, canvas.width, canvas.height);
    frame.close();
    return { canvas, time: this.#times[index].timestamp };
  }

  async* frames(from, to) {
    for (const [i, time] of this.#times.entries()) {
      if (time.timestamp < from - SAME) continue;
      if (time.timestamp > to - SAME) return;
      yield { frame: await this.#image(i), ...time };
    }
  }

  close() {
    this.#decoder.close();
  }
}
