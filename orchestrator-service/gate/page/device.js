// A gate's device without network, as ../device/device.go has it: it reads the signed manifest, decides by rules.js, and keeps what it
// decided until it is uploaded. State is one plain object, so that it can be stored as it is.
import { decide, scanned } from './rules.js';
import { read, fromBase64, uuidOf } from './totp.js';

const undoTime = 10 * 60_000;

export const empty = () => ({ event: '', header: null, tickets: new Map(), log: [] });

// verify checks the manifest's signature. A browser that does not know Ed25519 trusts the connection that it came over.
export async function verify(text, signature, key) {
  try {
    const k = await crypto.subtle.importKey('raw', fromBase64(key), { name: 'Ed25519' }, false, ['verify']);
    return await crypto.subtle.verify({ name: 'Ed25519' }, k, fromBase64(signature), new TextEncoder().encode(text));
  } catch (err) {
    if (err.name === 'NotSupportedError') return true;
    throw err;
  }
}

// sync takes a newer manifest; what was uploaded is in it, what was not stays.
export function sync(state, text) {
  const lines = text.trimEnd().split('\n');
  const header = JSON.parse(lines[0]);
  if (header.v !== 1 || header.tickets !== lines.length - 1) throw new Error('The list is not whole');
  const tickets = new Map();
  for (const line of lines.slice(1)) {
    const [seat, row, number, version, flags] = line.split(',');
    tickets.set(seat, { row, number: Number(number), version: Number(version), entered: flags.includes('E'), left: flags.includes('L'), takenBack: flags.includes('U') });
  }
  Object.assign(state, { event: header.event.event_id, header, tickets, log: state.event === header.event.event_id ? state.log.filter((x) => !x.uploaded) : [] });
}

const undone = (state, scan) => state.log.some((x) => x.undoes === scan.scan_id);
const moves = (state, id) => state.log.filter((x) => x.seat_id === id && x.result === 'SUCCESS' && x.direction !== 'UNDO' && !undone(state, x));

export function ticket(state, seat) {
  const listed = state.tickets.get(seat);
  const t = { version: 0, entered: false, left: false, takenBack: false, ...listed, listed: Boolean(listed), listVersion: listed?.version ?? 0 };
  for (const x of moves(state, uuidOf(seat))) Object.assign(t, { version: Math.max(t.version, x.ownership_version), entered: true, left: x.direction === 'OUT' });
  return t;
}

// scan decides a scanned code; what is no offline code of this event throws, with a message for people.
export async function scan(state, payload, at) {
  const text = scanned(payload);
  const code = await read(text, at.now, state.event, state.header.keys);
  if (code) return keep(state, code, at, false);
  if (/^[A-Za-z0-9_-]{4}\.[A-Za-z0-9_-]{40,}$/.test(text)) throw new Error("Without network only offline codes can be read: ask for the ticket's offline code, or search by seat");
  throw new Error('This QR code cannot be read: it is not a ticket of ours, or damaged');
}

export function byHand(state, seat, at) {
  return keep(state, { seat, event: state.event, version: ticket(state, seat).version, issued_at: new Date(at.now).toISOString() }, at, true);
}

function keep(state, code, { now, hall, device, direction, scanId }, manual) {
  const t = ticket(state, code.seat);
  const facts = {
    now: new Date(now).toISOString(), skew_ns: state.header.skew_ns, direction, staff_hall: hall, staff_event: state.event, assigned: {},
    code: { event_id: code.event, hall_id: '', version: code.version, issued_at: code.issued_at },
    seat: t.listed ? { event_id: state.event, status: 'SOLD', version: Math.max(t.version, code.version) } : null,
    entered: t.entered, left: t.left, paid: true, taken_back: t.takenBack && code.version <= t.listVersion, event: state.header.event,
  };
  const verdict = decide(facts);
  if (verdict.reason === 'NO_SUCH_SEAT') {
    Object.assign(verdict, { reason: 'NOT_ON_LIST', message: 'This ticket is not on the list of this device: get a new list, or check it with network' });
  }
  const seat_id = uuidOf(code.seat);
  state.log.push({
    scan_id: scanId, seat_id, ownership_version: code.version, direction, result: verdict.result, reason: verdict.reason, hall_id: hall || undefined, device, manual,
    decided_at: new Date(now).toISOString(),
  });
  return { ...verdict, seat_id, scan_id: scanId, row_number: t.row, seat_number: t.number, offline: true };
}

// undo takes back the last admission that this device made of a seat and that is not older than ten minutes.
export function undo(state, seat_id, { now, device, scanId, reason }) {
  const last = moves(state, seat_id).at(-1);
  if (!last || last.direction !== 'IN' || now - Date.parse(last.decided_at) > undoTime) {
    throw new Error('This device has no check-in of this ticket from the last ten minutes, or its holder has left since');
  }
  state.log.push({
    scan_id: scanId, seat_id, ownership_version: last.ownership_version, direction: 'UNDO', result: 'SUCCESS', device, decided_at: new Date(now).toISOString(),
    undoes: last.scan_id, note: reason,
  });
}

export const pending = (state) => state.log.filter((x) => !x.uploaded).map(({ uploaded, ...x }) => x);

export function taken(state, answers) {
  const done = new Set(answers.filter((a) => a.outcome !== 'WAITING').map((a) => a.scan_id));
  for (const x of state.log) if (done.has(x.scan_id)) x.uploaded = true;
}

// find gives the listed tickets at a place such as A12.
export function find(state, place) {
  const m = /^([A-Za-z]{1,4})[ -]?([0-9]{1,6})$/.exec(place.trim());
  if (!m) return [];
  return [...state.tickets].filter(([, t]) => t.row === m[1].toUpperCase() && t.number === Number(m[2])).map(([seat]) => ({ seat, seat_id: uuidOf(seat), ...ticket(state, seat) }));
}
