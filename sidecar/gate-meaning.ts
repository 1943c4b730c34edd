/**
 * Owns what a state of the gate means for those who wait for the store, for probes, and for who reads the log.
 */
import type { Logger } from 'pino';
import { type Gate, type GateState, isShared } from './gate.ts';
import type { AckPolicy } from './spool/spool.ts';
import type { Readiness } from './status.ts';

const GATE_WORDS = {
  Open: 'open',
  Degraded: 'degraded',
  Closed: 'closed',
  FailOpen: 'failing open',
} as const;

/** Says the state and, unless it is open, why. */
export function logGate(log: Logger, { state, cause }: GateState): void {
  if (cause === null) {
    log.info({ gate: state }, 'the gate is open: exchanges pass');
    return;
  }
  const { reason, message, hint } = cause;
  const level = reason === 'drained' ? 'info' : 'warn';
  log[level]({ gate: state, reason, hint }, `the gate is ${GATE_WORDS[state]}: ${message}`);
}

/** With commit mode `ObjectStorage`: nothing waits for a store that has been given up. */
export function ackPolicy({ state, cause }: GateState, onFailure: 'Closed' | 'Open'): AckPolicy {
  // A disk that takes nothing refuses by itself, and those who have it behind them still wait for a store that is well.
  const givenUp = state === 'Closed' && (isShared(cause) || cause.reason === 'drained');
  if (givenUp) return { kind: 'refuse', message: cause.message };
  // Who wants calls to pass whatever happens is served with what the disk has, as long as the store is in trouble.
  return onFailure === 'Open' && state !== 'Open' ? { kind: 'pass' } : { kind: 'wait' };
}

/**
 * Ready while exchanges may begin; a recorder that drains wants no new ones. What keeps all pods alike from it leaves each of them ready:
 * a client is then told the reason, where otherwise no pod would answer. But a recorder that never let one begin has nothing to show for
 * itself: a roll-out of it, with credentials that don't work say, must not take those away that do.
 */
export function readiness(gate: Gate, draining: boolean): Readiness {
  if (draining) return { ready: false, reasons: ['draining: the recorder is stopping'] };
  const { state, cause } = gate.current;
  if (cause === null) return { ready: true, reasons: [] };
  const ready = state !== 'Closed' || (gate.hasOpened && isShared(cause));
  return { ready, reasons: [`${cause.reason}: ${cause.message}`] };
}
