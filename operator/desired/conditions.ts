/**
 * Owns the conditions of one resource, and what follows from how they change: transition times, since when it is enforced, events.
 * Invariant: equal verdicts give an equal status, whatever the time; only a change of a condition's status changes its time.
 */
import type { Condition, RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import type { PlannedEvent } from './plan.ts';
import { CONDITION_TYPES, type ConditionType } from './reasons.ts';
import type { Verdict } from './verdict.ts';

export type Verdicts = Record<ConditionType, Verdict>;

/** When nobody could say for so long whether a way was open, what was enforced before counts no more (ms). */
const KNOWLEDGE_LASTS_MS = 10 * 60_000;
/** Conditions where `True` is what is wrong. */
const NEGATIVE: readonly ConditionType[] = ['RolloutBlocked', 'Conflict'];
/** What the API server takes as the note of an event, characters. */
const MAX_NOTE = 1_000;

export function conditionsOf(resource: RecordedMCPServer, verdicts: Verdicts, nowMs: number): Condition[] {
  return CONDITION_TYPES.map((type) => {
    const { status, reason, message } = verdicts[type];
    const before = conditionOf(resource, type);
    return {
      type,
      status,
      observedGeneration: resource.metadata.generation ?? 0,
      lastTransitionTime: before?.status === status ? before.lastTransitionTime : timeOf(nowMs),
      reason,
      message,
    };
  });
}

export function conditionOf({ status }: RecordedMCPServer, type: ConditionType): Condition | null {
  return status?.conditions?.find((condition) => condition.type === type) ?? null;
}

/**
 * Since when it is enforced: kept while nothing was found open, and not for ever when nobody could look.
 * @returns null: not now
 */
export function enforcedSince(resource: RecordedMCPServer, enforced: Verdict, nowMs: number): string | null {
  const since = resource.status?.enforcedSince ?? null;
  if (enforced.status === 'True') return since ?? timeOf(nowMs);
  if (enforced.status === 'False' || since === null) return null;
  const before = conditionOf(resource, 'Enforced');
  // Without pods there was no way, known or not.
  if (before?.status !== 'Unknown' || enforced.reason === 'NoPods') return since;
  return nowMs - Date.parse(before.lastTransitionTime) > KNOWLEDGE_LASTS_MS ? null : since;
}

/**
 * What keeps the resource from being ready: the first of these verdicts that says so, for certain before perhaps.
 * @param verdicts the most telling first; what is told of `RolloutBlocked` and `Conflict` is wrong when `True`
 */
export function firstTrouble(verdicts: readonly (readonly [ConditionType, Verdict])[]): Verdict | null {
  const troubled = verdicts.map(([type, said]): Verdict => {
    if (!NEGATIVE.includes(type) || said.status === 'Unknown') return said;
    return { ...said, status: said.status === 'True' ? 'False' : 'True' };
  });
  return (
    troubled.find(({ status }) => status === 'False') ??
    troubled.find(({ status }) => status === 'Unknown') ??
    null
  );
}

/** An event for each condition that has become wrong, or is wrong for another reason than before, and for the ends of adoption. */
export function eventsOf(resource: RecordedMCPServer, verdicts: Verdicts): PlannedEvent[] {
  const events: PlannedEvent[] = [];
  const arrived = resource.status?.phase === 'Enforced';
  for (const type of CONDITION_TYPES) {
    const { status, reason, message } = verdicts[type];
    const before = conditionOf(resource, type);
    const isWrong = status === (NEGATIVE.includes(type) ? 'True' : 'False');
    const toldElsewhere =
      type === 'Ready' &&
      CONDITION_TYPES.some((other) => other !== 'Ready' && verdicts[other].reason === reason);
    const changed = before?.status !== status || before.reason !== reason;
    if (
      isWrong &&
      changed &&
      !toldElsewhere &&
      !ORDINARY.has(reason) &&
      (arrived || !ON_THE_WAY.has(reason))
    ) {
      events.push({ type: 'Warning', reason, action: type, note: message.slice(0, MAX_NOTE) });
    }
    if (type === 'Enforced' && status === 'True' && before?.status !== 'True') {
      events.push({ type: 'Normal', reason, action: type, note: message.slice(0, MAX_NOTE) });
    }
  }
  return events;
}

/** Stations on the way in and out are no warnings; after the arrival those that would lead back are. */
const ON_THE_WAY: ReadonlySet<string> = new Set([
  'NotBegun',
  'Injecting',
  'Retargeting',
  'Enforcing',
  'PolicyMissing',
  'PolicyChanged',
  'PodsUnrecorded',
  'PodUnrecorded',
]);
/** What belongs to every change that somebody wanted. */
const ORDINARY: ReadonlySet<string> = new Set([
  'AdmissionNotReady',
  'ConfigurationPending',
  'NoPods',
  'PodsNotCurrent',
  'Removing',
]);

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export function timeOf(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
