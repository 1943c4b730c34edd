/**
 * Owns the carrying out of a decision about one resource, write by write, in the one order that is safe to break off anywhere.
 * Invariants: every write may be made twice; what is already so is not written; after a failed write nothing that builds on it is done,
 * but the status is still told; the finalizer goes last.
 */
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import type { Plan } from '../desired/plan.ts';
import { KubeError } from '../kube/kube-error.ts';
import type { KubeObject } from '../kube/resource.ts';
import { CONFIG_MAPS, NETWORK_POLICIES, type Stored } from './kinds.ts';
import {
  type Attempt,
  applyOwned,
  isGone,
  restartWorkload,
  setFinalizer,
  setTarget,
  touchPod,
  type WriteParts,
  writeStatus,
} from './writes.ts';

/** What stands in the cluster, in our copies, of what a plan is about. */
export interface Standing {
  resource: Readonly<Stored<RecordedMCPServer>>;
  /** Objects that the resource owns, and those that have the names of what it will own. */
  configMaps: readonly Readonly<KubeObject>[];
  networkPolicies: readonly Readonly<KubeObject>[];
  services: readonly Readonly<KubeObject>[];
}

/** What came of a plan. */
export interface Outcome {
  /** What the API server refused, in its words, by `Kind/name`; an eviction as `Pod/name`. */
  refusals: Map<string, string>;
  /** What calls for another attempt soon: the API server was not reached, or was in trouble. */
  failure: unknown;
}

/**
 * Carries a plan out as far as it goes. Rejects only when even the status could not be told.
 * @param signal of the queue: a process that ends finishes the write under way and begins no other
 */
export async function carryOut(
  plan: Plan,
  standing: Standing,
  parts: WriteParts,
  signal: AbortSignal,
): Promise<Outcome> {
  const outcome: Outcome = { refusals: new Map(), failure: null };
  const attempt = async (what: string, write: () => Promise<unknown>): Promise<boolean> => {
    signal.throwIfAborted();
    try {
      await write();
      return true;
    } catch (error) {
      return note(outcome, what, error);
    }
  };
  await changeWorld(plan, standing, parts, attempt);
  signal.throwIfAborted();
  const told = await writeStatus(plan, standing.resource, parts);
  const isWhole = outcome.refusals.size === 0 && outcome.failure === null;
  if (!plan.finalizer && isWhole && told !== null) await setFinalizer(false, told, parts.client);
  return outcome;
}

/** The steps before the status, each only after those that it builds on. */
async function changeWorld(
  plan: Plan,
  standing: Standing,
  parts: WriteParts,
  attempt: Attempt,
): Promise<void> {
  const { resource } = standing;
  const { client } = parts;
  const namespace = resource.metadata.namespace as string;
  if (plan.finalizer) {
    const isSet = await attempt(`RecordedMCPServer/${resource.metadata.name}`, () =>
      setFinalizer(true, resource, client),
    );
    if (!isSet) return;
  }
  const own = { ...parts, resource };
  if (!(await applyOwned(CONFIG_MAPS, plan.configMap, standing.configMaps, own, attempt))) return;
  if (!(await applyOwned(NETWORK_POLICIES, plan.networkPolicy, standing.networkPolicies, own, attempt)))
    return;
  for (const { name, uid, digest } of plan.touch) {
    // Without it the kubelet brings the configuration a minute later: nothing waits for it.
    await attempt(`Configuration of Pod/${name}`, () => touchPod({ namespace, name, uid }, digest, client));
  }
  let isDone = true;
  for (const { name, target } of plan.services) {
    const live = standing.services.find(({ metadata }) => metadata.name === name);
    if (live === undefined) continue;
    isDone = (await attempt(`Service/${name}`, () => setTarget(live, target, client))) && isDone;
  }
  if (!isDone) return;
  for (const { workload, restartedFor } of plan.restart) {
    await attempt(`${workload.kind}/${workload.name}`, () =>
      restartWorkload(namespace, workload, restartedFor, client),
    );
  }
  for (const { name, uid } of plan.evict) {
    await attempt(`Pod/${name}`, () => client.evict({ namespace, name }, { uid }));
  }
}

/** Takes a failed write down. @returns whether it counts as made: what it was about is gone, and the next decision is not about it */
function note(outcome: Outcome, what: string, error: unknown): boolean {
  const isAnswer = error instanceof KubeError && error.status !== null;
  // The resource itself changed: it has to be decided anew before anything else is done.
  const isStale = isAnswer && what.startsWith('RecordedMCPServer/');
  if (isAnswer && !isStale && isGone(error)) return true;
  if (isAnswer && !isStale) outcome.refusals.set(what, error.message);
  // A disruption budget says 429, and means: not now.
  const isTrouble =
    !isAnswer || (error.status ?? 0) >= 500 || (error.status === 429 && !what.startsWith('Pod/'));
  if (isTrouble || isStale) outcome.failure ??= error;
  return false;
}
