/** Each reason that a condition can have, and a world that it comes from. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../../operator/desired/decide.ts';
import type { Observed } from '../../../operator/desired/observed.ts';
import { type ConditionType, REASONS, type Reason, reasonsTable } from '../../../operator/desired/reasons.ts';
import { SERVER_LABEL } from '../../../operator/naming.ts';
import {
  barePod,
  bareWorld,
  conditionIn,
  deleted,
  enforcedWorld,
  gated,
  heard,
  looked,
  NOW_MS,
  ownedBy,
  policy,
  recordedPod,
  resource,
  service,
  settings,
  slice,
  wanting,
  workload,
  world,
} from './world.ts';

type Row = readonly [ConditionType, 'True' | 'False' | 'Unknown', () => Observed];

const recording = resource('github').spec.recording;
const server = { port: 8080, listens: 'any' as const, foreignConnections: [] };
const policies = { ...settings, policy: { ...settings.policy, minimumCommit: 'ObjectStorage' as const } };

const enforce = {
  mode: 'Enforce' as const,
  resource: 'https://mcp.example.com/github',
  oidc: [{ issuer: 'https://idp.example.com' }],
};
const denies = { name: 'no-deletes', when: 'mcp.tool == "delete"', action: 'Deny' as const };
const bearer = { credential: { bearer: { secretKeyRef: { name: 'server', key: 'token' } } } };

/** The platform team asks for more than it did. */
function floor(policy: Partial<typeof settings.policy>, given: Parameters<typeof resource>[1] = {}): Row {
  const stricter = { ...settings, policy: { ...settings.policy, ...policy } };
  return ['Ready', 'False', () => ({ ...enforcedWorld(given), settings: stricter })];
}

/** Recorders of a resource like this one say more of themselves than that they record. */
function says(
  condition: ConditionType,
  status: 'True' | 'False',
  given: Parameters<typeof resource>[1],
  more: object,
): Row {
  return [
    condition,
    status,
    () => heard(enforcedWorld(given), { status: { ...gated('Open', null, null), ...more } }),
  ];
}

function issuer(state: 'Ok' | 'Stale' | 'Unavailable') {
  const { since, problem } = { since: '2026-11-26T11:00:00.123Z', problem: 'connection refused' };
  return { auth: { issuers: [{ issuer: 'https://idp.example.com', state, problem, since }] } };
}

/** Recorders whose gate says this. */
function gate(condition: ConditionType, reason: string, status: 'False' | 'Unknown' = 'False'): Row {
  return [
    condition,
    status,
    () => heard(enforcedWorld(), { status: gated('Closed', reason, 'What went wrong') }),
  ];
}

/** Bare pods that a workload like this one does not make anew. */
function blocked(of: Parameters<typeof workload>[0] | null): Row {
  return [
    'RolloutBlocked',
    'True',
    () => {
      const observed = bareWorld({}, of ?? {});
      return of === null ? { ...observed, workloads: new Map() } : observed;
    },
  ];
}

/** The first pod as it is turned into another. */
function firstPod(
  observed: Observed,
  change: (pod: Observed['pods'][number]) => Observed['pods'][number],
): Observed {
  return { ...observed, pods: observed.pods.map((pod, index) => (index === 0 ? change(pod) : pod)) };
}

function serving(port: number | null) {
  return (name: string) => {
    const pod = barePod(name, port === null ? {} : { port });
    if (port === null) for (const container of pod.spec?.containers ?? []) delete container.ports;
    return pod;
  };
}

