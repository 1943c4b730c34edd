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
    /**
     * What becomes of the caller's Authorization header. Default: Remove in mode Enforce, Forward in Observe and Anonymous, where the token is not for the recorder. A credential that sets Authorization always replaces it.
     */
    callerToken?: 'Remove' | 'Forward';
    credential?: ServerCredential;
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
  auth?: Auth;
  /**
   * What callers may do. Of each message the first rule that matches decides; what no rule matches passes. Rules of the platform team come before these.
   */
  rules?: AccessRule[];
  masking?: Masking;
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
 * What the server is given in the caller's place. Exactly one of its fields. The values come from Secrets of this namespace; a changed Secret is taken over without a restart.
 */
export interface ServerCredential {
  /**
   * A header with the value of a Secret.
   */
  header?: {
    /**
     * Name of the header, such as X-Api-Key.
     */
    name: string;
    secretKeyRef: SecretKey;
  };
  /**
   * Authorization: Bearer, with the token of a Secret.
   */
  bearer?: {
    /**
     * A key of a Secret in this namespace.
     */
    secretKeyRef: {
      name: string;
      key: string;
    };
  };
  /**
   * Authorization: Basic, with the user name and the password of Secrets.
   */
  basic?: {
    /**
     * A key of a Secret in this namespace.
     */
    usernameSecretKeyRef: {
      name: string;
      key: string;
    };
    /**
     * A key of a Secret in this namespace.
     */
    passwordSecretKeyRef: {
      name: string;
      key: string;
    };
  };
  /**
   * Authorization: Bearer, with a token that the recorder gets by OAuth 2.0 client credentials (RFC 6749 4.4).
   */
  clientCredentials?: {
    /**
     * URL of the issuer; the pods must reach it.
     */
    issuer?: string;
    /**
     * URL of the token endpoint; the pods must reach it.
     */
    tokenEndpoint?: string;
    /**
     * A key of a Secret in this namespace.
     */
    clientIdSecretKeyRef: {
      name: string;
      key: string;
    };
    /**
     * A key of a Secret in this namespace.
     */
    clientSecretSecretKeyRef: {
      name: string;
      key: string;
    };
    /**
     * Scopes that are asked for, with spaces between.
     */
    scope?: string;
    /**
     * The server that the token is to be for (RFC 8707).
     */
    resource?: string;
    /**
     * PEM text of certificate authorities that are trusted beside those of the system.
     */
    ca?: string;
  };
}
/**
 * A key of a Secret in this namespace.
 */
export interface SecretKey {
  name: string;
  key: string;
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
 * Who may call. Tokens are verified before a byte of the body is read, and the caller is recorded with each exchange.
 */
export interface Auth {
  /**
   * Enforce: no call without a valid token. Observe: for servers that do their own OAuth; what can be verified is recorded, all pass. Anonymous: tokens are not looked at.
   */
  mode: 'Enforce' | 'Observe' | 'Anonymous';
  /**
   * The URL that clients use (RFC 8707), which they are told as protected resource (RFC 9728). Needed in mode Enforce.
   */
  resource?: string;
  /**
   * What every token must carry.
   */
  scopes?: string[];
  /**
   * Origins of web pages that may call, in every mode. Default: the Origin header is not looked at.
   */
  allowedOrigins?: string[];
  /**
   * How far the clocks of issuers may be off.
   */
  clockSkew: string;
  /**
   * How long keys of an issuer are used that could not be fetched anew; after that its tokens are refused.
   */
  maxKeyAge: string;
  /**
   * Issuers of OpenID Connect. Their keys are found by discovery; the pods must reach them, unless jwks is given.
   */
  oidc?: OidcIssuer[];
  /**
   * Service accounts of this cluster, by tokens of projected volumes. The operator brings the keys.
   */
  kubernetes?: {
    /**
     * What a token may be for: one of these (RFC 8707). Default: resource.
     */
    audiences?: string[];
  };
}
export interface OidcIssuer {
  /**
   * URL of the issuer, as the claim iss has it.
   */
  issuer: string;
  /**
   * What a token may be for: one of these (RFC 8707). Default: resource.
   */
  audiences?: string[];
  /**
   * Signature algorithms. Default: all of these.
   */
  algorithms?: (
    | 'RS256'
    | 'RS384'
    | 'RS512'
    | 'PS256'
    | 'PS384'
    | 'PS512'
    | 'ES256'
    | 'ES384'
    | 'ES512'
    | 'EdDSA'
    | 'Ed25519'
  )[];
  /**
   * Where the groups stand in the token: names with dots between, or a JSON Pointer. Default: groups.
   */
  groupsClaim?: string;
  /**
   * Where the caller's name stands in the token. Default: name.
   */
  nameClaim?: string;
  /**
   * What its tokens must carry beside auth.scopes.
   */
  scopes?: string[];
  /**
   * PEM text of certificate authorities that are trusted beside those of the system.
   */
  ca?: string;
  /**
   * Its public keys (RFC 7517), in place of discovery. They have to be changed here when it changes them.
   */
  jwks?: {
    /**
     * Items: A public JSON Web Key.
     */
    keys: Record<string, unknown>[];
  };
}
export interface AccessRule {
  /**
   * Stands in the recording.
   */
  name: string;
  /**
   * A CEL expression of type bool over principal, mcp, client, http and server. One that can't be evaluated denies.
   */
  when: string;
  /**
   * Deny: the call is refused and recorded. MetadataOnly: it passes, and its bodies are not recorded.
   */
  action: 'Deny' | 'MetadataOnly';
  /**
   * What the caller is told. Deny only. Default: that a rule denied it.
   */
  message?: string;
  /**
   * Tools that it denies are left out of the lists that callers get. Deny only.
   */
  hideTools?: boolean;
}
/**
 * What is replaced by [masked:NAME] wherever it stands. Masks of the platform team are applied too.
 */
export interface Masking {
  /**
   * Look also into strings that are base64 of text.
   */
  base64: boolean;
  rules?: MaskingRule[];
}
export interface MaskingRule {
  /**
   * Stands in place of what is found. All but detectors need one.
   */
  name?: string;
  /**
   * Where it is replaced: in the recording, on the wire between client and server, or both.
   */
  appliesTo: 'Record' | 'Wire' | 'Both';
  /**
   * Known kinds of secrets and personal data; `all` for each of them.
   */
  detectors?: string[];
  /**
   * Values of members, headers and query parameters with one of these names, in upper or lower case.
   */
  keys?: string[];
  /**
   * JSON paths (RFC 9535) from a JSON-RPC message as root.
   */
  paths?: string[];
  /**
   * A regular expression of RE2.
   */
  pattern?: string;
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
