/**
 * Owns the injection: a pod of a recorded server as it was written becomes one that is recorded.
 * Invariant: pure and idempotent: the recorder that is there already is taken out first, so injecting twice is injecting once, and what a
 * pod brings along of our marks counts for nothing. Only what a recorder takes is changed.
 */
import type { Pod, PodSpec } from 'kubernetes-types/core/v1';
import {
  CHANGES_ANNOTATION,
  FLAGS_ANNOTATION,
  RESOURCE_HASH_ANNOTATION,
  SERVER_LABEL,
  SETTINGS_HASH_ANNOTATION,
} from '../../naming.ts';
import { createChanges } from './changes.ts';
import { type Flag, surroundings } from './flags.ts';
import { injectionHashes } from './hashes.ts';
import type { Injected, Injection } from './injection.ts';
import { moveNames } from './ports.ts';
import { problemsOf, refusalMessage } from './refusals.ts';
import { relocateServer } from './relocate.ts';
import { findServer } from './server-container.ts';
import { sidecarContainer } from './sidecar.ts';
import { credentialsSecret, readsSecret, sharesResources, volumesOf } from './storage.ts';
import { strip } from './strip.ts';
import { drainHook, setTermination } from './termination.ts';

/** The pod with the recorder, as a copy; or why it can't have one. */
export function inject(given: Pod, injection: Injection): Injected {
  const { resource, settings, drainPath } = injection;
  const pod = strip(given);
  const spec = pod.spec;
  const found = findServer(resource, pod);
  if (!found.ok) return { ok: false, refused: refusalMessage(injection, [found.problem]) };
  const server = spec?.containers.find(({ name }) => name === found.container);
  if (spec === undefined || server === undefined) throw new TypeError('a pod without containers');
  const problems = problemsOf(pod, injection, found.port, server.name);
  if (problems.length > 0) return { ok: false, refused: refusalMessage(injection, problems) };

  const { traffic } = resource.spec;
  const relocation = traffic.mode === 'Relocate' ? (traffic.relocate ?? null) : null;
  const bare = structuredClone(pod);
  const changes = createChanges(spec);
  const moved = moveNames(spec, found.port, relocation !== null, changes);
  if (relocation !== null) relocateServer(spec, server, found.port, relocation, changes);
  const { ports, drainSeconds } = settings.sidecar;
  const ending = setTermination(spec, server, drainHook(drainPath, ports.status), drainSeconds, changes);
  addPullSecrets(spec, settings.sidecar.imagePullSecrets, changes);

  const port = relocation === null ? ports.recorder : found.port;
  const sidecar = sidecarContainer(injection, bare, server, port, moved.names);
  // Last: a mesh's sidecar stands before it and so stops after it, and init containers run as they did.
  spec.initContainers = [...(spec.initContainers ?? []), sidecar];
  spec.volumes = [...(spec.volumes ?? []), ...volumesOf(resource, settings).volumes];

  const flags = [...surroundings(bare), ...moved.flags, ...ending, ...sharing(bare, injection)];
  mark(pod, injection, flags, JSON.stringify(changes.record));
  return { ok: true, pod, flags };
}

function sharing(bare: Pod, { resource, settings }: Injection): Flag[] {
  const secret = credentialsSecret(resource, settings);
  const flags: Flag[] = [];
  if (secret !== null && readsSecret(bare, secret)) flags.push('credentialsShared');
  if (sharesResources(bare)) flags.push('podResources');
  return flags;
}

function addPullSecrets(
  spec: PodSpec,
  names: readonly string[],
  changes: ReturnType<typeof createChanges>,
): void {
  const present = spec.imagePullSecrets ?? [];
  const missing = names.filter((name) => !present.some((secret) => secret.name === name));
  if (missing.length === 0) return;
  changes.setPodField('imagePullSecrets', [...present, ...missing.map((name) => ({ name }))]);
}

function mark(pod: Pod, { resource, settings }: Injection, flags: readonly Flag[], changes: string): void {
  const hashes = injectionHashes(resource, settings);
  const labels = { ...pod.metadata?.labels, [SERVER_LABEL]: resource.metadata.name ?? '' };
  const annotations = {
    ...pod.metadata?.annotations,
    [RESOURCE_HASH_ANNOTATION]: hashes.resource,
    [SETTINGS_HASH_ANNOTATION]: hashes.settings,
    [FLAGS_ANNOTATION]: JSON.stringify(flags),
    [CHANGES_ANNOTATION]: changes,
  };
  pod.metadata = { ...pod.metadata, labels, annotations };
}