const ROWS: Record<Reason, Row> = {
  Ready: ['Ready', 'True', enforcedWorld],
  Removing: ['Ready', 'False', () => deleted(enforcedWorld())],
  UnknownStore: ['Ready', 'False', () => bareWorld({ storage: { store: 'nowhere' } })],
  InlineStorageNotAllowed: [
    'Ready',
    'False',
    () => bareWorld({ storage: { s3: { bucket: 'mine', pathStyle: false } } }),
  ],
  ConfigurationInvalid: ['Ready', 'False', () => bareWorld({ recording: { maxUploadLag: '10ms' } })],
  ServerPortUnknown: [
    'Ready',
    'False',
    () => world(resource('github'), { pods: [serving(null)('github-0')] }),
  ],
  ServerPortDiffers: [
    'Ready',
    'False',
    () => world(resource('github'), { pods: [serving(8080)('github-0'), serving(9000)('github-1')] }),
  ],
  FailOpenNotAllowed: [
    'Ready',
    'False',
    () => wanting(enforcedWorld(), { recording: { ...recording, onFailure: 'Open' } }),
  ],
  UploadLagTooLong: [
    'Ready',
    'False',
    () => wanting(enforcedWorld(), { recording: { ...recording, maxUploadLag: '6m' } }),
  ],
  CommitTooWeak: ['Ready', 'False', () => ({ ...enforcedWorld(), settings: policies })],
  IdentityRequired: floor({ auth: { requireIdentity: true, allowedIssuers: [] } }),
  IssuerNotAllowed: floor(
    { auth: { requireIdentity: false, allowedIssuers: ['https://other.example.com'] } },
    { auth: enforce },
  ),
  WithholdingNotAllowed: floor(
    { allowWithholding: false },
    { rules: [{ ...denies, action: 'MetadataOnly' as const }] },
  ),
  ClusterKeysUnknown: [
    'Ready',
    'False',
    () => ({
      ...bareWorld({ auth: { ...enforce, kubernetes: {} } }),
      clusterIssuer: { known: null, problem: 'forbidden' },
    }),
  ],
  OtherPortReserved: [
    'Ready',
    'False',
    () => enforcedWorld({ traffic: { otherPorts: [{ port: 8080, protocol: 'TCP' }] } }),
  ],
  ApplyRefused: [
    'Ready',
    'False',
    () => ({
      ...enforcedWorld(),
      refusals: new Map([['NetworkPolicy/github-mcp-recorder', 'spec.ingress is wrong']]),
    }),
  ],
  AdmissionNotReady: ['Ready', 'False', () => ({ ...bareWorld(), admissionReady: false })],
  ConfigurationPending: [
    'Ready',
    'False',
    () =>
      heard(enforcedWorld(), { configuration: { digest: 'sha256:other', restartNeeded: [], refused: null } }),
  ],
  ConfigurationRefused: [
    'Ready',
    'False',
    () =>
      heard(enforcedWorld(), {
        configuration: { digest: 'sha256:other', restartNeeded: [], refused: 'not signed' },
      }),
  ],
  ConfigurationChanged: [
    'DirectAccessBlocked',
    'Unknown',
    () => {
      const observed = enforcedWorld();
      return {
        ...observed,
        configMap: { ...observed.configMap, data: { ...observed.configMap?.data, more: 'x' } },
      };
    },
  ],
  AllInjected: ['SidecarsInjected', 'True', enforcedWorld],
  NoPods: ['Ready', 'False', () => ({ ...enforcedWorld(), pods: [] })],
  PodsUnrecorded: ['SidecarsInjected', 'False', bareWorld],
  PodsNotCurrent: [
    'SidecarsInjected',
    'False',
    () => wanting(enforcedWorld(), { recording: { ...recording, spool: { sizeLimit: '1Gi' } } }),
  ],
  Enforced: ['Enforced', 'True', enforcedWorld],
  Injecting: ['Enforced', 'False', bareWorld],
  Retargeting: ['DirectAccessBlocked', 'False', () => recordedWorld()],
  Enforcing: [
    'DirectAccessBlocked',
    'False',
    () => {
      const memory = { servicesRightSinceMs: NOW_MS - 60_000, closedSinceMs: null, peers: {} };
      return { ...recordedWorld(), services: [], memory };
    },
  ],
  NotBegun: ['Enforced', 'False', () => bareWorld({ storage: { store: 'nowhere' } })],
  Blocked: ['DirectAccessBlocked', 'True', enforcedWorld],
  PolicyMissing: ['DirectAccessBlocked', 'False', () => ({ ...enforcedWorld(), networkPolicies: [] })],
  PolicyChanged: [
    'DirectAccessBlocked',
    'False',
    () => {
      const observed = enforcedWorld();
      const opened = observed.networkPolicies.map((one) => ({
        ...one,
        spec: { podSelector: {}, ingress: [{}] },
      }));
      return { ...observed, networkPolicies: opened };
    },
  ],
  OtherPolicyAllows: [
    'DirectAccessBlocked',
    'False',
    () => {
      const observed = enforcedWorld();
      const other = policy('everything', { podSelector: {}, ingress: [{}] });
      return { ...observed, networkPolicies: [...observed.networkPolicies, other] };
    },
  ],
  PodUnmarked: [
    'DirectAccessBlocked',
    'False',
    () =>
      firstPod(enforcedWorld(), ({ metadata, ...pod }) => {
        const { [SERVER_LABEL]: _, ...labels } = metadata?.labels ?? {};
        return { ...pod, metadata: { ...metadata, labels } };
      }),
  ],
  PodUnrecorded: ['DirectAccessBlocked', 'False', () => firstPod(enforcedWorld(), () => barePod('github-0'))],
  DirectConnectionSucceeded: [
    'DirectAccessBlocked',
    'False',
    () => looked(enforcedWorld(), (look) => ({ ...look, dial: 'connected' })),
  ],
  DirectConnectionsRemain: [
    'Enforced',
    'False',
    () => heard(enforcedWorld(), { server: { ...server, foreignConnections: ['10.9.9.9:40000'] } }),
  ],
  ProbeStale: ['DirectAccessBlocked', 'Unknown', () => ({ ...enforcedWorld(), looks: new Map() })],
  OperatorCannotReachPod: [
    'DirectAccessBlocked',
    'Unknown',
    () => looked(enforcedWorld(), (look) => ({ ...look, link: { ok: false, why: 'connection refused' } })),
  ],
  SidecarUnproven: ['DirectAccessBlocked', 'Unknown', () => heard(enforcedWorld(), { proven: false })],
  ServerNotListening: [
    'DirectAccessBlocked',
    'Unknown',
    () => heard(enforcedWorld(), { server: { ...server, listens: 'none' } }),
  ],
  ServerOnLoopback: [
    'DirectAccessBlocked',
    'Unknown',
    () => heard(enforcedWorld(), { server: { ...server, listens: 'loopback' } }),
  ],
  DirectConnectionsMade: [
    'DirectAccessBlocked',
    'False',
    () => {
      const observed = heard(enforcedWorld(), {
        server: { ...server, foreignConnections: ['10.9.9.9:40000'] },
      });
      return { ...observed, memory: { servicesRightSinceMs: 0, closedSinceMs: 0, peers: {} } };
    },
  ],
  ConnectionUnconfirmed: [
    'DirectAccessBlocked',
    'Unknown',
    () => {
      const { enforcedSince: _, ...status } = enforcedWorld().resource.status ?? {};
      const observed = heard(
        { ...enforcedWorld(), resource: { ...enforcedWorld().resource, status } },
        { server: { ...server, foreignConnections: ['192.168.0.1:40000'] } },
      );
      return { ...observed, memory: { servicesRightSinceMs: 0, closedSinceMs: NOW_MS - 60_000, peers: {} } };
    },
  ],
  RolloutFailing: ['RolloutBlocked', 'True', () => bareWorld({}, { trouble: 'exceeded quota: compute' })],
  Healthy: ['StorageHealthy', 'True', enforcedWorld],
  Starting: gate('StorageHealthy', 'starting', 'Unknown'),
  StoreDenied: gate('StorageHealthy', 'store_denied'),
  StoreCredentials: gate('StorageHealthy', 'store_credentials'),
  StoreClockSkew: gate('StorageHealthy', 'store_clock_skew'),
  StoreMisconfigured: gate('StorageHealthy', 'store_misconfigured'),
  StoreUnreachable: gate('StorageHealthy', 'store_unreachable'),
  StoreTimeout: gate('StorageHealthy', 'store_timeout'),
  StoreThrottled: gate('StorageHealthy', 'store_throttled'),
  StoreFull: gate('StorageHealthy', 'store_full'),
  StoreInvalid: gate('StorageHealthy', 'store_invalid'),
  StoreFailed: gate('StorageHealthy', 'store_failed'),
  StoreLag: gate('StorageHealthy', 'store_lag'),
  Recording: ['Recording', 'True', enforcedWorld],
  PassesUnrecorded: [
    'Recording',
    'False',
    () => heard(enforcedWorld(), { status: gated('FailOpen', 'spool_failed', 'the disk refuses') }),
  ],
  SpoolFull: gate('Recording', 'spool_full'),
  SpoolFailed: gate('Recording', 'spool_failed'),
  SpoolStalled: gate('Recording', 'spool_stalled'),
  SpoolDamaged: gate('Recording', 'spool_damaged'),
  IdentityHealthy: says('IdentityHealthy', 'True', { auth: enforce }, issuer('Ok')),
  NobodyIdentified: ['IdentityHealthy', 'True', enforcedWorld],
  IssuerUnavailable: says('IdentityHealthy', 'False', { auth: enforce }, issuer('Unavailable')),
  IssuerStale: says('IdentityHealthy', 'False', { auth: enforce }, issuer('Stale')),
  ClusterKeysStale: [
    'IdentityHealthy',
    'False',
    () => {
      const observed = enforcedWorld({ auth: { ...enforce, kubernetes: {} } });
      return { ...observed, clusterIssuer: { ...observed.clusterIssuer, problem: 'forbidden' } };
    },
  ],
  RulesHealthy: ['RulesHealthy', 'True', () => enforcedWorld({ rules: [denies] })],
  NoRules: ['RulesHealthy', 'True', enforcedWorld],
  RulesFailing: says(
    'RulesHealthy',
    'False',
    { rules: [denies] },
    {
      rules: {
        errors: [
          { rule: 'no-deletes', count: 3, last_at: '2026-11-26T11:59:00Z', problem: 'no such key: x' },
        ],
      },
    },
  ),
  CredentialHealthy: says('CredentialHealthy', 'True', { server: bearer }, { credential: { problem: null } }),
  NoCredential: ['CredentialHealthy', 'True', enforcedWorld],
  CredentialUnavailable: says(
    'CredentialHealthy',
    'False',
    { server: bearer },
    { credential: { problem: '/etc/mcp-recorder/server-credential/token is not there' } },
  ),
  NotBlocked: ['RolloutBlocked', 'False', enforcedWorld],
  PausedDeployment: blocked({ rolls: 'paused' }),
  OnDeleteStrategy: blocked({ kind: 'StatefulSet', rolls: 'onDelete' }),
  PartitionedStatefulSet: blocked({ kind: 'StatefulSet', partition: 1 }),
  JobPods: blocked({ kind: 'Job' }),
  NakedPods: blocked(null),
  StaticPods: blocked({ kind: 'Other', ownerKind: 'Node' }),
  InjectionRefused: [
    'RolloutBlocked',
    'True',
    () =>
      firstPod(bareWorld(), ({ spec, ...pod }) => ({
        ...pod,
        spec: { containers: [], ...spec, hostNetwork: true },
      })),
  ],
  EvictionRefused: [
    'RolloutBlocked',
    'True',
    () => ({
      ...bareWorld({}, { kind: 'Other', ownerKind: 'Rollout' }),
      refusals: new Map([['Pod/github-0', 'it would violate the disruption budget']]),
    }),
  ],
  RestartRefused: [
    'RolloutBlocked',
    'True',
    () => ({ ...bareWorld(), refusals: new Map([['Deployment/github', 'denied by a policy']]) }),
  ],
  NewPodsNotReady: ['RolloutBlocked', 'True', () => stuckWorld()],
  ServiceLeadsElsewhere: [
    'RolloutBlocked',
    'True',
    () => {
      const observed = recordedWorld();
      const stranger = barePod('stranger-7', { labels: { app: 'other' } });
      return { ...observed, endpointSlices: [slice('github', 8080, [...observed.pods, stranger])] };
    },
  ],
  OlderResourceWins: [
    'Conflict',
    'True',
    () => {
      const older = resource(
        'elder',
        { selector: { matchLabels: { app: 'github' } } },
        { creationTimestamp: '2026-01-01T00:00:00Z' },
      );
      return { ...bareWorld(), siblings: [older] };
    },
  ],
  NoConflict: ['Conflict', 'False', enforcedWorld],
};

