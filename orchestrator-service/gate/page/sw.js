// Keeps the page's own files, so that it opens without network. Calls of the service are not touched.
const name = 'gate-1';
const files = ['gate', ...['app', 'api', 'camera', 'device', 'rules', 'store', 'totp', 'decode', 'index'].map((f) => `gate/${f}.js`), 'gate/style.css', 'gate/icon.svg'];
const base = new URL('..', self.location.href);
const urls = files.map((f) => new URL(f, base).href);

self.addEventListener('install', (e) => e.waitUntil(caches.open(name).then((c) => c.addAll(urls)).then(() => self.skipWaiting())));
self.addEventListener('activate', (e) => e.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (e) => {
  if (e.request.method !== 'GET' || !urls.includes(e.request.url)) return;
  e.respondWith(fetch(e.request).then((fresh) => {
    if (fresh.ok) {
      const copy = fresh.clone();
      e.waitUntil(caches.open(name).then((c) => c.put(e.request.url, copy)));
      return fresh;
    }
    return caches.match(e.request.url).then((kept) => kept || fresh);
  }).catch(() => caches.match(e.request.url)));
});
