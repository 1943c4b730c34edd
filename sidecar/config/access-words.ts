/**
 * Owns what the sections on access have in common: names, URLs of others, files, claims.
 * Invariant: what is refused is told with what would be right, and never repeated when it may be a secret.
 */
import { z } from 'zod';
import { AUTHORITIES_EXPECTED, areAuthorities } from './authorities.ts';

const RULE_NAME_EXPECTED =
  'a name of 1 to 63 characters of a-z, 0-9 and "-", beginning and ending with a letter or a digit';

/** A text with `accepts`, or `expected`. */
export const text = (accepts: (given: string) => boolean, expected: string) =>
  z.string({ error: expected }).refine(accepts, { error: expected });

/** A list of at least one. */
export const someOf = <Item extends z.ZodType>(item: Item, expected: string) =>
  z.array(item, { error: expected }).min(1, { error: expected });

/** A DNS label (RFC 1123): it stands in recordings, metrics and answers. */
export const ruleName = z
  .string({ error: RULE_NAME_EXPECTED })
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, { error: RULE_NAME_EXPECTED });

export const authorities = text(areAuthorities, AUTHORITIES_EXPECTED);

export const file = (of: string) => {
  const expected = `the path of a file with ${of} and nothing else`;
  return text((given) => given !== '' && !/[\0\r\n]/.test(given), expected);
};

/** RFC 6749 3.3. */
export const scopes = z.array(
  text(
    (given) => /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/.test(given),
    'a scope: printable ASCII characters without space, quotation mark and backslash',
  ),
  { error: 'a list of scopes' },
);

/** Whether keys and tokens may come from there: over TLS, or without leaving this machine. */
export function isTrustworthy(url: URL): boolean {
  if (url.protocol === 'https:') return true;
  return url.protocol === 'http:' && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
}

/** The index of the first that stands twice, or -1. */
export function indexOfRepeated(names: readonly string[]): number {
  return names.findIndex((name, index) => names.indexOf(name) !== index);
}
