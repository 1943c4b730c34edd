/**
 * Owns how a pod looks without the recorder.
 * Invariant: `strip(inject(pod))` is `pod`; of a pod that the webhook has not made, nothing but our label and annotations is taken away.
 */
import type { Pod } from 'kubernetes-types/core/v1';
import {
  CHANGES_ANNOTATION,
  FLAGS_ANNOTATION,
  RESOURCE_HASH_ANNOTATION,
  SERVER_LABEL,
  SETTINGS_HASH_ANNOTATION,
  SIDECAR_CONTAINER,
  VOLUMES,
} from '../../naming.ts';
import { readChanges, undo } from './changes.ts';

const ANNOTATIONS = [
  CHANGES_ANNOTATION,
  FLAGS_ANNOTATION,
  RESOURCE_HASH_ANNOTATION,
  SETTINGS_HASH_ANNOTATION,
];
const VOLUME_NAMES: ReadonlySet<string> = new Set(Object.values(VOLUMES));

/** The pod without the recorder, as a copy. */
export function strip(given: Pod): Pod {
  const pod = structuredClone(given);
  const changes = readChanges(pod.metadata?.annotations?.[CHANGES_ANNOTATION]);
  if (changes !== null && pod.spec !== undefined) {
    undo(pod, changes);
    const { initContainers, volumes } = pod.spec;
    replace(
      pod.spec,
      'initContainers',
      initContainers?.filter(({ name }) => name !== SIDECAR_CONTAINER),
    );
    replace(
      pod.spec,
      'volumes',
      volumes?.filter(({ name }) => !VOLUME_NAMES.has(name)),
    );
  }
  if (pod.metadata !== undefined) {
    replace(pod.metadata, 'labels', without(pod.metadata.labels, [SERVER_LABEL]));
    replace(pod.metadata, 'annotations', without(pod.metadata.annotations, ANNOTATIONS));
  }
  return pod;
}

function without(map: Record<string, string> | undefined, keys: readonly string[]) {
  if (map === undefined) return undefined;
  return Object.fromEntries(Object.entries(map).filter(([key]) => !keys.includes(key)));
}

/** What is empty is left out, as the API server does. */
function replace<T extends object, F extends keyof T>(owner: T, field: F, value: T[F] | undefined): void {
  if (value === undefined || Object.keys(value as object).length === 0) delete owner[field];
  else owner[field] = value;
}