/** Pods that are recorded already, and a Service that leads past the recorder. */
function recordedWorld(): Observed {
  const observed = bareWorld();
  const pods = [recordedPod(observed.resource, 'github-0'), recordedPod(observed.resource, 'github-1')];
  return {
    ...observed,
    pods,
    workloads: ownedBy(workload(), pods),
    services: [service('github')],
    endpointSlices: [slice('github', 8080, pods)],
  };
}

/** A rollout whose first new pod does not become ready. */
function stuckWorld(): Observed {
  const observed = bareWorld();
  const { restart } = decide(observed);
  const restartedFor = restart[0]?.restartedFor ?? '';
  const fresh = recordedPod(observed.resource, 'github-2', {
    ready: false,
    restartedFor,
    createdMs: NOW_MS - 200_000,
  });
  const pods = [...observed.pods, fresh];
  return { ...observed, pods, workloads: ownedBy(workload({ restartedFor, settled: false }), pods) };
}

describe('a reason', () => {
  it.each(Object.entries(ROWS))('%s comes from a world', (reason, [condition, status, make]) => {
    const found = conditionIn(decide(make()), condition);
    expect(found).toMatchObject({ status, reason });
  });

  it.each(Object.entries(ROWS))(
    '%s is told with its remedy, by a condition that the table names',
    (reason, [condition, , make]) => {
      const { of, remedy } = REASONS[reason as Reason];
      expect(of).toContain(condition);
      expect(conditionIn(decide(make()), condition).message).toContain(remedy);
    },
  );

  it('has a row in the table of the documentation', () => {
    const rows = reasonsTable().trimEnd().split('\n').slice(2);
    expect(rows.map((row) => /^\| `(\w+)`/.exec(row)?.[1])).toEqual(Object.keys(REASONS));
    for (const row of rows) expect(row.split(' | ').length, row).toBe(4);
  });
});
