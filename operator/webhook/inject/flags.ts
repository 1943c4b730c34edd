/**
 * Owns what is worth knowing of a pod that is recorded all the same: words for its annotation, sentences for people.
 * Invariant: a flag never stops an injection, and each has a sentence that says what follows from it.
 */
import type { Container, Pod } from 'kubernetes-types/core/v1';

const NOTES = {
  mesh: 'The pod is part of a service mesh: the mesh must let the operator and the kubelet reach the status port as it is (for Istio: the annotation traffic.sidecar.istio.io/excludeInboundPorts).',
  meshContainer:
    "The mesh's proxy is an ordinary container of the pod, not a native sidecar: it may stop before the recorder has uploaded. Switch the mesh to native sidecars.",
  ambient:
    "The pod is in an ambient mesh, whose node proxy carries its connections: a NetworkPolicy sees the proxy's port, not the server's. Test direct access there before you rely on it.",
  fsGroup:
    "The pod sets fsGroup: the recorder's files are readable by that group, which no other container can use, for none mounts them.",
  preStopTooShort:
    "The server's preStop hook takes less than 3 s: calls that arrive while endpoints are still being updated can fail when the pod stops. Remove the hook, or let it sleep 3 s or more.",
  preStopUnknown:
    "It can't be told whether the server's own preStop hook takes 3 s or more: if it takes less, calls can fail when the pod stops. Remove it to let the recorder's drain hold the server.",
  probesRewritten:
    "Probes or hooks named the server's port, whose name now belongs to the recorder; they use its number.",
  probesThroughRecorder:
    'Probes or hooks of the server go through the recorder: while it lets nothing pass, they fail. Use an exec probe where the server must not be restarted for that.',
  credentialsShared:
    "Another container of the pod reads the Secret with the recorder's credentials for the store: it can write there what the recorder has not seen.",
  podResources:
    'The pod has resources as a whole (spec.resources): the recorder shares them and has no CPU and memory of its own.',
} as const;

export type Flag = keyof typeof NOTES;

/** What a flag of a pod means and what can be done, for people. */
export function flagNote(flag: Flag): string {
  return NOTES[flag];
}

/** Reads the annotation; words that this version does not know, and texts that are no list, are left out. */
export function readFlags(text: string | undefined): Flag[] {
  try {
    const words: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(words)
      ? words.filter((word): word is Flag => Object.hasOwn(NOTES, String(word)))
      : [];
  } catch {
    return [];
  }
}

const MESH_CONTAINERS = new Set([
  'istio-proxy',
  'istio-init',
  'istio-validation',
  'linkerd-proxy',
  'linkerd-init',
]);
const MESH_PROXY = /^(istio|linkerd)-proxy$/;
/** Labels or annotations by which a pod asks a mesh's webhook in. */
const MESH_MARKS: Record<string, readonly string[]> = {
  'sidecar.istio.io/inject': ['true'],
  'linkerd.io/inject': ['enabled', 'ingress'],
};

/** What a pod's surroundings say, as far as the pod itself tells: a mesh chosen by its namespace's label shows by the containers only. */
export function surroundings(pod: Pod): Flag[] {
  const flags: Flag[] = [];
  const { labels = {}, annotations = {} } = pod.metadata ?? {};
  const containers = pod.spec?.containers ?? [];
  const all: Container[] = [...containers, ...(pod.spec?.initContainers ?? [])];
  const marked = Object.entries(MESH_MARKS).some(([key, values]) =>
    values.some((value) => labels[key] === value || annotations[key] === value),
  );
  if (marked || all.some(({ name }) => MESH_CONTAINERS.has(name))) flags.push('mesh');
  if (containers.some(({ name }) => MESH_PROXY.test(name))) flags.push('meshContainer');
  if (labels['istio.io/dataplane-mode'] === 'ambient') flags.push('ambient');
  if (pod.spec?.securityContext?.fsGroup !== undefined) flags.push('fsGroup');
  return flags;
}
