// The rules that decide at the door, as ../rules/rules.go has them: ../rules/testdata/vectors.json holds both to one another.
// A facts object is the JSON of rules.Facts.

const codeLife = 60_000; // ms

const time = (text) => (text ? Date.parse(text) : NaN);
const entering = (f) => f.direction !== 'OUT';
const used = (f) => f.entered || f.seat.status === 'CHECKED_IN';
const place = (e) => `${e.name} at ${e.venue}`;
const whereAndWhen = (f) => `This ticket is for ${place(f.event)}, ${f.event.begins_text}. Go to Hall ${f.event.hall_id}`;

// The first line that fits decides: result, reason, when, message.
const table = [
  ['NOT_FOUND', 'NO_SUCH_SEAT', (f) => !f.seat, 'Possible Counterfeit: there is no such ticket'],
  ['NOT_FOUND', 'NOT_OF_EVENT', (f) => f.seat.event_id !== f.code.event_id, 'Possible Counterfeit: the ticket is not of this event'],
  ['NOT_FOUND', 'NOT_SOLD', (f) => f.seat.status === 'AVAILABLE', 'Possible Counterfeit: this seat is not sold'],
  ['NOT_FOUND', 'HANDED_ON', (f) => ['SOLD', 'CHECKED_IN'].includes(f.seat.status) && f.code.version !== f.seat.version,
    "This ticket was handed on: ask for the present owner's QR code"],
  ['DUPLICATE', 'NO_REENTRY', (f) => !entering(f) && !f.event.reentry, 'This event has no re-entry: who leaves cannot come in again'],
  ['DUPLICATE', 'NOT_INSIDE', (f) => !entering(f) && (!used(f) || f.left), 'Nobody is inside on this ticket'],
  ['DUPLICATE', 'NO_REENTRY', (f) => entering(f) && used(f) && f.left && !f.event.reentry, 'Already Checked In, and left: this event has no re-entry'],
  ['DUPLICATE', 'ALREADY_IN', (f) => entering(f) && used(f) && !f.left, 'Already Checked In'],
  ['UNPAID', 'REFUNDED', (f) => entering(f) && (f.seat.void || f.event.cancelled), 'This ticket was cancelled and refunded'],
  ['UNPAID', 'NOT_PAID', (f) => entering(f) && (f.seat.status === 'HELD' || !f.paid), 'Incomplete Payment'],
  ['UNPAID', 'PAYMENT_TAKEN_BACK', (f) => entering(f) && f.taken_back, 'The payment for this ticket was taken back: send the guest to the box office'],
  ['WRONG_HALL', 'OTHER_EVENT', (f) => f.staff_event && f.staff_event !== f.code.event_id, whereAndWhen],
  ['WRONG_HALL', 'NOT_ASSIGNED', (f) => !covers(f.assigned, f.event), whereAndWhen],
  ['WRONG_HALL', 'OTHER_HALL', (f) => elsewhere(f.staff_hall, f) || elsewhere(f.code.hall_id, f), (f) => `Go to Hall ${f.event.hall_id}`],
  ['WRONG_HALL', 'DOORS_CLOSED', (f) => entering(f) && time(f.now) < time(f.event.doors_open_at),
    (f) => `Too early: the doors of ${place(f.event)} open on ${f.event.doors_text}. Go to Hall ${f.event.hall_id} then`],
  ['EXPIRED', 'CODE_OLD', (f) => time(f.now) - time(f.code.issued_at) > codeLife + f.skew_ns / 1e6, 'Expired QR: refresh the ticket'],
  ['EXPIRED', 'CODE_FUTURE', (f) => time(f.code.issued_at) - time(f.now) > f.skew_ns / 1e6, 'This QR code is from the future: check the clocks and refresh the ticket'],
  ['EXPIRED', 'EVENT_OVER', (f) => entering(f) && time(f.now) > time(f.event.ends_at), 'This event is over'],
];

export function decide(f) {
  for (const [result, reason, when, message] of table) {
    if (when(f)) return { result, reason, message: typeof message === 'string' ? message : message(f) };
  }
  return { result: 'SUCCESS', message: entering(f) ? 'Welcome' : 'Goodbye' };
}

function covers(assigned, event) {
  const venues = assigned?.venues ?? [], events = assigned?.events ?? [];
  return venues.length + events.length === 0 || events.includes(event.event_id) || venues.includes(event.venue_id);
}

const elsewhere = (hall, f) => Boolean(hall) && !sameHall(hall, f.event.hall_id);

export function sameHall(a, b) {
  const plain = (name) => name.toUpperCase().split(/[ \-_\t\u00a0\u2010\u2011\u2013]+/).filter(Boolean).join(' ');
  return plain(a) === plain(b);
}

// scanned gives a code as it was printed, from what a scanner types.
export function scanned(text) {
  const plain = text.trim();
  return plain.length > 3 && /^\]Q[0-9]/.test(plain) ? plain.slice(3) : plain;
}
