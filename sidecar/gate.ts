/**
 * Owns the decision whether exchanges may begin: Open, Degraded (they may, but the store is in trouble), Closed, or FailOpen (they may,
 * unrecorded, because the configuration says so).
 * Invariants: closed means that no exchange begins; every state but Open has a reason that clients, probes, status, metrics and logs give
 * alike; a worse store counts at once, a better one only when it has lasted (hysteresis), so that one that comes and goes does not swing the
 * gate. The disk here counts at once, both ways.
 */
import type { StoreErrorCode } from '@mcp-recorder/recording/store/object-store';
import { OBSTACLE_HINTS } from './spool/append-queue.ts';
import type { Obstacle } from './spool/spool.ts';

/** What is wrong with the way to the store; `store_lag`: uploads work, and are too slow. */
export type StoreReason = `store_${Exclude<StoreErrorCode, 'not_found'>}` | 'store_lag';
export type GateReason = 'starting' | 'drained' | Obstacle['reason'] | StoreReason;

export interface GateCause {
  reason: GateReason;
  /** What is wrong, a sentence without its full stop. */
  message: string;
  /** What a person can do about it. */
  hint: string;
}

export type GateState =
  | { state: 'Open'; sinceMs: number; cause: null }
  | { state: 'Degraded' | 'Closed' | 'FailOpen'; sinceMs: number; cause: GateCause };

/** The way to the store, as it is now. */
export interface StoreHealth {
  /** For how long it has been failing or silent: since the start of the oldest attempt without a success after it (ms); 0 = it has not. */
  troubleMs: number;
  /** Its last attempt has failed. */
  failing: boolean;
  /** How far the store is behind the disk (ms). */
  lagMs: number;
  /** It has taken nothing since this process began. */
  unproven: boolean;
  /** Why, as far as it is known. */
  cause: GateCause | null;
}

/** What the configuration says of failures. */
export interface GatePolicy {
  /** How long the store may be in trouble, and how far behind, before the gate closes (ms). */
  maxUploadLagMs: number;
  onFailure: 'Closed' | 'Open';
}

export interface GateOptions extends GatePolicy {
  /** Called after each change of state or reason. */
  onChange(now: GateState, before: GateState): void;
  /** Monotonic. */
  nowMs(): number;
}

export interface Gate {
  readonly current: GateState;
  /** Whether the spool takes lines, whatever the store does. */
  readonly spoolWorks: boolean;
  /** Whether exchanges could begin at any time so far. */
  readonly hasOpened: boolean;
  /** What keeps the spool from being written, or null. */
  observeSpool(obstacle: Obstacle | null): void;
  observeStore(health: StoreHealth): void;
  /** Another policy counts from here on: what is known of the store is judged anew, without regard to how it was judged before. */
  setPolicy(policy: GatePolicy): void;
  /** Nothing begins any more. */
  drained(): void;
}

/** Behind by this share of `maxUploadLag` the gate says Degraded, and below it a closed gate may open. */
export const DEGRADED_SHARE = 0.5;
/** A better state must have lasted so long before it is believed (ms). */
export const SETTLE_MS = 1_000;

const STARTING: GateCause = {
  reason: 'starting',
  message: 'the recorder is starting: the store has not answered yet',
  hint: 'Wait a moment.',
};
const DRAINED: GateCause = {
  reason: 'drained',
  message: 'the recorder has stopped',
  hint: 'Send the request to another instance.',
};

/** Whether the cause lies outside of this process's pod, so that taking the pod out of service would help nobody. */
export function isShared({ reason }: GateCause): boolean {
  return reason.startsWith('store_');
}

