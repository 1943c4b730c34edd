/** The NetworkPolicy of a resource, and those of others. */
import type { NetworkPolicy, NetworkPolicySpec } from 'kubernetes-types/networking/v1';
import { describe, expect, it } from 'vitest';
import {
  areIsolated,
  policiesThatAdmit,
  restrictsClients,
} from '../../../operator/desired/foreign-policies.ts';
import { networkPolicyOf, type Openings, saysTheSame } from '../../../operator/desired/network-policy.ts';
import { podsOf } from '../../../operator/desired/pods.ts';
import { barePod, policy, recordedPod, resource, settings, world } from './world.ts';

const OPENINGS: Openings = { recorder: [9080], status: 9081, others: [], closesUnrecorded: false };
const OPERATOR = {
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'mcp-recorder-system' } },
};

function ingressOf(made: NetworkPolicy) {
  return made.spec?.ingress;
}

describe('the policy of a resource', () => {
  it('selects recorded pods and admits the recorder for all, its status port for the operator', () => {
    expect(networkPolicyOf(resource('github'), settings, OPENINGS).spec).toEqual({
      podSelector: { matchLabels: { 'mcp-recorder.dev/server': 'github' } },
      policyTypes: ['Ingress'],
      egress: [],
      ingress: [
        { ports: [{ protocol: 'TCP', port: 9080 }] },
        { from: [OPERATOR], ports: [{ protocol: 'TCP', port: 9081 }] },
      ],
    });
  });

  it('admits only the clients that the resource names', () => {
    const clients = [{ podSelector: { matchLabels: { role: 'agent' } } }];
    const [first] =
      ingressOf(networkPolicyOf(resource('github', { traffic: { clients } }), settings, OPENINGS)) ?? [];
    expect(first).toEqual({ from: clients, ports: [{ protocol: 'TCP', port: 9080 }] });
  });

  it('lets monitoring read the status port beside the operator', () => {
    const monitoring = { namespaceSelector: { matchLabels: { team: 'observability' } } };
    const made = networkPolicyOf(resource('github'), { ...settings, monitoring }, OPENINGS);
    expect(ingressOf(made)?.[1]?.from).toEqual([OPERATOR, monitoring]);
  });

  it('opens the ports that stay unrecorded to everyone', () => {
    const made = networkPolicyOf(resource('github'), settings, {
      ...OPENINGS,
      others: [{ port: 9100, protocol: 'UDP' }],
    });
    expect(ingressOf(made)?.[2]).toEqual({ ports: [{ protocol: 'UDP', port: 9100 }] });
  });

  it('selects by the resource while it closes pods that have no recorder', () => {
    const made = networkPolicyOf(resource('github'), settings, { ...OPENINGS, closesUnrecorded: true });
    expect(made.spec?.podSelector).toEqual({ matchLabels: { app: 'github' } });
  });
});

describe('two policies', () => {
  const wanted = networkPolicyOf(resource('github'), settings, OPENINGS);
  const standing = (spec: Partial<NetworkPolicySpec>) =>
    policy('github-mcp-recorder', { ...wanted.spec, podSelector: {}, ...spec });

  it('say the same with the defaults of the API server, in any order of keys', () => {
    const returned: NetworkPolicy = {
      spec: {
        policyTypes: ['Ingress'],
        ingress: [
          { ports: [{ port: 9080 }] },
          {
            ports: [{ port: 9081, protocol: 'TCP' }],
            from: [{ namespaceSelector: { matchExpressions: [], ...OPERATOR.namespaceSelector } }],
          },
        ],
        podSelector: { matchLabels: { 'mcp-recorder.dev/server': 'github' } },
      },
    };
    expect(saysTheSame(wanted, returned)).toBe(true);
  });

  it.each<[string, NetworkPolicy]>([
    ['another selector', standing({})],
    [
      'another port',
      standing({ podSelector: wanted.spec?.podSelector ?? {}, ingress: [{ ports: [{ port: 8080 }] }] }),
    ],
    [
      'one rule more',
      standing({
        podSelector: wanted.spec?.podSelector ?? {},
        ingress: [...(wanted.spec?.ingress ?? []), {}],
      }),
    ],
    ['egress only', standing({ podSelector: wanted.spec?.podSelector ?? {}, policyTypes: ['Egress'] })],
    [
      'no peers where there were some',
      standing({
        podSelector: wanted.spec?.podSelector ?? {},
        ingress: [{ ports: [{ port: 9080 }] }, { ports: [{ port: 9081 }] }],
      }),
    ],
    [
      'a peer with another selector',
      standing({
        podSelector: wanted.spec?.podSelector ?? {},
        ingress: [
          { ports: [{ port: 9080 }] },
          { from: [{ namespaceSelector: {} }], ports: [{ port: 9081 }] },
        ],
      }),
    ],
  ])('do not say the same with %s', (_, other) => {
    expect(saysTheSame(wanted, other)).toBe(false);
  });
});

