/**
 * Owns how certificate authorities are written in configuration: PEM certificates, one after the other.
 * Invariant: what is taken can be used to check a certificate; a text with anything else in it is refused as a whole.
 */
import { X509Certificate } from 'node:crypto';

export const AUTHORITIES_EXPECTED = 'certificates of authorities, PEM (-----BEGIN CERTIFICATE-----...)';

const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** The certificates in the text. @throws Error for a block that is no certificate */
export function readAuthorities(pem: string): X509Certificate[] {
  return (pem.match(PEM) ?? []).map((block) => new X509Certificate(block));
}

/** Whether the text holds certificates of authorities, at least one, and nothing else. */
export function areAuthorities(pem: string): boolean {
  if (pem.replaceAll(PEM, '').trim() !== '') return false;
  try {
    const found = readAuthorities(pem);
    return found.length > 0 && found.every(({ ca }) => ca);
  } catch {
    return false;
  }
}
