// The page's screens: log in, choose the event, and the door.
import { call, login, logout, session, Offline } from './api.js';
import * as camera from './camera.js';
import * as device from './device.js';
import { clear, load, save } from './store.js';

const $ = (id) => document.getElementById(id);
const at = { screen: 'login', event: null, hall: '', device: '', direction: 'IN', last: null, online: true };
let state = device.empty();

const words = { SUCCESS: 'Welcome', DUPLICATE: 'Already in', UNPAID: 'Not paid', NOT_FOUND: 'Not valid', WRONG_HALL: 'Wrong place', EXPIRED: 'Expired', ERROR: 'Try again' };
const tones = { SUCCESS: [880, 1320], ERROR: [220] };

function show(screen) {
  at.screen = screen;
  for (const s of ['login', 'choose', 'door']) $(s).hidden = s !== screen;
  $('leave').hidden = screen === 'login';
  $('title').textContent = screen === 'door' ? `${at.event.name} · ${at.hall || at.event.hall_id}` : 'Gate';
  $(screen).querySelector('input, select').focus();
}

const problem = (err) => { $(at.screen).querySelector('.error').textContent = err ? err.message : ''; };

function network(online) {
  at.online = online;
  $('network').hidden = online;
}

let audio;
function sound(result) {
  audio ??= new AudioContext();
  (tones[result] ?? [300, 220]).forEach((hz, i) => {
    const o = audio.createOscillator(), g = audio.createGain(), t = audio.currentTime + i * 0.13;
    o.frequency.value = hz;
    g.gain.setValueAtTime(0.2, t);
    g.gain.exponentialRampToValueAtTime(0.001, t + 0.12);
    o.connect(g).connect(audio.destination);
    o.start(t);
    o.stop(t + 0.13);
  });
  navigator.vibrate?.(result === 'SUCCESS' ? 60 : [120, 60, 120]);
}

function result(r) {
  $('result').dataset.result = r.result;
  $('word').textContent = r.result === 'SUCCESS' && at.direction === 'OUT' ? 'Goodbye' : words[r.result];
  $('message').textContent = r.message === $('word').textContent ? '' : r.message;
  $('detail').textContent = r.result === 'SUCCESS' ? [r.row_number && `Seat ${r.row_number}${r.seat_number}`, r.owner_name].filter(Boolean).join(' · ') : '';
  sound(r.result);
  if (r.result === 'SUCCESS' && at.direction === 'IN') at.last = r;
  $('undo').disabled = !at.last;
}

const failed = (err) => result({ result: 'ERROR', message: err.message });
const here = () => ({ now: Date.now(), hall: at.hall, device: at.device, direction: at.direction, scanId: crypto.randomUUID() });
const path = (rest) => `gate/${at.event.event_id}${rest}`;

async function keep() {
  $('pending').textContent = device.pending(state).length;
  await save('state', state);
}

// either asks the service, or decides here when it cannot be reached. One scan has one id, wherever it is decided.
async function either(online, offline) {
  if (at.online) {
    try {
      return await online();
    } catch (err) {
      if (!(err instanceof Offline)) throw err;
      network(false);
    }
  }
  if (!state.header) throw new Error('The service cannot be reached, and this device has no list of tickets yet');
  const r = await offline();
  await keep();
  return r;
}

let busy = Promise.resolve();
const inTurn = (act) => (busy = busy.then(act, act));

const scan = (text) => inTurn(async () => {
  const h = here();
  problem();
  try {
    const r = await either(
      () => call('POST', 'verify', { qr_payload: text, hall_id: at.hall || at.event.hall_id, event_id: at.event.event_id, device: at.device, scan_id: h.scanId, direction: at.direction }),
      () => device.scan(state, text, h));
    result(r);
    if (r.result === 'SUCCESS' && at.direction === 'IN') await party(r.seat_id);
    else $('party').hidden = true;
  } catch (err) {
    failed(err);
  }
  refresh();
});

// party shows what else the person has, after one of their tickets was let in.
async function party(seat) {
  const others = at.online ? (await call('GET', path(`/tickets?with=${seat}`)).catch(() => [])).filter((t) => t.seat_id !== seat && !(t.entered && !t.left)) : [];
  $('party').hidden = others.length === 0;
  $('party').querySelector('ul').replaceChildren(...others.map((t) => {
    const li = document.createElement('li'), label = document.createElement('label'), box = document.createElement('input');
    Object.assign(box, { type: 'checkbox', value: t.seat_id, checked: true });
    label.append(box, `Seat ${t.row_number}${t.seat_number}`);
    li.append(label);
    return li;
  }));
}