describe('a policy of others', () => {
  const of = resource('github');
  const { mine } = podsOf(world(of, { pods: [recordedPod(of, 'github-0')] }));
  const anyone: NetworkPolicySpec = { podSelector: {} };
  const admits = (spec: NetworkPolicySpec) =>
    policiesThatAdmit(8080, [policy('other', spec)], mine).length > 0;

  it.each<[string, NetworkPolicySpec]>([
    ['any port', { ...anyone, ingress: [{}] }],
    ['any port of some peers', { ...anyone, ingress: [{ from: [{ podSelector: {} }] }] }],
    [
      'any port of an address block',
      { ...anyone, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }] },
    ],
    ['an empty list of ports', { ...anyone, ingress: [{ ports: [] }] }],
    ['any TCP port', { ...anyone, ingress: [{ ports: [{ protocol: 'TCP' }] }] }],
    ['the port by its number', { ...anyone, ingress: [{ ports: [{ port: 8080 }] }] }],
    ['a range around it', { ...anyone, ingress: [{ ports: [{ port: 8000, endPort: 8080 }] }] }],
    [
      'it in the second rule',
      { ...anyone, ingress: [{ ports: [{ port: 1 }] }, { ports: [{ port: 2 }, { port: 8080 }] }] },
    ],
    [
      'it for the marking label',
      { podSelector: { matchLabels: { 'mcp-recorder.dev/server': 'github' } }, ingress: [{}] },
    ],
    ['it beside rules for egress', { ...anyone, policyTypes: ['Ingress', 'Egress'], ingress: [{}] }],
  ])('opens the server when it admits %s', (_, spec) => {
    expect(admits(spec)).toBe(true);
  });

  it.each<[string, NetworkPolicySpec]>([
    ['nothing', { ...anyone, ingress: [] }],
    ['other ports', { ...anyone, ingress: [{ ports: [{ port: 8079 }, { port: 8081, endPort: 9000 }] }] }],
    [
      'the number in another protocol',
      { ...anyone, ingress: [{ ports: [{ port: 8080, protocol: 'UDP' }] }] },
    ],
    ["the name, which is the recorder's now", { ...anyone, ingress: [{ ports: [{ port: 'mcp' }] }] }],
    ['it for other pods', { podSelector: { matchLabels: { app: 'other' } }, ingress: [{}] }],
    ['egress only', { ...anyone, policyTypes: ['Egress'], ingress: [{}] }],
  ])('opens nothing when it admits %s', (_, spec) => {
    expect(admits(spec)).toBe(false);
  });

  it('opens the server by a name that still stands for its port', () => {
    const pod = recordedPod(of, 'github-0', { portName: null });
    pod.spec?.containers.push({ name: 'other', ports: [{ name: 'back', containerPort: 8080 }] });
    const { mine: pods } = podsOf(world(of, { pods: [pod] }));
    const byName = policy('other', { ...anyone, ingress: [{ ports: [{ port: 'back' }] }] });
    expect(policiesThatAdmit(8080, [byName], pods)).toEqual(['other']);
  });

  it('closes pods when it selects every one of them for ingress', () => {
    const closed = policy('closed', { podSelector: { matchLabels: { app: 'github' } } });
    const { mine: two } = podsOf(world(of, { pods: [barePod('github-0'), barePod('github-1')] }));
    expect(areIsolated([closed], two)).toBe(true);
    expect(areIsolated([policy('egress', { ...anyone, policyTypes: ['Egress'] })], two)).toBe(false);
    expect(areIsolated([policy('one', { podSelector: { matchLabels: { app: 'x' } } })], two)).toBe(false);
    expect(areIsolated([closed], [])).toBe(false);
  });

  it('restricts clients when every rule for the port names peers', () => {
    const peers = { from: [{ podSelector: {} }], ports: [{ port: 8080 }] };
    const { mine: pods } = podsOf(world(of, { pods: [barePod('github-0')] }));
    expect(restrictsClients(8080, [policy('some', { ...anyone, ingress: [peers] })], pods)).toBe(true);
    expect(restrictsClients(8080, [policy('all', { ...anyone, ingress: [peers, {}] })], pods)).toBe(false);
    expect(restrictsClients(8080, [], pods)).toBe(false);
  });
});
