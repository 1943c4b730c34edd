/** Pods that can't be recorded, and what their makers are told. */
import type { Pod } from 'kubernetes-types/core/v1';
import { describe, expect, it } from 'vitest';
import { inject } from '../../../operator/webhook/inject/inject.ts';
import { injection, podFrom, refusal, resource, serverOf } from './scene.ts';

describe('a pod is refused', () => {
  const change = (edit: (spec: NonNullable<Pod['spec']>, pod: Pod) => void, of = resource('github-mcp')) => {
    const pod = podFrom('deployment');
    if (pod.spec !== undefined) edit(pod.spec, pod);
    return refusal(pod, injection(of));
  };
  const first = (spec: NonNullable<Pod['spec']>) => serverOf({ spec });

  it('with a message that names the resource and says what to do', () => {
    expect(
      change((spec) => {
        spec.hostNetwork = true;
      }),
    ).toBe(
      "RecordedMCPServer tools/github-mcp selects this pod, but it can't be recorded. It has hostNetwork: its ports are the node's, where no NetworkPolicy holds. Remove spec.hostNetwork.",
    );
  });

  it('with all that is in the way at once', () => {
    const message = change((spec) => {
      spec.hostPID = true;
      spec.shareProcessNamespace = true;
      first(spec).ports = [{ name: 'http', containerPort: 8080, hostPort: 80 }];
    });
    for (const word of ['hostPID', 'shareProcessNamespace', 'hostPort 80']) expect(message).toContain(word);
  });

  it.each<[string, (spec: NonNullable<Pod['spec']>, pod: Pod) => void]>([
    ['runs as user 64999', (spec) => (first(spec).securityContext = { runAsUser: 64_999 })],
    ['"server" runs as user 64999', (spec) => (spec.securityContext = { runAsUser: 64_999 })],
    [
      'on the node (hostPort 8080)',
      (spec) => (first(spec).ports = [{ containerPort: 8080, hostPort: 8080 }]),
    ],
    [
      'mounts "mcp-recorder-spool"',
      (spec) => (first(spec).volumeMounts = [{ name: 'mcp-recorder-spool', mountPath: '/x' }]),
    ],
    [
      'volume "mcp-recorder-config" has a name that belongs',
      (spec) => (spec.volumes = [{ name: 'mcp-recorder-config', emptyDir: {} }]),
    ],
    [
      'k8s.v1.cni.cncf.io/networks',
      (_, pod) =>
        (pod.metadata = { ...pod.metadata, annotations: { 'k8s.v1.cni.cncf.io/networks': 'tools/fast' } }),
    ],
    [
      'v1.multus-cni.io/default-network',
      (_, pod) =>
        (pod.metadata = {
          ...pod.metadata,
          annotations: { 'v1.multus-cni.io/default-network': 'tools/fast' },
        }),
    ],
    [
      'holds a token for mcp-recorder-operator',
      (spec) =>
        (spec.volumes = [
          {
            name: 'mine',
            projected: {
              sources: [{ serviceAccountToken: { audience: 'mcp-recorder-operator', path: 't' } }],
            },
          },
        ]),
    ],
    [
      'a container "mcp-recorder" that the webhook has not made',
      (spec) => (spec.initContainers = [{ name: 'mcp-recorder', image: 'evil', restartPolicy: 'Always' }]),
    ],
    [
      'a container "mcp-recorder" that the webhook has not made',
      (spec) => spec.containers.push({ name: 'mcp-recorder', image: 'mine' }),
    ],
    [
      'declares port 9080, which is the recorder',
      (spec) =>
        (spec.initContainers = [
          { name: 'x', image: 'x', restartPolicy: 'Always', ports: [{ containerPort: 9080 }] },
        ]),
    ],
    [
      'declares port 9081, which is the recorder',
      (spec) =>
        (spec.initContainers = [
          { name: 'x', image: 'x', restartPolicy: 'Always', ports: [{ containerPort: 9081 }] },
        ]),
    ],
    ['server listens on port 9080', (spec) => (first(spec).ports = [{ containerPort: 9080 }])],
    [
      'several TCP ports: 8080 (server), 8081 (server)',
      (spec) => (first(spec).ports = [{ containerPort: 8080 }, { containerPort: 8081 }]),
    ],
    ['No container of the pod declares a TCP port', (spec) => delete first(spec).ports],
    [
      'port name "http" stands for',
      (spec) =>
        (spec.initContainers = [
          { name: 'x', image: 'x', restartPolicy: 'Always', ports: [{ name: 'http', containerPort: 80 }] },
        ]),
    ],
    [
      'port name "mcp-rec-status" belongs to the recorder',
      (spec) => first(spec).ports?.push({ name: 'mcp-rec-status', containerPort: 8080 }),
    ],
    ['static pod', (_, pod) => (pod.metadata = { annotations: { 'kubernetes.io/config.mirror': 'x' } })],
    ['runs on Windows', (spec) => (spec.os = { name: 'windows' })],
  ])('%s', (words, edit) => {
    const message = change((spec, pod) => void edit(spec, pod));
    const several = 'spec.server.port';
    expect(message).toContain(words);
    expect(message).toMatch(
      /^RecordedMCPServer tools\/github-mcp selects this pod, but it can't be recorded\. /,
    );
    if (words.includes('TCP port')) expect(message).toContain(several);
  });

  it('when the resource names a container that is not there, or one that only initialises', () => {
    const nobody = change(() => undefined, resource('github-mcp', { server: { container: 'mcp' } }));
    expect(nobody).toContain(
      'no container "mcp". Set spec.server.container to one of its containers: server.',
    );
    const early = change(
      (spec) => (spec.initContainers = [{ name: 'mcp', image: 'x', restartPolicy: 'Always' }]),
      resource('github-mcp', { server: { container: 'mcp' } }),
    );
    expect(early).toContain('is an init container');
  });

  it('when no container, or more than one, declares the port that the resource gives', () => {
    const of = resource('search-mcp', { server: { port: 7000 } });
    expect(refusal(podFrom('several-containers'), injection(of))).toContain(
      "None of the pod's containers declares port 7000, so it can't be told which one runs the server. Set spec.server.container to one of: exporter, mcp, logs.",
    );
  });

  it('when its store is none of the platform team', () => {
    const of = resource('github-mcp', { storage: { store: 'mine' } });
    expect(refusal(podFrom('deployment'), injection(of))).toContain(
      'the store "mine", which the platform team has not set up (there is: default, identity)',
    );
  });

  it('when the place where the server is moved to is taken, or it is asked by gRPC', () => {
    const to = (port: number) =>
      resource('everything-mcp', {
        server: { port: 80 },
        traffic: { mode: 'Relocate', relocate: { port, args: ['x'] } },
      });
    expect(refusal(podFrom('relocate'), injection(to(9464)))).toContain(
      'declares port 9464, which is the port that the server is moved to',
    );
    expect(refusal(podFrom('relocate'), injection(to(80)))).toContain(
      "relocate.port is 80: the server's own",
    );
    expect(refusal(podFrom('relocate'), injection(to(9081)))).toContain('status port');
    const pod = podFrom('relocate');
    serverOf(pod).readinessProbe = { grpc: { port: 80 } };
    expect(refusal(pod, injection(to(18_080)))).toContain('gRPC probe on port 80');
  });
});

it('a pod with further networks is let pass where its server listens on loopback only', () => {
  const pod = podFrom('relocate');
  pod.metadata = { ...pod.metadata, annotations: { 'k8s.v1.cni.cncf.io/networks': 'tools/fast' } };
  const traffic = { mode: 'Relocate' as const, relocate: { port: 18_080 } };
  expect(inject(pod, injection(resource('everything-mcp', { server: { port: 80 }, traffic }))).ok).toBe(true);
});
