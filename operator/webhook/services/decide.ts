/**
 * Owns the decision where a Service should lead, from what is known of the resources and pods of its namespace.
 * Invariant: the operator's annotation is obeyed; without one a Service goes to the recorder only where direct access is being closed, and
 * is otherwise left alone. In mode `Relocate` no Service is sent to the recorder: the recorder stands where the server was.
 */
import type { Pod, Service } from 'kubernetes-types/core/v1';
import type { RecordedMCPServer } from '../../api/recorded-mcp-server.ts';
import { recorderPortOf } from '../../desired/pods.ts';
import { byAge, matches, overlaps } from '../../desired/selectors.ts';
import { SERVER_LABEL, TARGET_ANNOTATION } from '../../naming.ts';
import type { Settings } from '../../settings.ts';
import { findServerPort } from '../inject/server-container.ts';
import type { Retargeting, Target } from './retarget.ts';

export interface Surroundings {
  /** Resources of the Service's namespace. */
  resources: readonly RecordedMCPServer[];
  /** Pods of the namespace, as far as resources select them. */
  pods: readonly Pod[];
  settings: Settings;
}

/** What to do with a Service; null: leave it as it is. */
export function decideTarget(
  service: Service,
  { resources, pods, settings }: Surroundings,
): Retargeting | null {
  if (service.spec?.type === 'ExternalName') return null;
  const resource =
    resources.toSorted(byAge).find(({ spec }) => overlaps(service.spec?.selector, spec.selector, pods)) ??
    null;
  const asked = readTarget(service);
  const target = asked ?? (resource !== null && isClosing(resource) ? 'recorder' : null);
  if (target === null) return null;
  if (target === 'recorder' && (resource === null || resource.spec.traffic.mode === 'Relocate')) return null;
  const own =
    resource === null ? [] : pods.filter(({ metadata }) => matches(resource.spec.selector, metadata?.labels));
  const serverPort = resource === null ? null : serverPortOf(resource, own);
  // A relocated server's recorder stands on the server's port, which is not the recorder's by that.
  const former = recorderPortsOf(own).filter((port) => port !== serverPort);
  return { target, serverPort, recorderPorts: [settings.sidecar.ports.recorder, ...former] };
}

function readTarget({ metadata }: Service): Target | null {
  const value = metadata?.annotations?.[TARGET_ANNOTATION];
  return value === 'recorder' || value === 'server' ? value : null;
}

/** From here on a Service that leads to the server leads nowhere. */
function isClosing({ metadata, spec, status }: RecordedMCPServer): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  return spec.adoption === 'Immediate' || status?.phase === 'Enforcing' || status?.phase === 'Enforced';
}

function serverPortOf(resource: RecordedMCPServer, pods: readonly Pod[]): number | null {
  const known = resource.spec.server.port ?? resource.status?.serverPort;
  if (known !== undefined) return known;
  for (const pod of pods) {
    const found = findServerPort(resource, pod);
    if (found.ok) return found.port;
  }
  return null;
}

/** Ports of recorders as they run, which may be older than the settings. */
function recorderPortsOf(pods: readonly Pod[]): number[] {
  return pods
    .filter(({ metadata }) => metadata?.labels?.[SERVER_LABEL] !== undefined)
    .map(recorderPortOf)
    .filter((port) => port !== null);
}
