/** What is kept of the cluster's objects tells what the whole ones tell. */
import type { Container, Pod, PodSpec } from 'kubernetes-types/core/v1';
import type { EndpointSlice } from 'kubernetes-types/discovery/v1';
import { describe, expect, it } from 'vitest';
import type { Stored } from '../../../operator/reconcile/kinds.ts';
import { trimEndpointSlice, trimPod } from '../../../operator/reconcile/trim.ts';
import { problemsOf } from '../../../operator/webhook/inject/refusals.ts';
import { injection, resource } from '../webhook/scene.ts';

function pod(spec: Partial<PodSpec>, server: Partial<Container> = {}): Stored<Pod> {
  const container = { name: 'server', image: 'server:1', ports: [{ containerPort: 8080 }], ...server };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'github-0', namespace: 'tools' },
    spec: { containers: [container], ...spec },
  };
}

const token = { serviceAccountToken: { path: 'token', audience: 'mcp-recorder-operator' } };
const relocate = { mode: 'Relocate' as const, relocate: { port: 18_080 } };

describe('a pod that admission would refuse is known as such from what is kept of it', () => {
  it.each<[string, Stored<Pod>]>([
    ['hostNetwork', pod({ hostNetwork: true })],
    ['hostPID', pod({ hostPID: true })],
    ['shareProcessNamespace', pod({ shareProcessNamespace: true })],
    [
      'its node alone',
      { ...pod({}), metadata: { name: 'x', annotations: { 'kubernetes.io/config.mirror': 'x' } } },
    ],
    ['Windows', pod({ os: { name: 'windows' } })],
    ["the recorder's user, for all containers", pod({ securityContext: { runAsUser: 64_999 } })],
    ["the recorder's user, for one", pod({}, { securityContext: { runAsUser: 64_999 } })],
    ["a volume of the recorder's name", pod({ volumes: [{ name: 'mcp-recorder-spool', emptyDir: {} }] })],
    ["the recorder's token", pod({ volumes: [{ name: 'proof', projected: { sources: [token] } }] })],
    [
      "a mount of the recorder's volume",
      pod({}, { volumeMounts: [{ name: 'mcp-recorder-spool', mountPath: '/spool' }] }),
    ],
    ['a port of the node', pod({}, { ports: [{ containerPort: 8080, hostPort: 8080 }] })],
    [
      'a gRPC probe on the port that the recorder takes',
      pod({}, { livenessProbe: { grpc: { port: 8080 } } }),
    ],
  ])('%s', (_, whole) => {
    const asked = injection(resource('github', { traffic: relocate }));
    const problems = problemsOf(whole, asked, 8080, 'server');
    expect(problems).toHaveLength(1);
    expect(problemsOf(trimPod(whole), asked, 8080, 'server')).toEqual(problems);
  });

  it('networks of its own, in mode Service', () => {
    const annotations = { 'k8s.v1.cni.cncf.io/networks': 'tools/fast', other: 'x' };
    const whole = { ...pod({}), metadata: { name: 'github-0', namespace: 'tools', annotations } };
    const asked = injection(resource('github'));
    const problems = problemsOf(whole, asked, 8080, 'server');
    expect(problems).toHaveLength(1);
    expect(problemsOf(trimPod(whole), asked, 8080, 'server')).toEqual(problems);
  });

  it('and no more is kept of volumes and probes than that', () => {
    const usual = pod(
      {
        volumes: [
          { name: 'data', emptyDir: {} },
          { name: 'api', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } },
        ],
      },
      {
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
        livenessProbe: { httpGet: { port: 8080 } },
        env: [{ name: 'A', value: 'b' }],
      },
    );
    expect(trimPod(usual).spec).toEqual({
      containers: [{ name: 'server', image: 'server:1', ports: [{ containerPort: 8080 }] }],
    });
  });
});

it('takes the nulls of an empty slice for empty lists, as a Service whose last pod has gone has one', () => {
  const empty = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-x2k9z', namespace: 'tools' },
    addressType: 'IPv4',
    endpoints: null,
    ports: null,
  } as unknown as Stored<EndpointSlice>;
  const { endpoints, ports = [] } = trimEndpointSlice(empty);
  expect({ endpoints, ports }).toEqual({ endpoints: [], ports: [] });
});
