// The result of a video: frames are encoded, and what is heard goes along as it is.

import {
  EncodedAudioPacketSource, EncodedPacket, EncodedPacketSink, EncodedVideoPacketSource, MkvOutputFormat, MovOutputFormat, Mp4OutputFormat,
  Output, StreamTarget, WebMOutputFormat,
} from './mediabunny.js';
import { CODECS, encoderConfig } from './video-codecs.js';
import { Said } from './said.js';

/** Frames that wait for an encoder, and packets that wait for the file. */
const AHEAD = 3;
/** Seconds after which a frame is whole again, so that players can jump there. */
const WHOLE = 4;

const FORMATS = {
  mp4: () => new Mp4OutputFormat({ fastStart: false }),
  mov: () => new MovOutputFormat({ fastStart: false }),
  webm: () => new WebMOutputFormat(),
  mkv: () => new MkvOutputFormat(),
};

/** The container for each codec: the film's own where it takes that and the sound, or one that does. */
export function containersFor({ about: { container }, sounds }) {
  const takes = (name, codec) => {
    const supported = FORMATS[name]().getSupportedCodecs();
    return [codec, ...sounds.map((sound) => sound.codec)].every((each) => supported.includes(each));
  };
  return Object.fromEntries(Object.keys(CODECS).map((codec) => [
    codec, [container ?? 'mp4', 'mp4', 'mkv'].find((name) => takes(name, codec)) ?? 'mkv',
  ]));
}

/** Brings planes of the whole range, of which the first has so many samples, into the range that videos mostly have (ITU-T H.273). */
function narrow(data, luma) {
  const table = (offset, factor, middle) => Uint8Array.from({ length: 256 }, (_, v) => Math.round(offset + (v - middle) * factor / 255));
  const [bright, colour] = [table(16, 219, 0), table(128, 224, 128)];
  for (let i = 0; i < luma; i++) data[i] = bright[data[i]];
  for (let i = luma; i < data.length; i++) data[i] = colour[data[i]];
}

/** Whether two descriptions of packets belong to one stream. */
function isSame(one, other) {
  const bytes = ({ description }) => [...new Uint8Array(description?.buffer ?? description ?? [], description?.byteOffset ?? 0, description?.byteLength ?? 0)].join();
  return one.codec === other.codec && bytes(one) === bytes(other);
}

/** The file of a result. */
export class Result {
  #film;
  #wish;
  #place;
  #output;
  #video;
  #encoder;
  #sounds;
  #times = new Map();
  #told = null;
  /** What the encoder said of its packets first. */
  #config = null;
  #failed = null;
  /** What is written, one after the other, and how much of it waits. */
  #written = Promise.resolve();
  #waiting = 0;
  #wake = () => {};
  #origin = null;
  #lastWhole = -Infinity;
  /** When the last frame ends, in the film's time. */
  #end = 0;
  frames = 0;
  /** Frames that are in the file. */
  written = 0;
  /** Of the packets that are in the file. */
  bytes = 0;

  #journal;

  /** Begins one of a film; `wish` has its codec, size, quality and container, and whether it is of a part. Its packets go into a journal too. */
  static async begin(film, wish, place, journal) {
    const result = new Result();
    result.#journal = journal;
    result.#film = film;
    result.#wish = wish;
    result.#place = place;
    await result.#begin();
    return result;
  }

