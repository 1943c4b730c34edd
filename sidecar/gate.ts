/**
 * Owns the decision whether exchanges may begin.
 * Invariant: closed means that no exchange begins; every closing has a reason that clients, probes and status give alike.
 */

export type GateReason = 'starting' | 'spool_full' | 'spool_failed' | 'drained';

export type GateState =
  | { state: 'Open'; sinceMs: number }
  | { state: 'Closed'; sinceMs: number; reason: GateReason; message: string };

export interface Gate {
  readonly current: GateState;
  open(): void;
  close(reason: GateReason, message: string): void;
}

/** A gate that is closed until it is opened. @param onChange called after each change of state or reason */
export function createGate(onChange: (state: GateState) => void, nowMs: () => number = Date.now): Gate {
  let current: GateState = {
    state: 'Closed',
    sinceMs: nowMs(),
    reason: 'starting',
    message: 'the recorder is starting',
  };
  function change(next: GateState): void {
    current = next;
    onChange(next);
  }
  return {
    get current() {
      return current;
    },
    open() {
      if (current.state !== 'Open') change({ state: 'Open', sinceMs: nowMs() });
    },
    close(reason, message) {
      if (current.state === 'Closed' && current.reason === reason) return;
      change({ state: 'Closed', sinceMs: nowMs(), reason, message });
    },
  };
}