const admit = (seats, compact) => inTurn(async () => {
  problem();
  const h = here();
  try {
    const entries = seats.map((seat_id) => ({ seat_id, scan_id: crypto.randomUUID() }));
    const all = await either(
      () => call('POST', path('/entries'), { entries, hall_id: at.hall, device: at.device, direction: at.direction }),
      () => [device.byHand(state, compact, h)]);
    const refused = all.find((r) => r.result !== 'SUCCESS');
    result(refused ?? { ...all.at(-1), message: all.length > 1 ? `${all.length} tickets were let in` : all[0].message });
    $('party').hidden = true;
    $('found').replaceChildren();
  } catch (err) {
    failed(err);
  }
  refresh();
});

async function undo() {
  const last = at.last, why = $('why');
  why.returnValue = '';
  why.showModal();
  await new Promise((resolve) => { why.onclose = resolve; });
  if (why.returnValue !== 'yes') return;
  await inTurn(async () => {
    const reason = why.querySelector('input').value, undoId = crypto.randomUUID();
    try {
      const ownEntry = state.log.some((x) => x.scan_id === last.scan_id && !x.uploaded);
      const back = () => device.undo(state, last.seat_id, { now: Date.now(), device: at.device, scanId: undoId, reason });
      if (ownEntry) { back(); await keep(); } else await either(() => call('POST', path('/undo'), { seat_id: last.seat_id, scan_id: last.scan_id, undo_id: undoId, reason, device: at.device }), back);
      at.last = null;
      $('undo').disabled = true;
      $('result').dataset.result = '';
      $('word').textContent = 'Undone';
      $('message').textContent = 'The check-in was undone';
      $('detail').textContent = '';
    } catch (err) {
      failed(err);
    }
    $('code').code.focus();
  });
  refresh();
}

async function search(text) {
  problem();
  const q = text.trim();
  if (!q) return;
  const kind = q.includes('@') ? 'email' : /^[0-9a-f-]{36}$/i.test(q) ? 'order' : /^[A-Za-z]{1,4}[ -]?[0-9]+$/.test(q) ? 'seat' : 'email';
  try {
    const found = await either(() => call('GET', path(`/tickets?${new URLSearchParams({ [kind]: q })}`)),
      () => device.find(state, q).map((t) => ({ ...t, row_number: t.row, seat_number: t.number, payment_taken_back: t.takenBack, owner_name: '' })));
    $('found').replaceChildren(...found.map(foundTicket));
    if (found.length === 0) problem(new Error(at.online ? 'Nothing was found' : 'Nothing was found: without network only seats can be looked for'));
  } catch (err) {
    problem(err);
  }
}

function foundTicket(t) {
  const li = document.createElement('li'), text = document.createElement('span'), button = document.createElement('button');
  const now = t.entered ? (t.left ? 'outside' : 'inside') : t.payment_taken_back ? 'payment taken back' : 'not yet here';
  text.textContent = `${t.row_number}${t.seat_number} ${t.owner_name} · ${now}`;
  button.textContent = at.direction === 'OUT' ? 'Let out' : 'Let in';
  button.setAttribute('aria-label', `${button.textContent}: seat ${t.row_number}${t.seat_number}`);
  button.onclick = () => admit([t.seat_id], t.seat);
  li.append(text, button);
  return li;
}

// refresh asks how full the hall is; whether that is answered tells if there is network, and then what was decided without it goes up.
async function refresh() {
  if (at.screen !== 'door') return;
  try {
    const now = await call('GET', path(''));
    network(true);
    for (const n of ['inside', 'entered', 'conflicts']) $(n).textContent = now[n];
    $('direction').hidden = !now.reentry_allowed;
    await inTurn(upload);
  } catch (err) {
    if (err instanceof Offline) network(false);
    else problem(err);
  }
}

