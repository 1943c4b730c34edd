/**
 * Owns what the recorders' own words make of `StorageHealthy` and `Recording`.
 * Invariant: `True` only when every recorder that runs has said so itself within the last 45 s.
 */
import { listen } from './heard.ts';
import type { LinkStatus } from './observed.ts';
import type { PodFacts } from './pods.ts';
import type { Reason } from './reasons.ts';
import { counted, listed, quoted, type Verdict, verdict } from './verdict.ts';

/** The gate's reasons (sidecar/gate.ts) as reasons of conditions, the worst first. */
const GATE_REASONS = {
  spool_damaged: 'SpoolDamaged',
  spool_failed: 'SpoolFailed',
  spool_stalled: 'SpoolStalled',
  spool_full: 'SpoolFull',
  store_credentials: 'StoreCredentials',
  store_denied: 'StoreDenied',
  store_misconfigured: 'StoreMisconfigured',
  store_invalid: 'StoreInvalid',
  store_full: 'StoreFull',
  store_clock_skew: 'StoreClockSkew',
  store_unreachable: 'StoreUnreachable',
  store_timeout: 'StoreTimeout',
  store_throttled: 'StoreThrottled',
  store_failed: 'StoreFailed',
  store_lag: 'StoreLag',
  drained: 'Starting',
  starting: 'Starting',
} as const satisfies Record<string, Reason>;

interface HeardGate {
  name: string;
  gate: LinkStatus['gate'];
  reason: Reason | null;
}

/** What a gate's reason is called in conditions; one that a newer recorder may give counts as its family does. */
function reasonOf({ state, reason }: LinkStatus['gate']): Reason | null {
  if (state === 'Open' || reason === null) return null;
  if (Object.hasOwn(GATE_REASONS, reason)) return GATE_REASONS[reason as keyof typeof GATE_REASONS];
  return reason.startsWith('spool_') ? 'SpoolFailed' : 'StoreFailed';
}

function gatesOf(pods: readonly PodFacts[], nowMs: number): { heard: HeardGate[]; silent: Verdict | null } {
  const { heard, silent } = listen(pods, nowMs);
  return {
    heard: heard.map(({ name, status: { gate } }) => ({ name, gate, reason: reasonOf(gate) })),
    silent,
  };
}

/** @param store what the recorders write to, for people */
export function storageHealthy(pods: readonly PodFacts[], nowMs: number, store: string): Verdict {
  const { heard, silent } = gatesOf(pods, nowMs);
  const trouble = worst(heard.filter(({ reason }) => reason?.startsWith('Store')));
  if (trouble !== null) return told('False', trouble, ` The store is ${store}.`);
  if (silent !== null) return silent;
  // A disk in trouble says nothing about the store, and a recorder that starts has heard nothing of it.
  const mute = worst(heard);
  if (mute !== null) return told('Unknown', mute);
  return verdict(
    'True',
    'Healthy',
    `${counted(heard.length, 'recorder')} reach${heard.length === 1 ? 'es' : ''} the store.`,
  );
}

export function recording(pods: readonly PodFacts[], nowMs: number): Verdict {
  const bare = pods.filter(({ selected, recorded, runs }) => selected && runs && !recorded);
  if (bare.length > 0) {
    return verdict('False', 'PodsUnrecorded', `Without a recorder: ${listed(bare.map(({ name }) => name))}.`);
  }
  const { heard, silent } = gatesOf(pods, nowMs);
  const open = heard.filter(({ gate }) => gate.state === 'FailOpen');
  if (open[0] !== undefined) {
    const names = listed(open.map(({ name }) => name));
    return verdict(
      'False',
      'PassesUnrecorded',
      `Calls pass unrecorded at ${names}: ${wordsOf(open[0].gate)}.`,
    );
  }
  const closed = worst(heard.filter(({ gate, reason }) => gate.state === 'Closed' && reason !== 'Starting'));
  if (closed !== null) return told('False', closed);
  if (silent !== null) return silent;
  const starting = worst(heard.filter(({ gate }) => gate.state === 'Closed'));
  if (starting !== null) return told('Unknown', starting);
  return verdict(
    'True',
    'Recording',
    `${counted(heard.length, 'pod')} record${heard.length === 1 ? 's' : ''}.`,
  );
}

/** Those with the worst reason, or null when none has one. */
function worst(heard: readonly HeardGate[]): HeardGate[] | null {
  const found = Object.values(GATE_REASONS).find((reason) => heard.some((one) => one.reason === reason));
  return found === undefined ? null : heard.filter(({ reason }) => reason === found);
}

function told(status: Verdict['status'], heard: HeardGate[], more = ''): Verdict {
  const [first] = heard as [HeardGate, ...HeardGate[]];
  const names = listed(heard.map(({ name }) => name));
  return verdict(status, first.reason ?? 'Starting', `At ${names}: ${wordsOf(first.gate)}.${more}`);
}

/** The recorder's words without what changes from one look to the next: the object that was tried, how far behind it is. */
function wordsOf({ message, reason }: LinkStatus['gate']): string {
  const words = (message ?? reason ?? 'no reason given')
    .replaceAll(/\b(put|get|head|list|probe) \S+ failed/g, '$1 failed')
    .replaceAll(/\b\d+(\.\d+)? s behind/g, 'too far behind')
    .replaceAll(/\b\d{3,} bytes/g, 'bytes');
  return quoted(words);
}
