/**
 * Owns how a server of ours begins to listen.
 */
import type net from 'node:net';
import type { Address } from './config/address.ts';

/** This machine has no IPv6 at all. */
const NO_IPV6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL']);

/**
 * Listens; resolves with the real address. `::` stands for all addresses of the machine, also of one without IPv6: which it will be is not
 * known to who writes a configuration for pods.
 * @throws the error of the system, such as EADDRINUSE
 */
export async function listenOn(server: net.Server, { host, port }: Address): Promise<Address> {
  try {
    await begin(server, host, port);
  } catch (error) {
    if (host !== '::' || !NO_IPV6.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await begin(server, '0.0.0.0', port);
  }
  const bound = server.address() as net.AddressInfo;
  return { host: bound.address, port: bound.port };
}

function begin(server: net.Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
