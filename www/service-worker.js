// Keeps the page and its model for use without a network.
//
// A build is one set of files, known by their sha256: what is served beside each other belongs together, or is not served
// at all. `cargo xtask page` fills the build in; without it (`trunk serve`) this worker does nothing.

/** @type {?{ version: string, files: Record<string, string>, later: string[] }} */
const BUILD = null;

const PAGE = `asasr-page-${BUILD?.version}`;
const MODELS = 'asasr-models';

const base = new URL('./', self.location);
const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const sha256 = async (response) => hex(await crypto.subtle.digest('SHA-256', await response.clone().arrayBuffer()));

/** The build's file at an address; null for an address that is not of the build. */
function fileAt(url) {
  if (url.origin !== base.origin || !url.pathname.startsWith(base.pathname)) return null;
  const path = url.pathname.slice(base.pathname.length) || 'index.html';
  return path in BUILD.files ? path : null;
}

/** A file of the build, kept from before or fetched and checked. */
async function ofBuild(path) {
  const cache = await caches.open(PAGE);
  const url = new URL(path, base).href;
  const kept = await cache.match(url);
  if (kept) return kept;
  const response = await fetch(url, { cache: 'no-cache' });
  if (!response.ok || await sha256(response) !== BUILD.files[path]) {
    // The server has another build by now: this one is complete without it, or ends here.
    self.registration.update().catch(() => {});
    return Response.error();
  }
  // A copy without the redirects that a server may have made of it. A full disk costs the copy, not the page.
  await cache.put(url, new Response(response.clone().body, { headers: response.headers })).catch(() => {});
  return response;
}

/** Weights under their hash never change; a manifest is asked for again while there is a network. */
async function ofModel(request) {
  const cache = await caches.open(MODELS);
  const url = new URL(request.url);
  // A signature's address has the hash of what it signs.
  const signature = url.pathname.endsWith('.sig');
  const hash = signature ? null : url.searchParams.get('sha256');
  if (hash) {
    const kept = await cache.match(url.href);
    if (kept) return kept;
  }
  let response;
  try {
    response = await fetch(request);
  } catch (error) {
    const kept = await cache.match(url.href);
    if (kept) return kept;
    throw error;
  }
  if (!response.ok) return await cache.match(url.href) ?? response;
  if (hash ? await sha256(response) === hash : signature || await isManifest(response)) {
    // The weights of before are not asked for again; these may have been kept a moment ago.
    const versions = hash ? await cache.keys(url.href, { ignoreSearch: true }) : [];
    await Promise.all(versions.filter((old) => old.url !== url.href).map((old) => cache.delete(old)));
    await cache.put(url.href, response.clone()).catch(() => {});
  }
  return response;
}

/** Whether an answer is a manifest, and not a page that a network puts in everybody's way. */
const isManifest = (response) => response.clone().json().then((json) => typeof (json.sha256 ?? json.networks?.restorer?.sha256 ?? json.networks?.community?.sha256) === 'string', () => false);

const isModel = (url) => url.origin === base.origin && url.pathname.includes('/v1/models/');

/** Files that another program shares with the page: kept until it is there to take them. */
async function shared(request) {
  const files = (await request.formData()).getAll('photos').filter((each) => each instanceof File);
  const cache = await caches.open('asasr-shared');
  await Promise.all(files.map((file, i) => {
    const address = new URL(`share/${i}/${encodeURIComponent(file.name)}`, base);
    return cache.put(address, new Response(file, { headers: { 'content-type': file.type } }));
  }));
  return Response.redirect(base.href, 303);
}

if (BUILD) {
  self.addEventListener('install', (event) => {
    // Modules for a device are kept when it uses them.
    const now = Object.keys(BUILD.files).filter((path) => !BUILD.later.includes(path));
    event.waitUntil(Promise.all(now.map(async (path) => {
      const response = await ofBuild(path);
      if (!response.ok) throw new Error(`${path} is of another build`);
    })));
  });

  self.addEventListener('activate', (event) => {
    event.waitUntil((async () => {
      const old = (await caches.keys()).filter((name) => name.startsWith('asasr-page-') && name !== PAGE);
      await Promise.all(old.map((name) => caches.delete(name)));
      await self.clients.claim();
    })());
  });

  self.addEventListener('fetch', (event) => {
    const url = new URL(event.request.url);
    if (event.request.method === 'POST' && url.href === new URL('share', base).href) event.respondWith(shared(event.request));
    if (event.request.method !== 'GET') return;
    if (isModel(url)) event.respondWith(ofModel(event.request));
    else {
      const path = fileAt(url);
      if (path) event.respondWith(ofBuild(path));
    }
  });

  self.addEventListener('message', (event) => {
    if (event.data === 'take over') {
      // Another page of the old build would get files of this one.
      event.waitUntil((async () => {
        const pages = await self.clients.matchAll({ includeUncontrolled: true, type: 'window' });
        // Other sites may share the origin.
        if (pages.filter(({ url }) => url.startsWith(base.href)).length <= 1) await self.skipWaiting();
        else event.source.postMessage('close the others');
      })());
    }
    if (event.data?.keep) {
      // What the page loaded before this worker was there.
      event.waitUntil((async () => {
        const kept = await Promise.all(event.data.keep.map(async (address) => {
          const url = new URL(address);
          const path = fileAt(url);
          if (isModel(url)) {
            await ofModel(new Request(url));
            return (await caches.open(MODELS)).match(url.href);
          }
          if (!path) return true; // of another origin, which the browser may keep or not
          await ofBuild(path);
          return (await caches.open(PAGE)).match(url.href);
        }));
        if (kept.every(Boolean)) event.source.postMessage('kept');
      })());
    }
  });
}
