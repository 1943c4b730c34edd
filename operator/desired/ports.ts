/**
 * Owns which ports matter for one resource: the server's, where clients come to, what stays open beside them.
 * Invariant: a port that leads past the recorder is never among those that are to be open.
 */
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import type { Settings } from '../settings.ts';
import { findServerPort } from '../webhook/inject/server-container.ts';
import type { Refusal } from './floors.ts';
import type { PodFacts } from './pods.ts';
import { listed } from './verdict.ts';

export interface Ports {
  /** Where clients came to the server before there was a recorder. */
  original: number;
  /** Where the server listens in recorded pods: on all addresses in mode Service, on loopback in mode Relocate. */
  server: number;
  /** Where clients come to the recorder in pods that are made now. */
  recorder: number;
  status: number;
}

/**
 * The ports as the resource and the pods give them. Once the recording has begun the port of then stays, so that no pod may come or go and
 * change it.
 * @returns `refusal`: why pods and resource don't tell one port; `ports` are then those of before, or null
 */
export function portsOf(
  resource: RecordedMCPServer,
  settings: Settings,
  pods: readonly PodFacts[],
): { ports: Ports | null; refusal: Refusal | null } {
  const { port, refusal } = serverPort(resource, pods);
  if (port === null) return { ports: null, refusal };
  const { recorder, status } = settings.sidecar.ports;
  const { relocate } = resource.spec.traffic;
  const ports =
    relocate === undefined
      ? { original: port, server: port, recorder, status }
      : { original: port, server: relocate.port, recorder: port, status };
  return { ports, refusal };
}

function serverPort(
  resource: RecordedMCPServer,
  pods: readonly PodFacts[],
): { port: number | null; refusal: Refusal | null } {
  const given = resource.spec.server.port;
  if (given !== undefined) return { port: given, refusal: null };
  const before = resource.status?.serverPort ?? null;
  const declared = new Map<number, string[]>();
  const unclear: string[] = [];
  for (const { pod, name, selected } of pods) {
    if (!selected) continue;
    const found = findServerPort(resource, pod);
    if (found.ok) declared.set(found.port, [...(declared.get(found.port) ?? []), name]);
    else unclear.push(`${name}: ${found.problem}`);
  }
  const [port, ...others] = declared.keys();
  if (others.length > 0) {
    const kinds = [...declared]
      .sort(([a], [b]) => a - b)
      .map(([port, names]) => `${port} (${listed(names)})`);
    const cause = `The selected pods declare different ports: ${kinds.join(', ')}.`;
    return { port: before, refusal: { reason: 'ServerPortDiffers', cause } };
  }
  if (port !== undefined && before !== null && port !== before) {
    const cause = `The recording began with the server on port ${before}, and its pods declare ${port} now.`;
    return { port: before, refusal: { reason: 'ServerPortDiffers', cause } };
  }
  if (port !== undefined || before !== null) return { port: port ?? before, refusal: null };
  const [first] = unclear;
  const refusal: Refusal =
    first === undefined
      ? { reason: 'NoPods', cause: 'The selector matches no pod, and spec.server.port is not set.' }
      : { reason: 'ServerPortUnknown', cause: first };
  return { port: null, refusal };
}

/** What of `spec.traffic.otherPorts` is opened, and what of it would lead past the recorder or to its own ports. */
export function otherPortsOf(
  { spec: { traffic } }: RecordedMCPServer,
  { original, server, recorder, status }: Ports,
): { open: { port: number; protocol: string }[]; refusals: Refusal[] } {
  const reserved = new Set([original, server, recorder, status]);
  const asked = traffic.otherPorts ?? [];
  const isReserved = ({ port, protocol }: { port: number; protocol: string }) =>
    protocol === 'TCP' && reserved.has(port);
  const refused = asked.filter(isReserved).map(({ port }) => String(port));
  const cause = `spec.traffic.otherPorts names ${listed(refused)}, which the server or the recorder listens on.`;
  return {
    open: asked.filter((port) => !isReserved(port)).map(({ port, protocol }) => ({ port, protocol })),
    refusals: refused.length === 0 ? [] : [{ reason: 'OtherPortReserved', cause }],
  };
}