/** A gate that is closed (`starting`) until spool and store have been observed. */
export function createGate(options: GateOptions): Gate {
  const { onChange, nowMs } = options;
  let { maxUploadLagMs, onFailure } = options;
  let spool: Obstacle | null = null;
  let store: StoreHealth | null = null;
  let isDrained = false;
  /** How bad the store is held to be: 0 well, 1 in trouble, 2 past its bound. */
  let level = 0;
  let betterSinceMs: number | null = null;
  /** The last cause that was known: a store that has come back is named until its return has lasted. */
  let lastCause: GateCause | null = null;
  let current: GateState = { state: 'Closed', sinceMs: Date.now(), cause: STARTING };
  let hasOpened = false;

  function levelOf({ troubleMs, lagMs, failing, unproven }: StoreHealth): number {
    const behindMs = Math.max(troubleMs, lagMs);
    const inTrouble = failing || behindMs >= maxUploadLagMs * DEGRADED_SHARE;
    if (behindMs >= maxUploadLagMs || (unproven && inTrouble)) return 2;
    return inTrouble ? 1 : 0;
  }

  /** Takes a worse level at once, a better one when it has lasted. From past the bound, half of it counts as better whatever fails. */
  function settleLevel(health: StoreHealth): void {
    const seen = levelOf(health);
    const behindMs = Math.max(health.troubleMs, health.lagMs);
    const better = seen < level && (level < 2 || behindMs < maxUploadLagMs * DEGRADED_SHARE);
    if (seen > level) level = seen;
    if (!better) betterSinceMs = null;
    else if (betterSinceMs === null) betterSinceMs = nowMs();
    else if (nowMs() - betterSinceMs >= SETTLE_MS) {
      level = seen;
      betterSinceMs = null;
    }
    settleCause(health);
  }

  function settleCause(health: StoreHealth): void {
    const lags = health.lagMs >= maxUploadLagMs * DEGRADED_SHARE;
    if (level === 0) lastCause = null;
    else if (health.cause !== null) lastCause = health.cause;
    // A lag that the disk here began is not the store's until it is gone.
    else if (lastCause === null || (lags && isShared(lastCause))) lastCause = lagCause(health);
  }

  function lagCause({ lagMs }: StoreHealth): GateCause {
    return {
      reason: 'store_lag',
      message: `the store is ${(lagMs / 1000).toFixed(1)} s behind`,
      hint: 'Uploads are too slow for the traffic: look at the network and at the store, or raise recording.maxUploadLag.',
    };
  }

  function decide(): { state: GateState['state']; cause: GateCause | null } {
    if (isDrained) return { state: 'Closed', cause: DRAINED };
    if (spool !== null) {
      const full = spool.reason === 'spool_full' && lastCause !== null && isShared(lastCause);
      const cause = full ? withSpoolFull(lastCause as GateCause, spool.message) : spoolCause(spool);
      return { state: onFailure === 'Open' ? 'FailOpen' : 'Closed', cause };
    }
    if (store === null || (store.unproven && level === 0)) return { state: 'Closed', cause: STARTING };
    if (level === 0) return { state: 'Open', cause: null };
    // What is on disk here is recorded: only who asked that nothing passes is stopped by the store alone.
    const closes = level === 2 && onFailure === 'Closed';
    return { state: closes ? 'Closed' : 'Degraded', cause: lastCause };
  }

  function update(): void {
    const { state, cause } = decide();
    if (state === current.state && cause?.reason === current.cause?.reason) {
      // The words may say more by now.
      if (cause !== null && current.state !== 'Open') current = { ...current, cause };
      return;
    }
    const before = current;
    const sinceMs = state === before.state ? before.sinceMs : Date.now();
    current =
      state === 'Open' || cause === null
        ? { state: 'Open', sinceMs, cause: null }
        : { state, sinceMs, cause };
    hasOpened ||= state !== 'Closed';
    onChange(current, before);
  }

  return {
    get current() {
      return current;
    },
    get spoolWorks() {
      return spool === null;
    },
    get hasOpened() {
      return hasOpened;
    },
    observeSpool(obstacle) {
      spool = obstacle;
      update();
    },
    observeStore(health) {
      store = health;
      settleLevel(health);
      update();
    },
    setPolicy(policy) {
      ({ maxUploadLagMs, onFailure } = policy);
      if (store !== null) {
        level = levelOf(store);
        betterSinceMs = null;
        settleCause(store);
      }
      update();
    },
    drained() {
      isDrained = true;
      update();
    },
  };
}

/** A fault of this machine's disk, for people. */
export function spoolCause({ reason, message }: Obstacle): GateCause {
  return { reason, message, hint: OBSTACLE_HINTS[reason] };
}

/** A spool that is full because the store takes nothing is the store's fault, and shared with all other pods. */
function withSpoolFull(cause: GateCause, full: string): GateCause {
  return { ...cause, message: `${cause.message}; meanwhile ${full}` };
}
