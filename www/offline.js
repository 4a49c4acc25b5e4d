// The page without a network, and its updates.

import { text } from './texts.js';

/**
 * Registers the service worker and says on `line` what there is to know; `loaded()` resolves to the addresses that are to be kept,
 * `busy` tells whether work would be lost. */
export async function keepOffline(line, loaded, busy) {
  const service = navigator.serviceWorker;
  if (!service) return; // not a secure context, or forbidden
  const say = (...parts) => { line.replaceChildren(...parts); line.hidden = false; };
  let asked = false;
  let offered = false;
  service.addEventListener('message', ({ data }) => {
    if (data === 'kept') {
      if (!offered) {
        line.dataset.text = 'offlineReady'; // in every language
        say(text('offlineReady'));
      }
      document.body.dataset.offline = 'yes';
    }
    if (data === 'close the others') {
      line.prepend(text('closeOthers'), ' ');
    }
  });
  service.addEventListener('controllerchange', () => { if (asked) location.reload(); });
  try {
    const registration = await service.register('service-worker.js');
    const offer = (worker) => {
      const button = Object.assign(document.createElement('button'), { type: 'button', className: 'quiet', textContent: text('reload') });
      button.addEventListener('click', () => {
        if (busy()) {
          line.prepend(text('busy'), ' ');
          return;
        }
        asked = true;
        worker.postMessage('take over');
      });
      offered = true;
      delete line.dataset.text;
      button.dataset.text = 'reload'; // in every language
      const told = Object.assign(document.createElement('span'), { textContent: text('update') });
      told.dataset.text = 'update';
      say(told, ' ', button);
      document.body.dataset.update = 'yes';
    };
    // A worker that waits beside an active one is a newer build.
    const watch = (worker) => worker?.addEventListener('statechange', () => {
      if (worker.state === 'installed' && registration.active) offer(worker);
    });
    if (registration.waiting) offer(registration.waiting);
    watch(registration.installing);
    registration.addEventListener('updatefound', () => watch(registration.installing));
    const { active } = await service.ready;
    // The page itself was kept when the worker was installed.
    active.postMessage({ keep: await loaded() });
  } catch { /* private windows and the like: the page works all the same */ }
}
