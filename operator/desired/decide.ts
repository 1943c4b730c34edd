/**
 * Owns the decision about one resource: from what was observed to what has to be.
 * Invariants: a function of what was observed and nothing else; carried out and observed again, it comes to rest; what it says of the state is
 * never better than what was seen.
 */
import { adopt } from './adoption.ts';
import { enforcedSince, eventsOf } from './conditions.ts';
import { configMapDigest, holdsSameFiles } from './config-map.ts';
import { podsToTouch } from './delivery.ts';
import { PROXIES_FOLLOW_MS } from './enforcement.ts';
import { keptPolicy } from './network-policy.ts';
import { notesOf } from './notes.ts';
import type { Observed } from './observed.ts';
import type { Plan, PlannedEvent } from './plan.ts';
import { LOOK_COUNTS_MS } from './probe.ts';
import { leftOver, remove, REMOVAL_BOUND_MS } from './removal.ts';
import type { Renewal } from './renewal.ts';
import { type Situation, situationOf } from './situation.ts';
import { statusOf } from './status.ts';
import { verdictsOf, verdictsOfRemoval } from './verdicts.ts';

/** Decided again after so long though nothing changed: while something is under way, and at rest (ms). */
const UNDER_WAY_MS = 5_000;
const AT_REST_MS = 15_000;
const SOONEST_MS = 500;

/** What has to be done about one resource now, and what its status has to say. */
export function decide(observed: Observed): Plan {
  const situation = situationOf(observed);
  return observed.resource.metadata.deletionTimestamp === undefined
    ? decideRecording(situation)
    : decideRemoval(situation);
}

function decideRecording(situation: Situation): Plan {
  const { closing } = situation;
  const { resource, nowMs } = situation.observed;
  const adoption = adopt(situation);
  const verdicts = verdictsOf(situation, adoption);
  const { renewal, servicesRightSinceMs } = adoption;
  const phase = verdicts.Enforced.status === 'True' ? 'Enforced' : adoption.stage;
  const followMs =
    adoption.stage === 'Retargeting' && servicesRightSinceMs !== null
      ? [servicesRightSinceMs + PROXIES_FOLLOW_MS - nowMs]
      : [];
  const { standingPolicy } = situation;
  const { configMap } = adoption;
  const digest = configMapDigest(resource, configMap);
  const stands = configMap !== null && holdsSameFiles(configMap, situation.observed.configMap);
  const kept = standingPolicy === null ? null : keptPolicy(resource, standingPolicy);
  return {
    admission: true,
    configMap,
    networkPolicy: adoption.closes ? (adoption.policy ?? kept) : null,
    services: adoption.traffic.services,
    restart: renewal.restart,
    touch: podsToTouch(situation.pods, stands ? digest : null, nowMs),
    evict: renewal.evict,
    status: statusOf(situation, verdicts, {
      phase,
      enforcedSince: enforcedSince(resource, verdicts.Enforced, nowMs),
      digest,
      notes: notesOf(situation, adoption),
    }),
    finalizer: true,
    events: [...eventsOf(resource, verdicts), ...stepsOf(renewal)],
    memory: { servicesRightSinceMs, closedSinceMs: closing.closedSinceMs, peers: closing.peers },
    againMs: soonest(phase === 'Enforced' ? AT_REST_MS : UNDER_WAY_MS, [...followMs, ...looksEnd(situation)]),
  };
}

function decideRemoval(situation: Situation): Plan {
  const { resource, nowMs } = situation.observed;
  const removal = remove(situation);
  const { renewal } = removal;
  const verdicts = verdictsOfRemoval(renewal.blocked);
  const left: PlannedEvent[] =
    removal.left.length === 0
      ? []
      : [{ type: 'Warning', reason: 'RemovalIncomplete', action: 'Removing', note: leftOver(removal) }];
  const boundMs = Date.parse(resource.metadata.deletionTimestamp ?? '') + REMOVAL_BOUND_MS - nowMs;
  return {
    admission: false,
    configMap: removal.configMap,
    networkPolicy: removal.policy,
    services: removal.services,
    restart: renewal.restart,
    touch: [],
    evict: renewal.evict,
    status: statusOf(situation, verdicts, {
      phase: 'Removing',
      enforcedSince: null,
      digest: configMapDigest(resource, removal.configMap),
      notes: [],
    }),
    finalizer: !removal.done,
    events: [...eventsOf(resource, verdicts), ...stepsOf(renewal), ...left],
    memory: { servicesRightSinceMs: null, closedSinceMs: null, peers: {} },
    againMs: soonest(UNDER_WAY_MS, [boundMs]),
  };
}

/** Events for what is done to pods. */
function stepsOf({ restart, evict }: Renewal): PlannedEvent[] {
  return [
    ...restart.map(
      ({ workload: { ownerKind, name } }): PlannedEvent => ({
        type: 'Normal',
        reason: 'Restarting',
        action: 'Rollout',
        note: `${ownerKind} ${name} makes its pods anew.`,
      }),
    ),
    ...evict.map(
      ({ name, why }): PlannedEvent => ({
        type: 'Normal',
        reason: 'Evicting',
        action: 'Rollout',
        note: `Pod ${name}: ${why}.`,
      }),
    ),
  ];
}

/** When looks that count now will count no more, ms from now. */
function looksEnd({ observed: { nowMs }, pods }: Situation): number[] {
  return pods
    .map(({ look }) => (look === null ? 0 : look.atMs + LOOK_COUNTS_MS + 1 - nowMs))
    .filter((inMs) => inMs > 0);
}

function soonest(usualMs: number, others: readonly number[]): number {
  return Math.max(SOONEST_MS, Math.min(usualMs, ...others));
}
