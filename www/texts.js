// Every text of the page, in each language. English stands in index.html too, for readers without scripts.

const en = {
  title: 'ASASR – enlarge photos, invent nothing',
  tagline: 'Enlarge photos without inventing detail. They stay on this device.',
  language: 'Language',
  drop: 'Drop photos or a folder here',
  choose: 'Choose photos',
  chooseFolder: 'Choose a folder',
  hint: 'Or paste one. PNG, JPEG, WebP, AVIF, GIF or BMP, up to 16 megapixels each',
  options: 'Options for the next photos',
  model: 'The photos are',
  clean: 'clean',
  real: 'noisy or compressed',
  size: 'Size',
  format: 'Save as',
  quality: 'Quality',
  carry: 'Keep colour profile and EXIF data',
  photos: 'Photos',
  downloadAll: 'Download all ({count}) as zip',
  cancelAll: 'Cancel all',
  clear: 'Clear the list',
  cancel: 'Cancel',
  cancelOf: 'Cancel {name}',
  remove: 'Remove',
  removeOf: 'Remove {name}',
  retry: 'Try again',
  retryOf: 'Try {name} again',
  download: 'Download',
  downloadOf: 'Download {name}',
  show: 'Show {name}',
  waiting: 'waiting',
  waitingAbout: 'waiting, takes about {time}',
  preparing: 'preparing…',
  tile: 'tile {done} of {total}',
  tileLeft: 'tile {done} of {total}, about {time} left',
  saving: 'saving…',
  done: '{width} × {height} pixels in {time}',
  failed: 'failed: {message}',
  cancelled: 'cancelled',
  seconds: '{n} s',
  minutes: '{n} min',
  announceStart: 'Enlarging {name}',
  announceDone: '{name} is done',
  announceFailed: '{name} failed: {message}',
  result: 'Result',
  trust: 'Where it departs from the original',
  consistency: 'Made small again, the result meets the original to {psnr} dB. Red marks where it does not; look there before you trust text or a face.',
  exact: 'Made small again, the result is the original, bit for bit.',
  compare: 'Compare',
  slider: 'Slider',
  beside: 'Side by side',
  hold: 'Hold to see the original',
  zoomIn: 'Closer',
  zoomOut: 'Farther',
  fit: 'Fit',
  pixels: 'Pixels',
  stage: 'Comparison of {name}. Arrow keys move, plus and minus zoom, 0 fits, 1 shows pixels, H shows the original while held.',
  divider: 'Divider between the original and the result',
  before: 'Original',
  after: 'Result',
  deviceSearch: 'Looking for a device…',
  device: 'Runs on: {where}',
  notReady: 'Not ready.',
  offlineReady: 'Works offline now.',
  update: 'A new version is here.',
  reload: 'Reload',
  busy: 'Photos are still being enlarged: wait, or cancel them.',
  closeOthers: 'Close the other tabs of this page first, then reload.',
  noImages: 'There is no image in what was given.',
  badQuery: '?{key}={value} is unknown: use {choices}',
  badModel: '?model={value} is no model\'s name: the server lists them under v1/models',

};

