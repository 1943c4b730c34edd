/**
 * Owns the reconciling of one resource: observe, decide, carry out, and remember what the next time needs.
 * Invariant: a decision is about what was observed at one time; what it was told to remember is kept for this very object, by uid, and
 * forgotten with it.
 */
import type { Logger } from 'pino';
import { decide } from '../desired/decide.ts';
import type { Observed } from '../desired/observed.ts';
import type { Plan } from '../desired/plan.ts';
import type { EventEmitter } from '../kube/events.ts';
import type { LookTarget } from '../link/look.ts';
import { carryOut } from './carry-out.ts';
import { lookTargets, observe, type ObserveParts, type Remembered } from './observe.ts';
import type { WriteParts } from './writes.ts';

export interface ResourceParts extends ObserveParts, WriteParts {
  /** What admission should do about a resource's pods; null: there is no such resource. */
  wantAdmission(key: string, wanted: boolean | null): void;
  /** Where people are told of what was done. */
  events: EventEmitter;
  log: Logger;
}

export interface ResourceReconciler {
  /**
   * @returns in how many milliseconds to decide again though nothing changed; null: there is nothing to decide
   * @throws what calls for another attempt
   */
  reconcile(key: string, signal: AbortSignal): Promise<number | null>;
}

/** When the API server refused something else than the last time, its words are told soon (ms). */
const REFUSED_AGAIN_MS = 200;

/** How long an unknown that comes only of our not having looked yet is kept back (ms): a look takes up to 5 s. */
const FIRST_LOOK_MS = 8_000;

interface Entry extends Remembered {
  uid: string;
  /** Since when an unknown is kept back, ms since the epoch; null: none is. */
  heldSinceMs: number | null;
  /** What of the pods and the policy calls for a look at once when it changes. */
  scene: string;
}

export function createResourceReconciler(parts: ResourceParts): ResourceReconciler {
  const entries = new Map<string, Entry>();

  function forget(key: string): null {
    const entry = entries.get(key);
    if (entry !== undefined) parts.written.forget(`status ${entry.uid}`);
    entries.delete(key);
    parts.looks.watch(key, []);
    parts.wantAdmission(key, null);
    return null;
  }

  return {
    async reconcile(key, signal) {
      const before = entries.get(key);
      const seen = await observe(key, before ?? { memory: null, refusals: new Map() }, parts);
      if (seen === null) return forget(key);
      const { observed, standing } = seen;
      const { uid = '' } = standing.resource.metadata;
      // Another resource of the same name begins anew.
      if (before !== undefined && before.uid !== uid) {
        forget(key);
        return 0;
      }
      const decided = decide(observed);
      const targets = lookTargets(observed, decided.status.serverPort);
      parts.wantAdmission(key, decided.admission);
      parts.looks.watch(key, targets);
      const scene = sceneOf(observed);
      if (scene !== before?.scene) parts.looks.soon(key);
      const heldSinceMs = isUnseen(observed, decided, targets)
        ? (before?.heldSinceMs ?? observed.nowMs)
        : null;
      const isHeld = heldSinceMs !== null && observed.nowMs - heldSinceMs < FIRST_LOOK_MS;
      const plan = isHeld ? { ...decided, status: standing.resource.status ?? {}, events: [] } : decided;
      const refusals = before?.refusals ?? new Map<string, string>();
      const entry = { uid, memory: plan.memory, refusals, scene, heldSinceMs };
      entries.set(key, entry);
      const outcome = await carryOut(plan, standing, parts, signal);
      entries.set(key, { ...entry, refusals: outcome.refusals });
      for (const event of plan.events) parts.events.emit(standing.resource, event);
      for (const [what, why] of outcome.refusals) parts.log.warn({ resource: key, what }, why);
      if (outcome.failure !== null) throw outcome.failure;
      const isNews = namesOf(refusals) !== namesOf(outcome.refusals);
      return Math.min(
        plan.againMs,
        isNews ? REFUSED_AGAIN_MS : plan.againMs,
        isHeld ? FIRST_LOOK_MS : plan.againMs,
      );
    },
  };
}

/**
 * Whether a resource that was ready is unknown now only because pods have not been looked at yet: new ones, or all of them by a replica that
 * has just begun to lead. What was said before stands until they were.
 */
function isUnseen({ resource, looks }: Observed, { status }: Plan, targets: readonly LookTarget[]): boolean {
  const ready = (of: Plan['status'] | undefined) => of?.conditions?.find(({ type }) => type === 'Ready');
  return (
    ready(resource.status)?.status === 'True' &&
    ready(status)?.reason === 'ProbeStale' &&
    targets.some(({ uid }) => !looks.has(uid))
  );
}

function namesOf(refusals: ReadonlyMap<string, string>): string {
  return [...refusals.keys()].toSorted().join(' ');
}

/** Pods that begin to run, become ready or go, and the policy in front of them. */
function sceneOf({ pods, networkPolicies, resource }: Observed): string {
  const shown = pods.map(({ metadata, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status;
    return [metadata?.uid, status?.phase, status?.podIP, ready, metadata?.deletionTimestamp !== undefined];
  });
  const policies = networkPolicies
    .filter(({ metadata }) => metadata?.ownerReferences?.some(({ uid }) => uid === resource.metadata.uid))
    .map(({ metadata }) => metadata?.resourceVersion);
  return JSON.stringify([shown, policies]);
}
