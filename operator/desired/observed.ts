/**
 * Owns what the operator knows of one resource when it decides: the resource, what stands in its namespace, and what the recorders say.
 * Invariant: plain data, read at one time; whoever decides asks nobody.
 */
import type { EndpointSlice } from 'kubernetes-types/discovery/v1';
import type { ConfigMap, Pod, Service } from 'kubernetes-types/core/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import type { Settings } from '../settings.ts';
import type { ClusterIssuer } from './access-configuration.ts';

/** The controller at the top of a pod's owners: what makes the pod anew. */
export interface Workload {
  kind: 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'Job' | 'Other';
  apiVersion: string;
  /** Kind as the cluster writes it; for `Other`. */
  ownerKind: string;
  name: string;
  uid: string;
  /** Labels of its pod template, where it has one that we read. */
  templateLabels: Record<string, string> | null;
  /** Value of our restart annotation in its template. */
  restartedFor: string | null;
  /** Its controller has seen its newest template, and all its pods are of it and ready. */
  settled: boolean;
  /** Whether a change of its template makes new pods: not while a Deployment is paused, nor with the update strategy OnDelete. */
  rolls: 'byItself' | 'paused' | 'onDelete';
  /** Of a StatefulSet: pods with a lower ordinal keep their old template. 0 for all others. */
  partition: number;
  /** What its controller says that keeps it from making pods; null or left out: nothing. */
  trouble?: string | null;
}

/** What a sidecar answered on its status port, with what the API server said of its token. */
export interface LinkAnswer {
  /** The token is of this very pod. */
  proven: boolean;
  status: LinkStatus;
  configuration: { digest: string; restartNeeded: string[]; refused: string | null };
  server: { port: number; listens: 'any' | 'loopback' | 'none'; foreignConnections: string[] };
}

/** The part of the sidecar's status that decides conditions. */
export interface LinkStatus {
  gate: {
    state: 'Open' | 'Degraded' | 'Closed' | 'FailOpen';
    reason: string | null;
    message: string | null;
    hint: string | null;
  };
  stream: string;
  draining: boolean;
  version: string;
  /** Left out: the recorder is one from before there was this. */
  auth?: {
    issuers: {
      issuer: string;
      state: 'Ok' | 'Stale' | 'Unavailable';
      problem: string | null;
      since: string;
    }[];
  };
  rules?: {
    /** Rules that could not be evaluated, since the start of the recorder; `last_at` in RFC 3339. */
    errors: { rule: string; count: number; last_at: string; problem: string }[];
  };
  /** Null: none is configured. */
  credential?: { problem: string | null } | null;
}

/** The newest look at one pod. */
export interface Look {
  /** When it was finished, ms since the epoch. */
  atMs: number;
  /** The sidecar's answer after the dial, or why there was none. */
  link: { ok: true; answer: LinkAnswer } | { ok: false; why: string };
  /** What became of a connection to the server's port: the answers of the link stood before and after it. */
  dial: 'connected' | 'refused' | 'timeout' | 'unreachable' | 'not-tried';
}

/** What one decision leaves to the next; the process may forget it. */
export interface Memory {
  /** Since when no Service was seen to lead past the recorder, ms since the epoch; null: one does. */
  servicesRightSinceMs: number | null;
  /** Since when the policies close the server's port, as they stand, ms since the epoch; null: they do not. */
  closedSinceMs: number | null;
  /** By uid of the pod: connections to the server's port in its newest look, and in the one before. */
  peers: Readonly<Record<string, SeenPeers & { before: SeenPeers | null }>>;
}

/** `ADDRESS:PORT` of those who were connected, at the time of a look (ms since the epoch). */
interface SeenPeers {
  atMs: number;
  peers: readonly string[];
}

export interface Observed {
  resource: RecordedMCPServer;
  /** Wall clock, ms. */
  nowMs: number;
  settings: Settings;
  /** The other resources of the namespace. */
  siblings: readonly RecordedMCPServer[];
  /** Pods of the namespace that the selector matches or that carry this resource's label. */
  pods: readonly Pod[];
  /** By uid of the pod; pods without a controller have none. */
  workloads: ReadonlyMap<string, Workload>;
  services: readonly Service[];
  endpointSlices: readonly EndpointSlice[];
  networkPolicies: readonly NetworkPolicy[];
  configMap: ConfigMap | null;
  /** By uid of the pod. */
  looks: ReadonlyMap<string, Look>;
  /** Admission is as the last plan wanted it, for long enough that every API server has it. */
  admissionReady: boolean;
  /** What the API server refused when the last plan was carried out, in its words, by `Kind/name`; an eviction as `Pod/name`. */
  refusals: ReadonlyMap<string, string>;
  /** Of the last decision; null after a start. */
  memory: Memory | null;
  /** The API server as issuer of tokens. `known` is what it said last; `problem`: why it can't be asked now. */
  clusterIssuer: { known: ClusterIssuer | null; problem: string | null };
  /** PEM of the authority that the operator's client certificate comes from. */
  linkAuthority: string;
  /** What only recorders have that our webhook made for this resource. */
  sessionKey: string;
  /** Signs the files of a ConfigMap. */
  sign(files: Record<string, string>): string;
}
