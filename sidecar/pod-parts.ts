/**
 * Owns what a recorder in a pod has that one on a laptop has not.
 */
import type { SessionKey } from './session-key.ts';

export interface Pod {
  /** As it stands on `open` lines. */
  readonly identity: { pod: string; pod_uid: string; image: string | null };
  /** One for all pods of the server. */
  readonly sessionKey: SessionKey;
  /** Where on the status port the drain is asked for. */
  readonly drainPath: string;
  /** The authorities that the store's certificate may be of, as they were delivered last; null when none were. */
  readonly readStoreCa: (() => string) | null;
  /** The answer to the operator. @param status as `/status` says it */
  link(status: { configuration: string }): Promise<object>;
}

export interface Reload {
  /** Keys that another configuration was delivered for, and that a restart would put in force. */
  restartNeeded: readonly string[];
  /** Why the newest delivery was not taken; null when it was. */
  refused: string | null;
}
