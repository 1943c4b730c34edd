/**
 * Owns how durations and sizes are written in configuration: as Kubernetes writes them.
 * Invariant: text is read exactly or refused; a reading never rounds and never falls back to a default.
 */

/** A reading, or what would have been right. */
export type Quantity = { ok: true; value: number } | { ok: false; expected: string };

export const DURATION_EXPECTED = 'a duration such as 30s, 1m30s or 500ms';
export const RETENTION_EXPECTED = 'a time such as 365d, or 8760h, of at least 1m and at most 36500d';
export const SIZE_EXPECTED = 'a size such as 512Mi, 1G or 4194304 (bytes)';

const UNIT_MS: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
const SUFFIX_BYTES: Record<string, number> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** What a duration looks like; published in the JSON Schema. Each unit at most once, the greatest first. */
export const DURATION_PATTERN = /^(?=\d)(\d+h)?(\d+m)?(\d+(?:\.\d+)?s)?(\d+ms)?$/;
/** What a retention looks like; published in the JSON Schema. */
export const RETENTION_PATTERN = /^(?:\d+d|(?=\d)(\d+h)?(\d+m)?(\d+s)?)$/;
/** What a size looks like; published in the JSON Schema. */
export const SIZE_PATTERN = /^\d+(?:\.\d+)?(?:[kMGT]|[KMGT]i)?$/;

/**
 * Reads a duration as Go and Kubernetes write it (`1h`, `1m30s`, `500ms`).
 * @returns whole milliseconds, or what would be right
 */
export function parseDuration(text: string): Quantity {
  if (!DURATION_PATTERN.test(text)) return { ok: false, expected: DURATION_EXPECTED };
  let value = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)) {
    value += Number(amount) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  }
  if (!Number.isSafeInteger(value))
    return { ok: false, expected: `${DURATION_EXPECTED}, in whole milliseconds` };
  return { ok: true, value };
}

const DAY_MS = 24 * 3_600_000;
/** S3 refuses a retention of more than a hundred years. */
const MAX_RETENTION_MS = 36_500 * DAY_MS;

/**
 * Reads how long something is kept: whole days (`365d`), or a duration. Kubernetes' own durations know no days, because not all have
 * 24 hours; here a day always has, and retention is what people count in days.
 * @returns whole milliseconds, or what would be right
 */
export function parseRetention(text: string): Quantity {
  const days = /^(\d+)d$/.exec(text)?.[1];
  const read: Quantity =
    days === undefined ? parseDuration(text) : { ok: true, value: Number(days) * DAY_MS };
  const usable = read.ok && read.value >= 60_000 && read.value <= MAX_RETENTION_MS;
  return usable ? read : { ok: false, expected: RETENTION_EXPECTED };
}

/**
 * Reads a size as a Kubernetes resource quantity (`512Mi` = 512 * 2^20, `1G` = 10^9, plain digits = bytes).
 * @returns whole bytes, or what would be right
 */
export function parseSize(text: string): Quantity {
  if (!SIZE_PATTERN.test(text)) return { ok: false, expected: SIZE_EXPECTED };
  const digits = /^[\d.]+/.exec(text)?.[0] ?? '';
  const value = Number(digits) * (SUFFIX_BYTES[text.slice(digits.length)] ?? Number.NaN);
  if (!Number.isSafeInteger(value))
    return { ok: false, expected: `${SIZE_EXPECTED}, a whole number of bytes` };
  return { ok: true, value };
}