  async #begin() {
    const { about, resolution, sounds, tags, track } = this.#film;
    const { codec, container } = this.#wish;
    const output = new Output({
      format: FORMATS[container](),
      target: new StreamTarget(this.#place.stream, { chunked: true, chunkSize: this.#place.part }),
    });
    this.#output = output;
    this.#video = new EncodedVideoPacketSource(codec);
    const { rotation, flip } = about;
    // In these files times are multiples of a fraction of a second: that of the film's. In others they are milliseconds.
    const ticks = ['mp4', 'mov'].includes(container) ? { frameRate: resolution } : {};
    output.addVideoTrack(this.#video, { rotation, flip, ...track, ...ticks });
    this.#sounds = [];
    for (const { track: from, codec: its, decoderConfig } of sounds) {
      const source = new EncodedAudioPacketSource(its);
      output.addAudioTrack(source, {
        languageCode: await from.getLanguageCode(),
        name: await from.getName() ?? undefined,
        disposition: await from.getDisposition(),
      });
      this.#sounds.push({ source, decoderConfig, packets: new EncodedPacketSink(from).packets(), next: null, over: false });
    }
    if (Object.keys(tags).length > 0) output.setMetadataTags(tags);
    await output.start();
    this.#encoder = new VideoEncoder({
      output: (chunk, meta) => this.#put(chunk, meta),
      error: (error) => this.#fail(new Said('video-encoder', { why: error.message })),
    });
    this.#encoder.addEventListener('dequeue', () => this.#wake());
    this.#encoder.configure(encoderConfig(this.#wish, about.rate));
  }

  /**
   * Takes the packets of an interrupted run, whose journal has this head; resolves to the film's time of the last. The encoder begins anew behind
   * them: the packets go on where it describes itself as before.
   */
  async restore({ origin, told, decoderConfig }, packets) {
    [this.#origin, this.#told, this.#config] = [origin, told, decoderConfig];
    let last = null;
    for (const { timestamp, duration, type, data } of packets) {
      await this.#video.add(new EncodedPacket(data, type, timestamp, duration), last === null ? { decoderConfig } : undefined);
      await this.#sound(timestamp + duration, Infinity);
      last = timestamp + origin;
      this.#end = last + duration;
      this.bytes += data.length;
      this.written += 1;
    }
    this.frames = this.written;
    return last;
  }

  #fail(error) {
    this.#failed ??= error;
    this.#wake();
  }

  /** Takes the planes of a frame, I420, as it is `told`; resolves when there is room for another one. */
  async add(data, told, { timestamp, duration }) {
    const { width, height } = this.#wish.size;
    // Others than H.264 do not say it in their own bits, or browsers do not let them.
    if (told.fullRange && this.#wish.codec !== 'avc') {
      narrow(data, width * height);
      told = { ...told, fullRange: false };
    }
    this.#told ??= told;
    this.#origin ??= this.#wish.part ? timestamp : 0;
    this.#end = timestamp + duration;
    const at = Math.round((timestamp - this.#origin) * 1e6);
    this.#times.set(at, { timestamp: timestamp - this.#origin, duration });
    const frame = new VideoFrame(data, {
      format: 'I420', codedWidth: width, codedHeight: height, timestamp: at, duration: Math.round(duration * 1e6), colorSpace: told,
    });
    const keyFrame = timestamp - this.#lastWhole >= WHOLE;
    if (keyFrame) this.#lastWhole = timestamp;
    try {
      if (this.#encoder.state === 'configured') this.#encoder.encode(frame, { keyFrame });
    } finally {
      frame.close();
    }
    this.frames += 1;
    while (!this.#failed && (this.#encoder.encodeQueueSize >= AHEAD || this.#waiting >= AHEAD)) {
      await new Promise((resolve) => { this.#wake = resolve; });
    }
    if (this.#failed) throw this.#failed;
  }

  /** An encoded frame goes into the file, behind the sound of its time. */
  #put(chunk, meta) {
    const data = new Uint8Array(chunk.byteLength);
    chunk.copyTo(data);
    const time = this.#times.get(chunk.timestamp) ?? { timestamp: chunk.timestamp / 1e6, duration: (chunk.duration ?? 0) / 1e6 };
    this.#times.delete(chunk.timestamp);
    const packet = new EncodedPacket(data, chunk.type, time.timestamp, time.duration);
    this.#waiting += 1;
    this.#written = this.#written.then(async () => {
      if (this.#failed) return;
      const described = this.#described(meta);
      const begins = described && this.#config === null;
      if (begins) this.#config = described.decoderConfig;
      else if (described && !isSame(described.decoderConfig, this.#config)) throw new Said('video-not-resumed');
      await this.#video.add(packet, begins ? described : undefined);
      if (begins) await this.#journal.begin({ ...this.#wish.journal, origin: this.#origin, told: this.#told, decoderConfig: this.#config });
      await this.#journal.add(packet);
      this.bytes += data.length;
      this.written += 1;
      await this.#sound(time.timestamp + time.duration, Infinity);
    }).catch((error) => this.#fail(error)).finally(() => {
      this.#waiting -= 1;
      this.#wake();
    });
  }

  /** What the encoder says of its packets, with the film's colours and the shape of its pixels. */
  #described(meta) {
    if (!meta?.decoderConfig) return undefined;
    const { width, height } = this.#wish.size;
    const { num, den } = this.#film.about.aspect;
    const shape = num === den ? {} : { displayAspectWidth: width * num, displayAspectHeight: height * den };
    return { decoderConfig: { ...meta.decoderConfig, codedWidth: width, codedHeight: height, ...shape, colorSpace: this.#told } };
  }

  /** Sound up to a time of the result goes along, unless it is beyond `end` in the film. */
  async #sound(until, end) {
    for (const sound of this.#sounds) {
      for (;;) {
        if (sound.over) break;
        sound.next ??= (await sound.packets.next()).value ?? null;
        const packet = sound.next;
        if (!packet) {
          sound.over = true;
          sound.source.close();
          break;
        }
        const timestamp = packet.timestamp - this.#origin;
        if (packet.timestamp >= end || timestamp > until) break;
        sound.next = null;
        if (this.#wish.part && timestamp < 0) continue;
        this.bytes += packet.byteLength;
        await sound.source.add(packet.clone({ timestamp }), { decoderConfig: sound.decoderConfig });
      }
    }
  }

  /** Ends the file: with all of the sound, or with that of the frames that are there; gives the error that the encoder ended by, if there is one. */
  async finish(all) {
    const { state } = this.#encoder;
    if (!this.#failed && state === 'configured') await this.#encoder.flush().catch((error) => this.#fail(new Said('video-encoder', { why: error.message })));
    await this.#written;
    try {
      // What failed once is not asked again.
      if (this.written > 0 && !this.#failed) await this.#sound(Infinity, all && !this.#wish.part ? Infinity : this.#end);
      await this.#output.finalize();
    } finally {
      await Promise.all(this.#sounds.map(({ packets }) => packets.return()));
      if (this.#encoder.state !== 'closed') this.#encoder.close();
      await this.#place.close();
    }
    return this.#failed;
  }

  /** Ends without a file. */
  async drop() {
    await this.#output.cancel().catch(() => {});
    if (this.#encoder.state !== 'closed') this.#encoder.close();
    await this.#place.close().catch(() => {});
  }
}
