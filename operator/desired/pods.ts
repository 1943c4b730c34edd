/**
 * Owns what a decision sees in each pod: whose it is, whether and with what it is recorded, whether it runs.
 * Invariant: pods that have ended are not there; a pod is `recorded` only with both the label that the policy selects and the container.
 */
import type { Pod } from 'kubernetes-types/core/v1';
import {
  CONFIGURATION_ANNOTATION,
  FLAGS_ANNOTATION,
  PORT_NAMES,
  RESOURCE_HASH_ANNOTATION,
  RESTART_ANNOTATION,
  SERVER_LABEL,
  SETTINGS_HASH_ANNOTATION,
  SIDECAR_CONTAINER,
} from '../naming.ts';
import { type Flag, readFlags } from '../webhook/inject/flags.ts';
import { type InjectionHashes, injectionHashes } from '../webhook/inject/hashes.ts';
import type { Look, Observed, Workload } from './observed.ts';
import { isMadeWith } from '../webhook/inject/sidecar.ts';
import { matches, oldestMatching } from './selectors.ts';

export interface PodFacts {
  pod: Pod;
  name: string;
  uid: string;
  labels: Readonly<Record<string, string>>;
  /** The selector matches it, and no other resource has it. */
  selected: boolean;
  /** It has the container. */
  injected: boolean;
  /** It has the container and our label. */
  recorded: boolean;
  /** Its recorder was made by our webhook, for this resource: no other one's word counts. */
  genuine: boolean;
  /** Its recorder is of this resource as it is now. */
  current: boolean;
  /** Its recorder is of the chart's settings as they are now. */
  upToDate: boolean;
  /** Containers of it may run: connections are possible. */
  runs: boolean;
  ready: boolean;
  /** When it last became or ceased to be ready, or else when it was made; ms since the epoch. */
  readySinceMs: number;
  createdMs: number;
  terminating: boolean;
  /** Value of our restart annotation in the template that it was made from. */
  restartedFor: string | null;
  /** Digest of the configuration that it was touched for. */
  touchedFor: string | null;
  /** The port that clients are to come to; null without a recorder. */
  recorderPort: number | null;
  /** What injection noticed. */
  flags: readonly Flag[];
  /** Addresses of its node. */
  nodeAddresses: readonly string[];
  workload: Workload | null;
  look: Look | null;
}

export interface PodsOfResource {
  /** Selected ones, and others that have its recorder. */
  mine: PodFacts[];
  /** Names of pods that the selector matches and that are another resource's, by the name of that. */
  lost: ReadonlyMap<string, string[]>;
}

/** Pods sorted by name, so that decisions come in the same order every time. */
export function podsOf(observed: Observed): PodsOfResource {
  const { resource, siblings } = observed;
  const living = observed.pods.filter((pod) => !hasEnded(pod));
  const sorted = living.toSorted((a, b) => ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1));
  const hashes = injectionHashes(resource, observed.settings);
  const removing = resource.metadata.deletionTimestamp !== undefined;
  const mine: PodFacts[] = [];
  const lost = new Map<string, string[]>();
  for (const pod of sorted) {
    const matched = matches(resource.spec.selector, pod.metadata?.labels);
    const winner = removing ? null : oldestMatching([resource, ...siblings], pod.metadata?.labels);
    const selected = matched && (removing || winner === resource);
    const facts = factsOf(pod, selected, observed, hashes);
    if (matched && !selected && winner !== null) {
      const name = winner.metadata.name ?? '';
      lost.set(name, [...(lost.get(name) ?? []), facts.name]);
    }
    if (selected || facts.labels[SERVER_LABEL] === resource.metadata.name) mine.push(facts);
  }
  return { mine, lost };
}

/**
 * Whether a server may run in a pod. The phase alone does not tell: a pod is `Pending` for as long as one of its ordinary containers has never
 * started, however many others run. Init containers can serve too, and without a recorder nothing stands in front of them.
 */
function mayServe({ status }: Pod, recorded: boolean): boolean {
  if (status?.phase === undefined) return false;
  if (status.phase !== 'Pending') return true;
  const { containerStatuses = [], initContainerStatuses = [] } = status;
  const serving = recorded ? containerStatuses : [...containerStatuses, ...initContainerStatuses];
  return serving.some(({ state, started }) => state?.running !== undefined || started === true);
}

/** Whether there is something to look at in a recorded pod. */
export function isWorthALook(pod: Pod): boolean {
  return !hasEnded(pod) && mayServe(pod, true);
}

/** Where the recorder of a pod takes connections; null without one. */
export function recorderPortOf({ spec }: Pod): number | null {
  const sidecar = spec?.initContainers?.find(({ name }) => name === SIDECAR_CONTAINER);
  return sidecar?.ports?.find(({ name }) => name !== PORT_NAMES.status)?.containerPort ?? null;
}

function hasEnded({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

function factsOf(
  pod: Pod,
  selected: boolean,
  { resource, workloads, looks, sessionKey }: Observed,
  hashes: InjectionHashes,
): PodFacts {
  const { metadata, spec, status } = pod;
  const labels = metadata?.labels ?? {};
  const annotations = metadata?.annotations ?? {};
  const uid = metadata?.uid ?? '';
  const sidecar = spec?.initContainers?.find(({ name }) => name === SIDECAR_CONTAINER);
  const readiness = status?.conditions?.find(({ type }) => type === 'Ready');
  const createdMs = Date.parse(metadata?.creationTimestamp ?? '') || 0;
  const recorded = sidecar !== undefined && labels[SERVER_LABEL] === resource.metadata.name;
  const genuine = recorded && isMadeWith(sessionKey, pod);
  return {
    pod,
    name: metadata?.name ?? '',
    uid,
    labels,
    selected,
    injected: sidecar !== undefined,
    recorded,
    genuine,
    current: genuine && annotations[RESOURCE_HASH_ANNOTATION] === hashes.resource,
    upToDate: recorded && annotations[SETTINGS_HASH_ANNOTATION] === hashes.settings,
    runs: mayServe(pod, recorded),
    ready: readiness?.status === 'True',
    readySinceMs: Date.parse(readiness?.lastTransitionTime ?? '') || createdMs,
    createdMs,
    terminating: metadata?.deletionTimestamp !== undefined,
    restartedFor: annotations[RESTART_ANNOTATION] ?? null,
    touchedFor: annotations[CONFIGURATION_ANNOTATION] ?? null,
    recorderPort: recorderPortOf(pod),
    flags: readFlags(annotations[FLAGS_ANNOTATION]),
    nodeAddresses: [...(status?.hostIPs?.map(({ ip }) => ip ?? '') ?? []), status?.hostIP ?? ''].filter(
      (address) => address !== '',
    ),
    workload: workloads.get(uid) ?? null,
    look: looks.get(uid) ?? null,
  };
}
