// What a device keeps over a reload, or a night without power: one value a name, in IndexedDB.
const open = () => new Promise((resolve, reject) => {
  const r = indexedDB.open('gate', 1);
  r.onupgradeneeded = () => r.result.createObjectStore('kept');
  r.onsuccess = () => resolve(r.result);
  r.onerror = () => reject(r.error);
});

async function run(mode, act) {
  const db = await open();
  try {
    return await new Promise((resolve, reject) => {
      const t = db.transaction('kept', mode);
      const request = act(t.objectStore('kept'));
      t.oncomplete = () => resolve(request.result);
      t.onabort = () => reject(t.error);
    });
  } finally {
    db.close();
  }
}

export const load = (name) => run('readonly', (s) => s.get(name));
export const save = (name, value) => run('readwrite', (s) => s.put(value, name));
export const clear = () => run('readwrite', (s) => s.clear());
