/**
 * Owns what an injection is given and what comes of it.
 * Invariant: plain data; two injections of equal arguments have equal results.
 */
import type { Pod } from 'kubernetes-types/core/v1';
import type { RecordedMCPServer } from '../../api/recorded-mcp-server.ts';
import type { Settings } from '../../settings.ts';
import type { Flag } from './flags.ts';

export interface Injection {
  resource: RecordedMCPServer;
  settings: Settings;
  /** Public keys of the operator, whose configuration the recorder takes: `ed25519:<base64>`. */
  configKeys: readonly string[];
  /** Path on the status port that only this pod's kubelet knows. */
  drainPath: string;
  /** Base64 of the 32 bytes that session ids are hashed with, the same in all pods of a server. */
  sessionKey: string;
}

export type Injected =
  | { ok: true; pod: Pod; flags: Flag[] }
  /** For who makes the pod: what is in the way, and what to do. */
  | { ok: false; refused: string };
