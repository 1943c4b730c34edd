/**
 * Owns how a place to listen on is written: `HOST:PORT`, IPv6 in brackets.
 * Invariant: the host is always explicit, so that nobody listens on all interfaces by leaving something out.
 */

export interface Address {
  /** Without brackets. */
  host: string;
  /** 0 = any free port. */
  port: number;
}

export const ADDRESS_EXPECTED = 'HOST:PORT, for example 127.0.0.1:8642 or [::1]:8642';

/** @returns null when the text is no `HOST:PORT` */
export function parseAddress(text: string): Address | null {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65_535 ? null : { host, port };
}

/** The text that `parseAddress` reads back; also the authority of a URL. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
