/**
 * Owns every reason that a condition of a resource can have: what it means, and what to do about it.
 * Invariant: a reason that is not in this table can't be given; one that says that something is wrong has a remedy.
 */

export const CONDITION_TYPES = [
  'Ready',
  'SidecarsInjected',
  'Enforced',
  'DirectAccessBlocked',
  'StorageHealthy',
  'Recording',
  'IdentityHealthy',
  'RulesHealthy',
  'CredentialHealthy',
  'RolloutBlocked',
  'Conflict',
] as const;
export type ConditionType = (typeof CONDITION_TYPES)[number];

interface Explanation {
  /** Which conditions give it. */
  of: readonly ConditionType[];
  meaning: string;
  /** What a person can do; empty: nothing is wrong, or it passes by itself. */
  remedy: string;
}

/** What keeps Ready from being True is told there with the reason of the condition that says so. */
const table = {
  Ready: {
    of: ['Ready'],
    meaning: 'Every exchange is recorded, and nobody has another way in.',
    remedy: '',
  },
  Removing: {
    of: [
      'Ready',
      'SidecarsInjected',
      'Enforced',
      'DirectAccessBlocked',
      'StorageHealthy',
      'Recording',
      'IdentityHealthy',
      'RulesHealthy',
      'CredentialHealthy',
      'RolloutBlocked',
    ],
    meaning: 'The resource is being deleted: from the deletion on, direct access is open again.',
    remedy: '',
  },

  UnknownStore: {
    of: ['Ready'],
    meaning: 'spec.storage.store names no store of the platform team.',
    remedy: 'Name one of the stores that the message lists, or ask the platform team for one.',
  },
  InlineStorageNotAllowed: {
    of: ['Ready'],
    meaning: 'spec.storage.s3 is given, and the platform team allows only its own stores.',
    remedy: 'Use spec.storage.store, or ask the platform team to set policy.allowInlineStorage.',
  },
  ConfigurationInvalid: {
    of: ['Ready'],
    meaning: 'The recorder would refuse the configuration that follows from the resource and the chart.',
    remedy: 'Correct the fields that the message names.',
  },
  ServerPortUnknown: {
    of: ['Ready'],
    meaning: "The server's port can't be told from the pods.",
    remedy: '',
  },
  ServerPortDiffers: {
    of: ['Ready'],
    meaning: 'The selected pods declare different server ports.',
    remedy: 'Set spec.server.port, or make one resource for each kind of pod.',
  },
  FailOpenNotAllowed: {
    of: ['Ready'],
    meaning: 'recording.onFailure: Open is asked for and not allowed; Closed is in force.',
    remedy: 'Set spec.recording.onFailure to Closed, or ask the platform team to set policy.allowFailOpen.',
  },
  UploadLagTooLong: {
    of: ['Ready'],
    meaning: "recording.maxUploadLag is longer than the platform team's bound, which is in force.",
    remedy: 'Lower spec.recording.maxUploadLag, or ask the platform team to raise policy.maxUploadLag.',
  },
  CommitTooWeak: {
    of: ['Ready'],
    meaning: 'recording.commit is weaker than the platform team asks; theirs is in force.',
    remedy: 'Set spec.recording.commit to ObjectStorage.',
  },
  IdentityRequired: {
    of: ['Ready'],
    meaning:
      'The platform team requires a verified identity, and auth.mode does not: who has none is denied.',
    remedy: 'Set spec.auth.mode to Enforce, or ask the platform team to change policy.auth.requireIdentity.',
  },
  IssuerNotAllowed: {
    of: ['Ready'],
    meaning: 'spec.auth trusts issuers that the platform team does not allow; their tokens are refused.',
    remedy: 'Take them out, or ask the platform team to add them to policy.auth.allowedIssuers.',
  },
  WithholdingNotAllowed: {
    of: ['Ready'],
    meaning:
      'Rules with MetadataOnly or masking in the recording are asked for and not allowed; they are not in force.',
    remedy:
      'Take them out (masking on the wire may stay), or ask the platform team to set policy.allowWithholding.',
  },
  ClusterKeysUnknown: {
    of: ['Ready'],
    meaning: 'auth.kubernetes is given, and the API server has not told the keys of its tokens yet.',
    remedy:
      'It takes seconds after a start of the operator. If it lasts, its log says why the API server could not be asked.',
  },
  OtherPortReserved: {
    of: ['Ready'],
    meaning: "spec.traffic.otherPorts names the server's own port or one of the recorder's; it stays closed.",
    remedy: 'Take that port out of spec.traffic.otherPorts.',
  },
  ApplyRefused: {
    of: ['Ready'],
    meaning: 'The API server refuses an object that the recording needs.',
    remedy:
      'The message has its words: correct the field of the resource, the quota or the policy that they name.',
  },
  AdmissionNotReady: {
    of: ['Ready', 'SidecarsInjected'],
    meaning: 'Admission does not ask the operator about these pods yet.',
    remedy:
      "It takes seconds. If it lasts, look at the operator's log and at its MutatingWebhookConfigurations.",
  },
  ConfigurationPending: {
    of: ['Ready', 'DirectAccessBlocked'],
    meaning: 'Recorders do not run on the newest configuration yet.',
    remedy:
      "It comes within seconds, and within about a minute where the operator may not touch the pod. If it lasts, look at the recorder's log in that pod.",
  },
  ConfigurationRefused: {
    of: ['Ready'],
    meaning: 'A recorder refuses its configuration and goes on with the one before.',
    remedy: 'The message has its reason. If the ConfigMap was edited, the operator writes it again.',
  },
  ConfigurationChanged: {
    of: ['DirectAccessBlocked'],
    meaning: 'The ConfigMap of the recorders is missing, or is not as the operator signed it.',
    remedy: 'The operator writes it again. Find out who may change it.',
  },

  AllInjected: { of: ['SidecarsInjected'], meaning: 'All selected pods have the recorder.', remedy: '' },
  NoPods: {
    of: [
      'Ready',
      'SidecarsInjected',
      'Enforced',
      'DirectAccessBlocked',
      'StorageHealthy',
      'Recording',
      'IdentityHealthy',
      'RulesHealthy',
      'CredentialHealthy',
    ],
    meaning: 'The selector matches no pod that runs or will run.',
    remedy:
      'Start the server, or compare spec.selector with the labels of its pods (it can not be changed: make another resource).',
  },
  PodsUnrecorded: {
    of: ['SidecarsInjected', 'Recording'],
    meaning: 'Some selected pods have no recorder.',
    remedy:
      'The operator has them made anew, one workload after the other; RolloutBlocked names what it can not.',
  },
  PodsNotCurrent: {
    of: ['SidecarsInjected'],
    meaning: 'The resource was changed, and some pods have the recorder of before.',
    remedy:
      'The operator has them made anew, one workload after the other; RolloutBlocked names what it can not.',
  },

  Enforced: {
    of: ['Enforced'],
    meaning: 'Since enforcedSince every exchange is recorded and no other pod has another way in.',
    remedy: '',
  },
  Injecting: {
    of: ['Enforced', 'DirectAccessBlocked'],
    meaning: 'Pods that ran before the resource are being replaced; direct access is still open.',
    remedy: 'Wait; SidecarsInjected counts, RolloutBlocked names what hinders.',
  },
  Retargeting: {
    of: ['Enforced', 'DirectAccessBlocked'],
    meaning: 'Services are being led to the recorder; direct access is still open.',
    remedy: 'Wait. If it lasts, look at the Services that the message names.',
  },
  Enforcing: {
    of: ['Enforced', 'DirectAccessBlocked'],
    meaning: 'Direct access is being closed: the NetworkPolicy is being written.',
    remedy: 'Wait.',
  },
  NotBegun: {
    of: ['Enforced', 'DirectAccessBlocked'],
    meaning: 'Nothing is recorded or closed yet.',
    remedy: 'Ready says why.',
  },

  Blocked: {
    of: ['DirectAccessBlocked'],
    meaning: 'Tried at each pod within the last 45 s: no direct connection is possible, none is established.',
    remedy: '',
  },
  PolicyMissing: {
    of: ['DirectAccessBlocked', 'Enforced'],
    meaning: "The recorder's NetworkPolicy is not there.",
    remedy: 'The operator writes it again. Find out who deleted it.',
  },
  PolicyChanged: {
    of: ['DirectAccessBlocked', 'Enforced'],
    meaning: "The recorder's NetworkPolicy is not as it has to be.",
    remedy: 'The operator writes it again. Find out who changed it.',
  },
  OtherPolicyAllows: {
    of: ['DirectAccessBlocked', 'Enforced'],
    meaning: "Another NetworkPolicy admits the server's port; policies add up.",
    remedy:
      "Take the server's port out of the policies that the message names; clients need only the recorder's.",
  },
  PodUnmarked: {
    of: ['DirectAccessBlocked', 'Enforced'],
    meaning: 'A pod has the recorder and not its label, so that the policy does not cover it.',
    remedy: 'Delete the pod; the new one comes with the label. Find out who changed it.',
  },
  PodUnrecorded: {
    of: ['DirectAccessBlocked', 'Enforced'],
    meaning: 'A selected pod runs without the recorder, and can be reached.',
    remedy: 'The operator has it made anew, or RolloutBlocked says why not.',
  },
  DirectConnectionSucceeded: {
    of: ['DirectAccessBlocked', 'Enforced'],
    meaning: "A connection past the recorder to the server's port succeeded.",
    remedy: 'Check that the network plugin of the cluster enforces NetworkPolicies, and on that node.',
  },
  DirectConnectionsRemain: {
    of: ['DirectAccessBlocked', 'Enforced'],
    meaning: "Connections to the server's port from before the policy are still established.",
    remedy: 'The operator evicts these pods one after the other, or RolloutBlocked says why not.',
  },
  ProbeStale: {
    of: [
      'DirectAccessBlocked',
      'Enforced',
      'StorageHealthy',
      'Recording',
      'IdentityHealthy',
      'RulesHealthy',
      'CredentialHealthy',
    ],
    meaning: 'A pod was not tried within the last 45 s.',
    remedy: "It takes seconds after a start. If it lasts, look at the operator's log.",
  },
  OperatorCannotReachPod: {
    of: [
      'DirectAccessBlocked',
      'Enforced',
      'StorageHealthy',
      'Recording',
      'IdentityHealthy',
      'RulesHealthy',
      'CredentialHealthy',
    ],
    meaning: 'The recorder in a pod does not answer the operator.',
    remedy:
      "Let the operator's namespace reach the recorder's status port (egress policies there, ingress policies here), and look at the container mcp-recorder of that pod.",
  },
  SidecarUnproven: {
    of: [
      'DirectAccessBlocked',
      'Enforced',
      'StorageHealthy',
      'Recording',
      'IdentityHealthy',
      'RulesHealthy',
      'CredentialHealthy',
    ],
    meaning: 'What answers on the status port did not prove that it is the recorder of that pod.',
    remedy: 'Delete the pod. If it comes back so, look at who may create pods in this namespace.',
  },
  ServerNotListening: {
    of: ['DirectAccessBlocked', 'Enforced'],
    meaning: "Nothing in the pod listens on the server's port, so that a failed connection proves nothing.",
    remedy:
      'Wait until the server has started, or correct spec.server.port (in mode Relocate: spec.traffic.relocate).',
  },
  ServerOnLoopback: {
    of: ['DirectAccessBlocked', 'Enforced'],
    meaning: 'The server listens on loopback only, so that a failed connection proves nothing.',
    remedy: 'Let it listen on all addresses as before, or use spec.traffic.mode: Relocate.',
  },
  DirectConnectionsMade: {
    of: ['DirectAccessBlocked', 'Enforced'],
    meaning: "Connections to the server's port were made although the NetworkPolicies close it.",
    remedy:
      "Look for policies of other kinds that admit them (AdminNetworkPolicy, the network plugin's own), and whether the plugin enforces NetworkPolicies on that node.",
  },
  ConnectionUnconfirmed: {
    of: ['DirectAccessBlocked', 'Enforced'],
    meaning:
      "A connection from the pod's own node may be a probe of the kubelet or a client's; the next look tells.",
    remedy: '',
  },

  Healthy: { of: ['StorageHealthy'], meaning: 'All recorders reach the store.', remedy: '' },
  Starting: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'A recorder has just started and has not heard from the store.',
    remedy: '',
  },
  StoreDenied: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'The store does not let these credentials put objects.',
    remedy: 'Allow s3:PutObject below the prefix; docs/bucket-policies.md has the policy.',
  },
  StoreCredentials: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'The credentials for the store are missing, unknown or expired.',
    remedy:
      "Check the Secret of the storage in the server's namespace (keys accessKeyId and secretAccessKey); recorders read it again by themselves.",
  },
  StoreClockSkew: {
    of: ['StorageHealthy', 'Recording'],
    meaning: "The node's clock and the store's differ too much.",
    remedy: 'Let both follow a time server.',
  },
  StoreMisconfigured: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'There is no such bucket, or the region, the endpoint or its certificate is another.',
    remedy: 'Correct the storage in the resource or in the chart, or create the bucket.',
  },
  StoreUnreachable: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'No connection to the store.',
    remedy: 'Look at the store, its endpoint, and at egress policies of this namespace.',
  },
  StoreTimeout: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'The store does not answer in time.',
    remedy: 'Look at the network between the pods and the store, and at the store.',
  },
  StoreThrottled: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'The store asks for fewer requests.',
    remedy: 'Raise its limits, or spread servers over more prefixes.',
  },
  StoreFull: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'The store has no space.',
    remedy: 'Give it more, or shorten its retention.',
  },
  StoreInvalid: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'The store finds the requests wrong.',
    remedy: 'Check what encryption, Object Lock and storage class it supports.',
  },
  StoreFailed: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'The store reports a fault of its own.',
    remedy: "Look at the store's log. Recorders try again; what they have is kept.",
  },
  StoreLag: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'Uploads work and are too slow for the traffic.',
    remedy: 'Look at the network and the store, or raise spec.recording.maxUploadLag.',
  },

  Recording: { of: ['Recording'], meaning: 'All selected pods record what passes.', remedy: '' },
  PassesUnrecorded: {
    of: ['Recording', 'Enforced'],
    meaning: 'Calls pass and are not recorded, as recording.onFailure: Open asks; each gap is recorded.',
    remedy: 'Mend what the message names.',
  },
  SpoolFull: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'The spool of a pod is full, so that nothing passes there.',
    remedy: 'Uploads must free it: see StorageHealthy. Else raise spec.recording.spool.sizeLimit.',
  },
  SpoolFailed: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'The disk under the spool of a pod refuses writes, so that nothing passes there.',
    remedy: "Look at the node's disk; the recorder tries again by itself.",
  },
  SpoolStalled: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'The disk under the spool of a pod does not answer, so that calls wait there.',
    remedy: "Look at the node's disk and its kernel log.",
  },
  SpoolDamaged: {
    of: ['StorageHealthy', 'Recording'],
    meaning: 'The disk under the spool of a pod gave back other bytes than it was given.',
    remedy: "Look at the node's disk; delete the pod to start with a new spool.",
  },

  IdentityHealthy: {
    of: ['IdentityHealthy'],
    meaning: 'All recorders have the keys of all issuers.',
    remedy: '',
  },
  NobodyIdentified: {
    of: ['IdentityHealthy'],
    meaning: 'Mode Anonymous was chosen: callers are not identified.',
    remedy: '',
  },
  IssuerUnavailable: {
    of: ['IdentityHealthy', 'Ready'],
    meaning:
      'Keys of an issuer could not be fetched: its tokens are refused (503), or in mode Observe not verified.',
    remedy:
      'Look at the issuer and at egress policies of this namespace: the pods must reach its discovery document and its keys. Or give its keys in spec.auth.oidc[].jwks.',
  },
  IssuerStale: {
    of: ['IdentityHealthy'],
    meaning:
      'Keys of an issuer could not be fetched anew; those from before are used until auth.maxKeyAge has passed.',
    remedy: 'Look at the issuer and at egress policies of this namespace.',
  },
  ClusterKeysStale: {
    of: ['IdentityHealthy'],
    meaning:
      'The operator could not ask the API server anew for the keys of its tokens; those from before are used.',
    remedy:
      'The message has its words. The operator needs the right to get /openid/v1/jwks and /.well-known/openid-configuration, which the chart gives.',
  },
  RulesHealthy: {
    of: ['RulesHealthy'],
    meaning: 'No rule failed within the last ten minutes.',
    remedy: '',
  },
  NoRules: { of: ['RulesHealthy'], meaning: 'There are no rules.', remedy: '' },
  RulesFailing: {
    of: ['RulesHealthy'],
    meaning: 'A rule could not be evaluated for some calls, which were denied.',
    remedy:
      'Guard the expression against what callers may leave out or send in another type: has(mcp.arguments.x), type(...). `mcp-recorder policy test` tries it on past recordings.',
  },
  CredentialHealthy: {
    of: ['CredentialHealthy'],
    meaning: 'All recorders have the credential for the server.',
    remedy: '',
  },
  NoCredential: { of: ['CredentialHealthy'], meaning: 'The server is given no credential.', remedy: '' },
  CredentialUnavailable: {
    of: ['CredentialHealthy', 'Ready'],
    meaning: 'A recorder has no credential for the server, so that calls fail there.',
    remedy:
      "Check the Secret that spec.server.credential names (it must be in the server's namespace and have the key), or the token endpoint; recorders try again by themselves.",
  },

  NotBlocked: {
    of: ['RolloutBlocked'],
    meaning: 'Nothing keeps the operator from having pods made anew.',
    remedy: '',
  },
  PausedDeployment: {
    of: ['RolloutBlocked'],
    meaning: 'A Deployment is paused, so that a change of its template makes no new pods.',
    remedy: 'kubectl rollout resume it.',
  },
  OnDeleteStrategy: {
    of: ['RolloutBlocked'],
    meaning: 'A workload with the update strategy OnDelete makes new pods only when old ones are deleted.',
    remedy: 'Delete its pods one after the other.',
  },
  PartitionedStatefulSet: {
    of: ['RolloutBlocked'],
    meaning: 'A StatefulSet keeps the pods below its partition as they are.',
    remedy: 'Lower spec.updateStrategy.rollingUpdate.partition to 0, or delete these pods.',
  },
  JobPods: {
    of: ['RolloutBlocked'],
    meaning: 'Pods of Jobs are not restarted: their work would begin again.',
    remedy: 'Wait until they end, or delete the Job and start it anew.',
  },
  NakedPods: {
    of: ['RolloutBlocked'],
    meaning: 'Pods without a controller: nobody would make them anew.',
    remedy: 'Delete and create them again.',
  },
  StaticPods: {
    of: ['RolloutBlocked'],
    meaning: 'Static pods come from a file of the node and pass no admission.',
    remedy: 'Run the server as a Deployment; the recorder can not be put into a static pod.',
  },
  InjectionRefused: {
    of: ['RolloutBlocked'],
    meaning:
      'Pods as they are now can not be recorded: admission would refuse new ones. Nothing is restarted for them.',
    remedy: '',
  },
  EvictionRefused: {
    of: ['RolloutBlocked'],
    meaning: 'The API server refuses to evict a pod that has to be made anew.',
    remedy: 'Look at the PodDisruptionBudget that covers it; the operator tries again.',
  },
  RestartRefused: {
    of: ['RolloutBlocked'],
    meaning: 'The API server refuses the restart of a workload.',
    remedy: 'The message has its words: look at the admission policies of this namespace.',
  },
  RolloutFailing: {
    of: ['RolloutBlocked'],
    meaning: 'The controller of a workload says that it can not make its new pods.',
    remedy: 'The message has its words: look at quotas, at Pod Security and at the events of the workload.',
  },
  NewPodsNotReady: {
    of: ['RolloutBlocked'],
    meaning: 'A pod with the recorder has not become ready for three minutes; the old ones stay until it is.',
    remedy: 'Look at the pod (kubectl describe), at StorageHealthy and at Recording.',
  },
  ServiceLeadsElsewhere: {
    of: ['RolloutBlocked'],
    meaning:
      "A Service with a numeric target port also leads to pods that this resource does not select: they don't serve the recorder's port.",
    remedy: 'Give that Service a named target port or a narrower selector, or select these pods too.',
  },

  OlderResourceWins: {
    of: ['Conflict', 'Ready'],
    meaning: 'Another, older resource selects some of the same pods; they are its.',
    remedy: 'Change the labels of the pods, or delete one of the two resources.',
  },
  NoConflict: { of: ['Conflict'], meaning: 'No other resource selects these pods.', remedy: '' },
} as const satisfies Record<string, Explanation>;

export type Reason = keyof typeof table;
export const REASONS: Readonly<Record<Reason, Explanation>> = table;

/** The table of all reasons, for docs/operations.md, in Markdown. */
export function reasonsTable(): string {
  const rows = Object.entries(REASONS).map(
    ([reason, { of, meaning, remedy }]) => `| \`${reason}\` | ${of.join(', ')} | ${meaning} | ${remedy} |`,
  );
  return [
    '| Reason | Condition | What it means | What to do |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}
