/**
 * Owns when a gate must have changed: the bounds that `docs/faults.md` promises, as the recorder's settings give them.
 */

/** The shortest `maxUploadLag` at which the whole matrix is tried. */
export const MAX_UPLOAD_LAG_MS = 3_000;
/** What timers, the look every 50 ms and a machine with several recorders on it may add. */
const SLACK_MS = 1_000;
/** An idle recorder looks at its store at least so often. */
const IDLE_LOOK_MS = Math.min(10_000, MAX_UPLOAD_LAG_MS / 3);
/** From the end of a fault until the gate must be open. */
export const OPEN_WITHIN_MS = 5_000;

export interface GateBounds {
  degradedWithinMs: number;
  closedWithinMs: number;
}

/** After a fault that stops every upload. */
export function uploadBounds(idle: boolean): GateBounds {
  const look = idle ? IDLE_LOOK_MS : 0;
  return {
    degradedWithinMs: MAX_UPLOAD_LAG_MS / 2 + SLACK_MS + look,
    closedWithinMs: MAX_UPLOAD_LAG_MS + SLACK_MS + look,
  };
}

/** After a fault that lets no line be written: the first one that is refused closes. */
export const SPOOL_BOUNDS: GateBounds = { degradedWithinMs: SLACK_MS, closedWithinMs: SLACK_MS };

/** After a sync that does not return: nothing but time tells. */
export const STALL_BOUNDS: GateBounds = {
  degradedWithinMs: 5_500 + SLACK_MS,
  closedWithinMs: 5_500 + SLACK_MS,
};