async function upload() {
  for (let rest = device.pending(state); rest.length > 0; rest = rest.slice(100)) {
    const { scans } = await call('POST', path('/scans'), { scans: rest.slice(0, 100) }, 15_000);
    device.taken(state, scans);
    await keep();
    const conflicts = scans.filter((s) => s.outcome === 'CONFLICT');
    if (conflicts.length > 0) problem(new Error(`${conflicts.length} tickets were let in here and elsewhere too: see the conflicts`));
  }
}

async function getList() {
  if (at.screen !== 'door' || !at.online) return;
  try {
    const { keys } = await call('GET', 'gate/keys');
    const m = await call('GET', path('/manifest'), undefined, 30_000);
    if (!await device.verify(m.manifest, m.signature, keys[m.key_id])) throw new Error('The list of tickets is not signed by the service');
    await inTurn(async () => { device.sync(state, m.manifest); await keep(); });
    $('list').textContent = `This device has a list of ${state.tickets.size} tickets, as of ${new Date(state.header.made_at).toLocaleTimeString()}: it works without network.`;
  } catch (err) {
    if (!(err instanceof Offline)) problem(err);
  }
}

async function choose() {
  show('choose');
  const form = $('choose').querySelector('form');
  form.device.value ||= at.device || `gate-${Math.floor(Math.random() * 900 + 100)}`;
  try {
    const events = await call('GET', 'gate/events');
    form.event.replaceChildren(...events.map((e) => new Option(`${e.name} · ${e.venue.name} · ${new Date(e.event_date).toLocaleString()}`, e.event_id)));
    const hall = () => { form.hall.value = events.find((e) => e.event_id === form.event.value)?.hall_id ?? ''; };
    form.event.onchange = hall;
    hall();
    form.onsubmit = (e) => { e.preventDefault(); open(events.find((x) => x.event_id === form.event.value), form.hall.value.trim(), form.device.value.trim()); };
    problem(events.length === 0 ? new Error('There is no event that you are assigned to') : null);
  } catch (err) {
    problem(err);
  }
}

async function open(event, hall, name) {
  Object.assign(at, { event, hall, device: name, direction: 'IN', last: null });
  if (state.event !== event.event_id && device.pending(state).length === 0) state = device.empty();
  await save('setting', { event, hall, device: name, session: { ...session } });
  show('door');
  $('pending').textContent = device.pending(state).length;
  await refresh();
  await getList();
}

function wire() {
  $('login').querySelector('form').onsubmit = async (e) => {
    e.preventDefault();
    problem();
    try {
      await login(e.target.email.value, e.target.password.value);
      e.target.password.value = '';
      await choose();
    } catch (err) {
      problem(err);
    }
  };
  $('code').onsubmit = (e) => {
    e.preventDefault();
    const text = e.target.code.value;
    e.target.code.value = '';
    e.target.code.focus();
    if (text.trim()) scan(text);
  };
  $('search').onsubmit = (e) => { e.preventDefault(); search(e.target.q.value); };
  $('admit').onclick = () => admit([...$('party').querySelectorAll('input:checked')].map((b) => b.value));
  $('undo').onclick = undo;
  $('change').onclick = () => { camera.stop(); choose(); };
  $('direction').onclick = () => {
    at.direction = at.direction === 'IN' ? 'OUT' : 'IN';
    $('direction').setAttribute('aria-pressed', at.direction === 'OUT');
  };
  $('camera').onclick = async () => {
    const on = !camera.running();
    try {
      if (on) await camera.start($('video'), scan); else camera.stop();
      $('video').hidden = !on;
      $('camera').setAttribute('aria-pressed', on);
    } catch (err) {
      problem(new Error(`The camera cannot be used: ${err.message}`));
    }
  };
  $('leave').onclick = async () => {
    if (device.pending(state).length > 0) { problem(new Error('What was decided without network is to be uploaded first')); return; }
    camera.stop();
    await logout();
    state = device.empty();
    await clear();
    show('login');
  };
  addEventListener('online', refresh);
  setInterval(refresh, 5000);
  setInterval(getList, 60_000);
}

async function start() {
  wire();
  navigator.serviceWorker?.register('gate/sw.js', { scope: 'gate' }).catch(() => {});
  const [kept, setting] = await Promise.all([load('state'), load('setting')]).catch(() => []);
  if (kept) state = kept;
  if (!setting) { show('login'); return; }
  Object.assign(session, setting.session);
  await open(setting.event, setting.hall, setting.device);
}

start();
