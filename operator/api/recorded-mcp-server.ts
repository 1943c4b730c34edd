/**
 * Owns the types of RecordedMCPServer. Written by scripts/resource-types.ts from crds/recordedmcpservers.yaml; run: npm run generate
 * Invariant: a resource as the API server gives it. Fields with a default are required here, because the API server fills them in;
 * who writes a resource by hand may leave them out.
 */
import type { LabelSelector, ObjectMeta } from 'kubernetes-types/meta/v1';
import type { NetworkPolicyPeer } from 'kubernetes-types/networking/v1';

/**
 * Records every exchange with the MCP servers that the selected pods run, or lets nothing pass.
 */
export interface RecordedMCPServer {
  apiVersion: 'mcp-recorder.dev/v1alpha1';
  kind: 'RecordedMCPServer';
  metadata: ObjectMeta;
  spec: RecordedMCPServerSpec;
  status?: RecordedMCPServerStatus;
}
export interface RecordedMCPServerSpec {
  /**
   * The pods that run the server. Can't be changed later; make another resource instead.
   */
  selector: LabelSelector;
  /**
   * The MCP server in the pods.
   */
  server: {
    /**
     * The container that runs it. Default: the one that declares the port, or the only one.
     */
    container?: string;
    /**
     * The port it listens on. Default: the container's port when it declares exactly one.
     */
    port?: number;
  };
  /**
   * Where the recording goes: a store of the platform team, or a bucket of your own where they allow it.
   */
  storage: {
    /**
     * Name of a store in the chart's values (`stores`).
     */
    store?: string;
    s3?: S3Storage;
  };
  traffic: Traffic;
  /**
   * Pods that run already. Rolling: they are replaced first, then direct access is closed, and no call fails. Immediate: direct access is closed first.
   */
  adoption: 'Rolling' | 'Immediate';
  /**
   * Can be stricter than what the platform team set, never looser.
   */
  recording: {
    /**
     * Which copy must be durable before anything passes: the one in the pod's spool, or the one in the object store.
     */
    commit: 'Spool' | 'ObjectStorage';
    /**
     * Closed: nothing passes that can't be recorded. Open: it passes, and each gap is recorded.
     */
    onFailure: 'Closed' | 'Open';
    /**
     * How long uploads may fail, and how far the store may be behind, before nothing passes.
     */
    maxUploadLag: string;
    /**
     * A larger request body is refused with 413.
     */
    maxRequestBytes: string;
    /**
     * The local queue in each pod.
     */
    spool: {
      /**
       * The most that the spool in each pod may hold; when it is full, nothing passes.
       */
      sizeLimit: string;
    };
  };
}
/**
 * A bucket of your own, where the platform team allows it (`policy.allowInlineStorage`).
 */
export interface S3Storage {
  /**
   * The bucket. It must exist.
   */
  bucket: string;
  /**
   * All keys begin with it; path parts joined by single slashes.
   */
  prefix?: string;
  /**
   * Region of the bucket. Default: from the pod's environment, as AWS tools find it.
   */
  region?: string;
  /**
   * URL of an S3-compatible store. Default: AWS.
   */
  endpoint?: string;
  /**
   * The name of the bucket in the path, as most stores other than AWS want it.
   */
  pathStyle: boolean;
  /**
   * PEM text of certificate authorities that are trusted beside those of the system.
   */
  ca?: string;
  /**
   * Secret in this namespace with the keys accessKeyId, secretAccessKey and, for temporary ones, sessionToken. Default: the pod's own identity, as AWS tools find it.
   */
  credentialsSecretRef?: {
    name: string;
  };
  /**
   * Encryption of each object by the store. Default: as the bucket says.
   */
  encryption?: {
    /**
     * SSE-S3: keys of the store. SSE-KMS: a key of the KMS.
     */
    type: 'SSE-S3' | 'SSE-KMS';
    /**
     * Id, ARN or alias of the key for SSE-KMS. Default: that of the bucket, or of the account.
     */
    keyId?: string;
  };
  /**
   * Retention of each object; the bucket must have Object Lock. Default: as the bucket says.
   */
  objectLock?: {
    /**
     * GOVERNANCE: who has a special right may end it early. COMPLIANCE: nobody may.
     */
    mode: 'GOVERNANCE' | 'COMPLIANCE';
    /**
     * How long no one may delete an object, from the moment it is stored; for example 365d.
     */
    retainFor: string;
  };
  /**
   * Storage class of each object. Default: as the bucket says.
   */
  storageClass?: string;
}
/**
 * How clients come to the recorder, and who may.
 */
export interface Traffic {
  /**
   * Service: Services lead to the recorder's port. Relocate: the recorder takes the server's port, and the server is moved to loopback.
   */
  mode: 'Service' | 'Relocate';
  relocate?: Relocation;
  /**
   * Who may connect to the recorder, as NetworkPolicy peers. Default: everyone.
   */
  clients?: NetworkPolicyPeer[];
  /**
   * Further ports of these pods that stay open and are not recorded; shown in the status.
   */
  otherPorts?: {
    port: number;
    protocol: 'TCP' | 'UDP' | 'SCTP';
  }[];
}
/**
 * How the server is told to listen on 127.0.0.1 and another port. At least one of env and args.
 */
export interface Relocation {
  /**
   * The port on loopback that the server listens on from then on.
   */
  port: number;
  /**
   * Environment variables of the server's container, set or replaced.
   */
  env?: {
    name: string;
    value: string;
  }[];
  /**
   * Arguments of the server's container, in place of those it has.
   */
  args?: string[];
}
export interface RecordedMCPServerStatus {
  /**
   * Generation of the resource that this status speaks of.
   */
  observedGeneration?: number;
  /**
   * How far the way into the recording, or out of it, has come.
   */
  phase?: 'Pending' | 'Injecting' | 'Retargeting' | 'Enforcing' | 'Enforced' | 'Removing';
  /**
   * From this time on every exchange is recorded and no other pod has another way in.
   */
  enforcedSince?: string;
  /**
   * Whether there is a way around the recorder: Blocked (none was found), Open, or Unknown.
   */
  directAccess?: 'Blocked' | 'Open' | 'Unknown';
  /**
   * Pods that record, of all that the selector matches, for example 2/3.
   */
  podsSummary?: string;
  /**
   * Counts of pods.
   */
  pods?: {
    /**
     * Pods that the selector matches and that have not ended.
     */
    matched?: number;
    /**
     * Of these, pods that carry the recorder and are ready.
     */
    recorded?: number;
    /**
     * Pods whose recorder is another than new pods would get; restart their workload to renew it.
     */
    outdated?: number;
  };
  /**
   * The server's port, as found or given.
   */
  serverPort?: number;
  /**
   * Ports of spec.traffic.otherPorts, which nobody records.
   */
  unrecordedPorts?: string[];
  /**
   * Digest of the configuration that the recorders should run on.
   */
  configuration?: string;
  /**
   * What does not stop the recording but should be known.
   */
  notes?: string[];
  /**
   * What is true of the recording now, each with its reason.
   */
  conditions?: Condition[];
}
export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  observedGeneration?: number;
  lastTransitionTime: string;
  reason: string;
  message: string;
}
