// Offline codes: docs/qr-format.md. A code is a prefix and the TOTP (RFC 6238, HMAC-SHA-256, 30 s, 8 digits) of a secret that is bound to the
// present ownership of a seat. A gate that has the event's key derives the secret.

const bytes = (text) => new TextEncoder().encode(text);
export const fromBase64 = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
const toHex = (raw) => Array.from(raw, (b) => b.toString(16).padStart(2, '0')).join('');
export const uuidOf = (compact) => toHex(fromBase64(compact)).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

async function hmac(key, ...parts) {
  const k = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', k, await new Blob(parts).arrayBuffer()));
}

const bigEndian = (n) => { const b = new DataView(new ArrayBuffer(8)); b.setBigUint64(0, BigInt(n)); return b.buffer; };

export async function totp(secret, step) {
  const mac = await hmac(secret, bigEndian(step));
  const at = mac[mac.length - 1] & 15;
  const n = (new DataView(mac.buffer).getUint32(at) & 0x7fffffff) % 1e8;
  return String(n).padStart(8, '0');
}

export async function secretOf(eventKey, seat, version) {
  return (await hmac(eventKey, bytes('seat'), fromBase64(seat), bigEndian(version))).slice(0, 20);
}

// read gives {seat, event, version, issued_at} of an offline code, or null. keys are the event's, by key id, in base64.
export async function read(payload, now, event, keys) {
  const parts = payload.split('.');
  if (parts.length !== 6 || parts[0] !== 'T1' || !/^[A-Za-z0-9_-]{22}$/.test(parts[2]) || !/^[A-Za-z0-9_-]{22}$/.test(parts[3]) ||
      !/^[1-9][0-9]{0,15}$/.test(parts[4]) || !/^[0-9]{8}$/.test(parts[5])) return null;
  const [, id, seat, ofEvent, version, digits] = parts;
  if (!Object.hasOwn(keys, id) || uuidOf(ofEvent) !== event) return null;
  const secret = await secretOf(fromBase64(keys[id]), seat, version);
  const present = Math.floor(now / 30_000);
  for (let step = present + 1; step >= present - 120; step--) {
    if (await totp(secret, step) === digits) {
      return { seat, event: uuidOf(ofEvent), version: Number(version), issued_at: new Date(Math.min(step * 30_000, now)).toISOString() };
    }
  }
  return null;
}
