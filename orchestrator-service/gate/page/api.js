// Calls of the service, with the envelope and the tokens. Paths are relative to the page, so that it works under /api too.
const root = new URL('.', document.baseURI);
const answerWithin = 3000; // ms: a queue at the door cannot wait

export class Offline extends Error {}
export class Refused extends Error {
  constructor(status, body) {
    super(body.message || 'Something went wrong');
    Object.assign(this, { status, code: body.error_code });
  }
}

export const session = { access: '', refresh: '' };

async function send(method, path, body, token, within) {
  let answer;
  try {
    answer = await fetch(new URL(path, root), {
      method, signal: AbortSignal.timeout(within), cache: 'no-store', credentials: 'omit',
      headers: { ...(token && { Authorization: `Bearer ${token}` }), ...(body && { 'Content-Type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
    const json = await answer.json();
    if (answer.ok) return json;
    if (![502, 503, 504].includes(answer.status)) throw new Refused(answer.status, json);
  } catch (err) {
    if (err instanceof Refused) throw err;
  }
  throw new Offline('The service cannot be reached');
}

export async function call(method, path, body, within = answerWithin) {
  try {
    return (await send(method, path, body, session.access, within)).data;
  } catch (err) {
    if (!(err instanceof Refused) || err.status !== 401 || !session.refresh) throw err;
    session.access = (await send('POST', 'auth/refresh', undefined, session.refresh, within)).data.access_token;
    return (await send(method, path, body, session.access, within)).data;
  }
}

export async function login(email, password) {
  const { data } = await send('POST', 'auth/login', { email, password }, '', answerWithin);
  if (!['staff', 'admin'].includes(data.user.role)) throw new Error('This account is not for staff');
  Object.assign(session, { access: data.access_token, refresh: data.refresh_token });
}

export async function logout() {
  await send('POST', 'auth/logout', undefined, session.access, answerWithin).catch(() => {});
  Object.assign(session, { access: '', refresh: '' });
}
