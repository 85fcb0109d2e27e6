// A customer buys a ticket, by the client that openapi-fetch and openapi-typescript make of docs/openapi.yaml. The compiler holds every
// path, field and error code to the document; the run holds the document to the gateway.
import createClient from 'openapi-fetch';
import type { components, paths } from './api.js';

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

const apikey = process.env['GATEWAY_API_KEY'];
const client = createClient<paths>({ baseUrl: `${setting('GATEWAY')}/api`, headers: apikey ? { apikey } : {} });
const inbox = setting('SANDBOX');
const event_id = setting('EVENT');
const phone = setting('PHONE');
const email = setting('EMAIL');

// done takes the data out of an answer's envelope. Every refusal has the same form; a string is a picture.
function done<Body extends { data: unknown } | string>(answer: { data?: Body; error?: components['schemas']['Error']; response: Response }) {
  const { data, error, response } = answer;
  if (data === undefined || typeof data === 'string') throw new Error(`${response.url}: ${response.status} ${error?.error_code}: ${error?.message}`);
  return data.data as Extract<Body, { data: unknown }>['data'];
}

async function until<T>(what: string, find: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await new Promise((wake) => setTimeout(wake, 100))) {
    const found = await find();
    if (found !== undefined) return found;
  }
  throw new Error(`${what} did not come`);
}

const password = 'correct horse battery';
const account = done(await client.POST('/auth/register', { body: { email, phone, password } }));
const otp_code = await until('the code', async () => {
  const messages = (await (await fetch(`${inbox}/inbox?phone=${encodeURIComponent(phone)}`)).json()) as { otp_code: string }[];
  return messages[0]?.otp_code;
});
const session = done(await client.POST('/auth/verify-registration', { body: { user_id: account.user_id, otp_code } }));
client.use({
  onRequest({ request }) {
    request.headers.set('Authorization', `Bearer ${session.access_token}`);
    return request;
  },
});

const topUp = done(await client.POST('/credits/topup', { body: { amount: 100 } }));
await fetch(`${inbox}/pay/${topUp.client_secret}`, { method: 'POST' });
await until('the credits', async () => {
  const { credit_balance } = done(await client.GET('/credits/balance'));
  return credit_balance === 100 ? credit_balance : undefined;
});

const event = done(await client.GET('/events/{event_id}', { params: { path: { event_id } } }));
const seat = event.seats.find(({ status, price }) => status === 'AVAILABLE' && price <= 100);
if (!seat) throw new Error('no seat is left');
const held = done(await client.POST('/reserve', { body: { seat_id: seat.seat_id } }));
if (!('order_id' in held)) throw new Error('one seat was answered as a booking');
const paid = done(await client.POST('/pay', { body: { order_id: held.order_id } }));
const order = await until('the payment', async () => {
  const order = done(await client.GET('/orders/{order_id}', { params: { path: { order_id: held.order_id } } }));
  return order.status === 'CONFIRMED' ? order : undefined;
});

// A refusal is typed too.
const again = await client.POST('/reserve', { body: { seat_id: seat.seat_id } });
if (again.response.status !== 409 || !again.error) throw new Error(`the seat can be held twice: ${again.response.status}`);

const tickets = await client.GET('/tickets', { params: { query: { per_page: 10 } } });
const mine = done(tickets);
const code = done(await client.GET('/tickets/{seat_id}/qr', { params: { path: { seat_id: seat.seat_id } } }));
if (mine.length !== 1 || mine[0]?.seat_id !== seat.seat_id || tickets.data?.pagination.total !== 1) throw new Error(`tickets: ${JSON.stringify(tickets.data)}`);
console.log(JSON.stringify({ seat_id: seat.seat_id, payment: paid.status, charged: order.credits_charged, refused: again.error.error_code, qr_payload: code.qr_payload }));
