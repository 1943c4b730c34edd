/**
 * Owns which keys an object store of ours accepts, and their order.
 * Invariant: a key that passes names the same object in every adapter: it fits S3's limits and can't leave a directory.
 */
import { StoreError } from './object-store.ts';

const MAX_KEY_BYTES = 1024;
const MAX_PART_BYTES = 255;

/**
 * Says what is wrong with a key, or null when it can be used.
 * Parts that begin with a dot are refused because adapters keep their own temporary files under such names.
 */
function keyFault(key: string): string | null {
  if (key === '') return 'it is empty';
  if (!key.isWellFormed()) return 'it is no valid Unicode';
  if (key.includes('\0')) return 'it contains NUL';
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `it is longer than ${MAX_KEY_BYTES} bytes`;
  for (const part of key.split('/')) {
    if (part === '') return 'it has an empty part (a slash at an end, or two together)';
    if (part.startsWith('.')) return 'a part of it begins with a dot';
    if (Buffer.byteLength(part) > MAX_PART_BYTES)
      return `a part of it is longer than ${MAX_PART_BYTES} bytes`;
  }
  return null;
}

/** @throws StoreError with code `invalid` when the key can't be used */
export function requireKey(operation: StoreError['operation'], key: string): void {
  const fault = keyFault(key);
  if (fault === null) return;
  throw new StoreError('invalid', operation, key, `The key can't be used: ${fault}.`);
}

/**
 * Byte order of the keys' UTF-8 text, which is the order of S3 listings.
 * JavaScript's own `<` compares UTF-16 units and differs from it above U+FFFF.
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const xSurrogate = x >= 0xd800 && x <= 0xdfff;
    const ySurrogate = y >= 0xd800 && y <= 0xdfff;
    if (xSurrogate !== ySurrogate) return xSurrogate ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}