const de = {
  title: 'ASASR – Fotos vergrößern, nichts erfinden',
  tagline: 'Vergrößert Fotos, ohne Einzelheiten zu erfinden. Sie bleiben auf diesem Gerät.',
  language: 'Sprache',
  drop: 'Fotos oder einen Ordner hierher ziehen',
  choose: 'Fotos auswählen',
  chooseFolder: 'Ordner auswählen',
  hint: 'Oder einfügen. PNG, JPEG, WebP, AVIF, GIF oder BMP, je bis 16 Megapixel',
  options: 'Einstellungen für die nächsten Fotos',
  model: 'Die Fotos sind',
  clean: 'sauber',
  real: 'verrauscht oder komprimiert',
  size: 'Größe',
  format: 'Speichern als',
  quality: 'Qualität',
  carry: 'Farbprofil und EXIF-Daten behalten',
  photos: 'Fotos',
  downloadAll: 'Alle ({count}) als Zip herunterladen',
  cancelAll: 'Alle abbrechen',
  clear: 'Liste leeren',
  cancel: 'Abbrechen',
  cancelOf: '{name} abbrechen',
  remove: 'Entfernen',
  removeOf: '{name} entfernen',
  retry: 'Noch einmal',
  retryOf: '{name} noch einmal versuchen',
  download: 'Herunterladen',
  downloadOf: '{name} herunterladen',
  show: '{name} zeigen',
  waiting: 'wartet',
  waitingAbout: 'wartet, dauert etwa {time}',
  preparing: 'wird vorbereitet …',
  tile: 'Kachel {done} von {total}',
  tileLeft: 'Kachel {done} von {total}, noch etwa {time}',
  saving: 'wird gespeichert …',
  done: '{width} × {height} Pixel in {time}',
  failed: 'gescheitert: {message}',
  cancelled: 'abgebrochen',
  seconds: '{n} s',
  minutes: '{n} min',
  announceStart: '{name} wird vergrößert',
  announceDone: '{name} ist fertig',
  announceFailed: '{name} ist gescheitert: {message}',
  result: 'Ergebnis',
  trust: 'Wo es vom Original abweicht',
  consistency: 'Wieder verkleinert trifft das Ergebnis das Original auf {psnr} dB. Rot ist, wo es das nicht tut; dorthin schauen, ehe man Schrift oder einem Gesicht traut.',
  exact: 'Wieder verkleinert ist das Ergebnis Bit für Bit das Original.',
  compare: 'Vergleichen',
  slider: 'Schieber',
  beside: 'Nebeneinander',
  hold: 'Halten zeigt das Original',
  zoomIn: 'Näher',
  zoomOut: 'Ferner',
  fit: 'Einpassen',
  pixels: 'Pixel',
  stage: 'Vergleich von {name}. Pfeiltasten bewegen, Plus und Minus zoomen, 0 passt ein, 1 zeigt Pixel, H zeigt das Original, solange es gedrückt ist.',
  divider: 'Grenze zwischen Original und Ergebnis',
  before: 'Original',
  after: 'Ergebnis',
  deviceSearch: 'Ein Gerät wird gesucht …',
  device: 'Läuft auf: {where}',
  notReady: 'Nicht bereit.',
  offlineReady: 'Geht jetzt auch ohne Netz.',
  update: 'Eine neue Fassung ist da.',
  reload: 'Neu laden',
  busy: 'Es werden noch Fotos vergrößert: warten oder abbrechen.',
  closeOthers: 'Zuerst die anderen Fenster dieser Seite schließen, dann neu laden.',
  noImages: 'Darin ist kein Bild.',
  badQuery: '?{key}={value} ist unbekannt: möglich sind {choices}',
  badModel: '?model={value} ist kein Name eines Modells: der Server nennt sie unter v1/models',

};

export const languages = { en, de };

let current = 'en';

/** The language in use. */
export const language = () => current;

/** The text of `key` with its `{places}` filled. */
export function text(key, values = {}) {
  return languages[current][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** A number for a reader, with so many digits after its point or comma. */
export const number = (value, digits) => new Intl.NumberFormat(current, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

/** Seconds for a reader. */
export const duration = (seconds) => (seconds < 90
  ? text('seconds', { n: number(seconds, seconds < 10 ? 1 : 0) })
  : text('minutes', { n: number(seconds / 60, 0) }));

/** Takes a language, or the reader's own where it is known, and puts the texts of `data-text` and `data-label` in place. */
export function speak(wanted) {
  const known = [wanted, ...navigator.languages].map((l) => l?.slice(0, 2)).find((l) => l in languages);
  current = known ?? 'en';
  document.documentElement.lang = current;
  document.title = text('title');
  for (const element of document.querySelectorAll('[data-text]')) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll('[data-label]')) element.setAttribute('aria-label', text(element.dataset.label));
}
