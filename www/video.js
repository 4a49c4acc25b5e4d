// Which files are videos. What enlarges them is loaded when one is given.

/** What containers are called, those that are not read too: they are told so. */
const VIDEO = /\.(mp4|m4v|mov|qt|webm|mkv|avi|wmv|flv|mpe?g|m2ts|mts|3gp|ogv)$/i;

export const isVideo = ({ type, name }) => type.startsWith('video/') || (VIDEO.test(name) && !type.startsWith('image/'));

/** Bytes in which the headers of an animated image are. */
const HEAD = 1 << 16;

/** Whether an image file has several frames that follow one another, as far as the browser tells. */
export async function isAnimated(file) {
  const text = new TextDecoder('latin1').decode(await file.slice(0, HEAD).arrayBuffer());
  const type = text.startsWith('GIF8') ? 'image/gif'
    : text.slice(1, 4) === 'PNG' && text.includes('acTL') ? 'image/png'
      : /^RIFF....WEBPVP8X/s.test(text) && text.includes('ANIM') ? 'image/webp' : null;
  if (!type || !globalThis.ImageDecoder || !globalThis.VideoEncoder) return false;
  const decoder = new ImageDecoder({ data: file.stream(), type });
  try {
    await decoder.tracks.ready;
    await decoder.completed;
    return (decoder.tracks.selectedTrack?.frameCount ?? 0) > 1;
  } catch {
    return false; // whoever reads it says what is wrong
  } finally {
    decoder.close();
  }
}

/** The name of the video at work, for the next visit. */
const AT_WORK = 'asasr-video-at-work';

/** Keeps the name of the video at work; null when none is. */
export function atWork(name) {
  try {
    if (name === null) localStorage.removeItem(AT_WORK);
    else localStorage.setItem(AT_WORK, name);
  } catch { /* then nothing is told of it */ }
}

/** The name of the video that was at work when the page was closed; null where none was, or another tab is at work. */
export async function interruptedName() {
  try {
    const { held } = await navigator.locks.query();
    return held.some(({ name }) => name.startsWith('asasr-videos/')) ? null : localStorage.getItem(AT_WORK);
  } catch {
    return null;
  }
}
