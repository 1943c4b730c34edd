/**
 * Owns what the kernel says of the server's port in this network namespace: whether anybody listens there, and who is connected to it from
 * elsewhere, around the recorder. A NetworkPolicy does not cut what is connected, so that this is asked before it is called closed.
 * Invariant: a connection that nobody outside of the namespace could have is never taken for a foreign one: from a loopback address, or from
 * the very address that it leads to.
 */
import { readFile } from 'node:fs/promises';
import os from 'node:os';

export interface ServerSockets {
  /** `any`: on an address that other pods reach. */
  listens: 'any' | 'loopback' | 'none';
  /** Peers as `HOST:PORT`, IPv6 in brackets, each once, at most MAX_LISTED. */
  foreignConnections: string[];
}

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
/** States of proc_net_tcp(5). */
const ESTABLISHED = '01';
/** The peer sends no more, and may still be sent to: the answer to its last call, a stream. */
const CLOSE_WAIT = '08';
const LISTEN = '0A';
const MAX_LISTED = 100;
/** Slot, local address, peer's address, state. */
const ROW = /^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]{2}) /;

/**
 * Looks at a port of this network namespace.
 * @throws Error when the kernel's tables can't be read (proc is not mounted, or this is no Linux)
 */
export async function readServerSockets(port: number): Promise<ServerSockets> {
  const [ipv4, ipv6] = await Promise.all([
    readFile(TABLES[0] as string, 'latin1'),
    // Absent where IPv6 is switched off.
    readFile(TABLES[1] as string, 'latin1').catch(() => ''),
  ]);
  return describeSockets(`${ipv4}\n${ipv6}`, port);
}

/** Reads the rows of `/proc/net/tcp` and `/proc/net/tcp6`. */
export function describeSockets(
  tables: string,
  port: number,
  littleEndian = os.endianness() === 'LE',
): ServerSockets {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  let listens: ServerSockets['listens'] = 'none';
  const foreign = new Set<string>();
  for (const row of tables.split('\n')) {
    const [, local = '', localPort, peer = '', peerPort = '', state] = ROW.exec(row) ?? [];
    if (localPort !== wanted) continue;
    const here = addressText(local, littleEndian);
    if (state === LISTEN) {
      if (!isLoopback(here)) listens = 'any';
      else if (listens === 'none') listens = 'loopback';
    } else if ((state === ESTABLISHED || state === CLOSE_WAIT) && foreign.size < MAX_LISTED) {
      const there = addressText(peer, littleEndian);
      // Who connects to an address of its own host comes from that address.
      if (isLoopback(there) || there === here) continue;
      const host = there.includes(':') ? `[${there}]` : there;
      foreign.add(`${host}:${Number.parseInt(peerPort, 16)}`);
    }
  }
  return { listens, foreignConnections: [...foreign] };
}

/** The kernel prints addresses as 32-bit words of the machine. IPv4 addresses within IPv6 (RFC 4291, 2.5.5.2) are given as IPv4. */
function addressText(hex: string, littleEndian: boolean): string {
  const bytes = Buffer.from(hex, 'hex');
  if (littleEndian) bytes.swap32();
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return bytes.subarray(12).join('.');
  }
  const whole = groups.map((group) => group.toString(16)).join(':');
  // In its short form (RFC 5952), as URLs have it.
  return new URL(`http://[${whole}]`).hostname.slice(1, -1);
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}
