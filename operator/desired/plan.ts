/**
 * Owns what a decision about one resource looks like.
 * Invariant: plain data; carrying it out twice changes nothing more.
 */
import type { ConfigMap } from 'kubernetes-types/core/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import type { RecordedMCPServerStatus } from '../api/recorded-mcp-server.ts';
import type { Workload } from './observed.ts';

export interface PlannedEvent {
  type: 'Normal' | 'Warning';
  reason: string;
  /** What the operator was doing. */
  action: string;
  note: string;
}

export interface Plan {
  /** Null: not wanted now, and removed where it stands. */
  configMap: ConfigMap | null;
  networkPolicy: NetworkPolicy | null;
  /** Services whose annotation must change; null takes the annotation away. */
  services: { name: string; target: 'recorder' | 'server' | null }[];
  /** Workloads whose pods must be made anew, with the value of the restart annotation. */
  restart: { workload: Workload; restartedFor: string }[];
  /** Pods to evict now. */
  evict: { name: string; uid: string; why: string }[];
  status: RecordedMCPServerStatus;
  /** The finalizer stands (true) or is to be taken off (false). */
  finalizer: boolean;
  events: PlannedEvent[];
  /** When to look again though nothing changed, ms. */
  againMs: number;
}
