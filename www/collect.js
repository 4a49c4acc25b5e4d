// Image files and videos out of what a person gives: chosen files, dropped files and folders, pasted images.

import { isVideo } from './video.js';

/** What other programs gave the page: files that the service worker kept, each once. */
export async function fromShares() {
  if (!globalThis.caches || !await caches.has('asasr-shared')) return [];
  const cache = await caches.open('asasr-shared');
  const files = await Promise.all((await cache.keys()).map(async (request) => {
    const blob = await (await cache.match(request)).blob();
    return new File([blob], decodeURIComponent(new URL(request.url).pathname.split('/').at(-1)), { type: blob.type });
  }));
  await caches.delete('asasr-shared');
  return files;
}

/** What we read, and what a browser may read or is named when it does not. */
const IMAGE = /\.(png|jpe?g|jfif|webp|gif|bmp|avif|jxl|hei[cf]|tiff?)$/i;

const isTaken = (file) => file.type.startsWith('image/') || IMAGE.test(file.name) || isVideo(file);

/** The folders of files that were found in one. */
const folders = new WeakMap();

/** The folder that a file lies in, from the one that was given on: `holiday/day 2/`; empty for a file that was given itself. */
export const folderOf = (file) => (folders.get(file) ?? file.webkitRelativePath ?? '').replace(/[^/]*$/, '');

/** The files of a folder's entry and of those below it, by name. */
async function below(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => { entry.file(resolve, reject); });
    folders.set(file, entry.fullPath.slice(1));
    return [file];
  }
  const reader = entry.createReader();
  const entries = [];
  for (;;) { // a reader gives a hundred at a time
    const part = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (part.length === 0) break;
    entries.push(...part);
  }
  entries.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  return (await Promise.all(entries.map(below))).flat();
}

/** The files of a list that a person named one by one: all of them, so that what is no image is told to be none. */
export const fromList = (files) => [...files];

/** The images and videos of a chosen folder. */
export const fromFolder = (files) => [...files].filter(isTaken);

/** The files of a drop or a paste; of folders only their images and videos. */
export async function fromTransfer(transfer) {
  // Entries can be asked for only while the event lasts.
  const items = [...(transfer.items ?? [])].filter((item) => item.kind === 'file');
  const entries = items.map((item) => [item.webkitGetAsEntry?.(), item.getAsFile()]);
  if (entries.length === 0) return [...transfer.files];
  const files = await Promise.all(entries.map(async ([entry, file]) => {
    if (entry?.isDirectory) return (await below(entry)).filter(isTaken);
    return file ? [file] : [];
  }));
  return files.flat();
}
