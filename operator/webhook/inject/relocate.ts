/**
 * Owns how a server is moved to loopback, so that the recorder can take its port.
 * Invariant: only what the resource declares is changed in the server's container, and what binding a low port without rights takes in the pod.
 */
import type { Container, PodSpec } from 'kubernetes-types/core/v1';
import type { Relocation } from '../../api/recorded-mcp-server.ts';
import type { Changes } from './changes.ts';

const LOWEST_PORT_SYSCTL = 'net.ipv4.ip_unprivileged_port_start';
const FIRST_UNPRIVILEGED = 1024;

/** Tells the server its new address, in place. @param port the one that the recorder takes */
export function relocateServer(
  spec: PodSpec,
  server: Container,
  port: number,
  { env = [], args }: Relocation,
  changes: Changes,
): void {
  for (const { name, value } of env) changes.setVariable(server, { name, value });
  if (args !== undefined) changes.setField(server, 'args', args);
  if (port >= FIRST_UNPRIVILEGED) return;
  const sysctls = spec.securityContext?.sysctls ?? [];
  // Safe by the API server's and Pod Security's own lists: it concerns the pod's network namespace only.
  if (sysctls.some(({ name }) => name === LOWEST_PORT_SYSCTL)) return;
  changes.setPodField('securityContext', {
    ...spec.securityContext,
    sysctls: [...sysctls, { name: LOWEST_PORT_SYSCTL, value: '0' }],
  });
}
