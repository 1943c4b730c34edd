/**
 * Owns what a decision about one resource looks like.
 * Invariant: plain data; carrying it out twice changes nothing more.
 */
import type { ConfigMap } from 'kubernetes-types/core/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import type { RecordedMCPServerStatus } from '../api/recorded-mcp-server.ts';
import type { Memory, Workload } from './observed.ts';

export interface PlannedEvent {
  type: 'Normal' | 'Warning';
  reason: string;
  /** What the operator was doing. */
  action: string;
  note: string;
}

export interface Plan {
  /** Whether admission is to ask our webhook about this resource's pods. */
  admission: boolean;
  /** Null: not wanted now, and removed where it stands. */
  configMap: ConfigMap | null;
  networkPolicy: NetworkPolicy | null;
  /** Services whose annotation must be applied, also where it has that value: then the webhook has to look again. Null takes it away. */
  services: { name: string; target: 'recorder' | 'server' | null }[];
  /** Workloads whose pods must be made anew, with the value of the restart annotation; null takes it away. */
  restart: { workload: Workload; restartedFor: string | null }[];
  /** Pods whose annotation is set to the digest of the new configuration, so that their kubelets bring it now. */
  touch: { name: string; uid: string; digest: string }[];
  /** Pods to evict now. */
  evict: { name: string; uid: string; why: string }[];
  status: RecordedMCPServerStatus;
  /** The finalizer stands (true) or is to be taken off (false). */
  finalizer: boolean;
  events: PlannedEvent[];
  /** For the next decision. */
  memory: Memory;
  /** When to decide again though nothing changed, ms. */
  againMs: number;
}
