/**
 * Owns what injection makes of a pod, as far as decisions depend on it.
 * Invariant: the same resource and settings give the same answer as the webhook.
 */
import { createHash } from 'node:crypto';
import type { Pod } from 'kubernetes-types/core/v1';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import type { Settings } from '../settings.ts';

export function injectionHashes(
  resource: RecordedMCPServer,
  settings: Settings,
): { resource: string; settings: string } {
  const { server, storage, traffic, recording } = resource.spec;
  const shape = [server, storage, traffic.mode, traffic.relocate ?? null, recording.commit, recording.spool];
  return { resource: hashOf(shape), settings: hashOf(settings.sidecar) };
}

export function findServerPort(pod: Pod, resource: RecordedMCPServer): number | null {
  if (resource.spec.server.port !== undefined) return resource.spec.server.port;
  const ports = (pod.spec?.containers ?? []).flatMap(({ ports = [] }) =>
    ports.map(({ containerPort }) => containerPort),
  );
  const [port, ...others] = new Set(ports);
  return port !== undefined && others.length === 0 ? port : null;
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}
