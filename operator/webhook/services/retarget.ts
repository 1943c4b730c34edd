/**
 * Owns where the numeric target ports of a Service lead: to the server, or to the recorder in front of it.
 * Invariant: what the user wrote is kept beside what we wrote, by port and protocol, and comes back unchanged; an entry is believed only
 * while the live port is the recorder's, for whoever writes the Service without us puts its own port back. Named ports are never touched.
 */
import type { Service, ServicePort } from 'kubernetes-types/core/v1';
import { ORIGINAL_PORTS_ANNOTATION } from '../../naming.ts';

export type Target = 'recorder' | 'server';

export interface Retargeting {
  target: Target;
  /** The port that the server listens on; null when it is not known: then only what stands in the annotation can be put back. */
  serverPort: number | null;
  /** Where recorders listen: today's port first, then those of pods from before the platform team changed it. */
  recorderPorts: readonly [number, ...number[]];
}

/** By `port/protocol`, because a port of a Service may have no name. */
type Originals = Record<string, number>;

/** The Service as it should be, as a copy. */
export function retarget(given: Service, retargeting: Retargeting): Service {
  const service = structuredClone(given);
  const known = readOriginals(service);
  const kept: Originals = {};
  for (const port of service.spec?.ports ?? []) {
    const original = retargetPort(port, known, retargeting);
    if (original !== null) kept[keyOf(port)] = original;
  }
  writeOriginals(service, kept);
  return service;
}

/** Changes one port in place. @returns what it was, where it leads to the recorder afterwards and that is known */
function retargetPort(
  port: ServicePort,
  known: Originals,
  { target, serverPort, recorderPorts }: Retargeting,
) {
  const live = port.targetPort ?? port.port;
  if (typeof live !== 'number' || (port.protocol ?? 'TCP') !== 'TCP') return null;
  const atRecorder = recorderPorts.includes(live);
  const original = atRecorder ? (known[keyOf(port)] ?? serverPort) : live;
  if (target === 'server') {
    if (atRecorder && original !== null) port.targetPort = original;
    return null;
  }
  // A port that leads to the recorder already stays there when the server moves: the recorder moves with it.
  if (!atRecorder && live !== serverPort) return null;
  port.targetPort = recorderPorts[0];
  return original;
}

function keyOf({ port, protocol }: ServicePort): string {
  return `${port}/${protocol ?? 'TCP'}`;
}

function readOriginals({ metadata }: Service): Originals {
  let value: unknown;
  try {
    value = JSON.parse(metadata?.annotations?.[ORIGINAL_PORTS_ANNOTATION] ?? '{}');
  } catch {
    return {};
  }
  if (typeof value !== 'object' || value === null) return {};
  const ports = Object.entries(value).filter(
    (entry): entry is [string, number] => Number.isInteger(entry[1]) && entry[1] >= 1 && entry[1] <= 65_535,
  );
  return Object.fromEntries(ports);
}

function writeOriginals(service: Service, originals: Originals): void {
  const { [ORIGINAL_PORTS_ANNOTATION]: _, ...others } = service.metadata?.annotations ?? {};
  const annotations =
    Object.keys(originals).length === 0
      ? others
      : { ...others, [ORIGINAL_PORTS_ANNOTATION]: JSON.stringify(originals) };
  const { annotations: __, ...metadata } = service.metadata ?? {};
  service.metadata = Object.keys(annotations).length === 0 ? metadata : { ...metadata, annotations };
}
