/** What an injection gives and takes beyond the pods that are written down: relocation, init containers, identity, storage. */
import type { Pod } from 'kubernetes-types/core/v1';
import { describe, expect, it } from 'vitest';
import { strip } from '../../../operator/webhook/inject/strip.ts';
import { injected, injection, podFrom, resource, serverOf, settings, sidecarOf } from './scene.ts';

describe('a relocated server', () => {
  const to = (port: number) =>
    injection(
      resource('everything-mcp', {
        server: { port },
        traffic: {
          mode: 'Relocate',
          relocate: { port: 18_080, env: [{ name: 'HOST', value: '127.0.0.1' }] },
        },
      }),
    );
  const onPort = (containerPort: number) => {
    const pod = podFrom('relocate');
    serverOf(pod).ports = [{ containerPort }];
    return pod;
  };

  it('needs a right of the network namespace for a low port, and keeps what the pod says of it', () => {
    const name = 'net.ipv4.ip_unprivileged_port_start';
    const sysctls = (pod: Pod, port: number) => injected(pod, to(port)).pod.spec?.securityContext?.sysctls;
    expect(sysctls(onPort(80), 80)).toEqual([{ name, value: '0' }]);
    expect(sysctls(onPort(8080), 8080)).toBeUndefined();
    const pod = onPort(80);
    if (pod.spec !== undefined) pod.spec.securityContext = { sysctls: [{ name, value: '80' }] };
    expect(sysctls(pod, 80)).toEqual([{ name, value: '80' }]);
  });

  it('keeps a variable that another webhook wrote after us until it is told its address again', () => {
    const once = injected(onPort(8080), to(8080)).pod;
    const variable = serverOf(once).env?.find(({ name }) => name === 'HOST');
    if (variable !== undefined) variable.value = '::1';
    expect(serverOf(strip(once)).env).toContainEqual({ name: 'HOST', value: '::1' });
    expect(serverOf(injected(once, to(8080)).pod).env).toContainEqual({ name: 'HOST', value: '127.0.0.1' });
  });
});

describe('init containers', () => {
  it('that have ended when the server runs may use what it uses', () => {
    const pod = podFrom('deployment');
    const ports = [
      { name: 'http', containerPort: 80 },
      { containerPort: 8080, hostPort: 8080 },
    ];
    if (pod.spec !== undefined) pod.spec.initContainers = [{ name: 'early', image: 'x', ports }];
    const made = injected(pod, injection(resource('github-mcp'))).pod;
    expect(made.spec?.initContainers?.[0]?.ports).toEqual(ports);
  });
});

describe('the identity of the pod', () => {
  it('is not the recorder’s where the store has a Secret', () => {
    const sidecar = sidecarOf(injected(podFrom('pod-identity'), injection(resource('s3-mcp'))).pod);
    expect(sidecar.env?.filter(({ name }) => name.startsWith('AWS_'))).toEqual([]);
    expect(sidecar.volumeMounts?.map(({ name }) => name)).not.toContain('aws-iam-token');
  });
});

describe('the credential of the server', () => {
  const basic = {
    usernameSecretKeyRef: { name: 'user', key: 'name' },
    passwordSecretKeyRef: { name: 'login', key: 'password' },
  };
  const of = resource('github-mcp', { server: { credential: { basic } } });
  const name = 'mcp-recorder-server-credential';

  it('comes to the recorder alone, key by key, readable by its user, and may be missing at the start', () => {
    const { pod } = injected(podFrom('deployment'), injection(of));
    expect(pod.spec?.volumes?.find((volume) => volume.name === name)).toEqual({
      name,
      projected: {
        defaultMode: 0o644,
        sources: [
          { secret: { name: 'user', optional: true, items: [{ key: 'name', path: 'username' }] } },
          { secret: { name: 'login', optional: true, items: [{ key: 'password', path: 'password' }] } },
        ],
      },
    });
    expect(sidecarOf(pod).volumeMounts).toContainEqual({
      name,
      mountPath: '/etc/mcp-recorder/server-credential',
      readOnly: true,
    });
    expect(serverOf(pod).volumeMounts?.map((mount) => mount.name) ?? []).not.toContain(name);
    expect(strip(pod)).toEqual(podFrom('deployment'));
  });

  it('is not there without one', () => {
    const { pod } = injected(podFrom('deployment'), injection(resource('github-mcp')));
    expect(pod.spec?.volumes?.map((volume) => volume.name)).not.toContain(name);
  });
});

describe('the storage of the recorder', () => {
  it.each([
    ['512Mi', '640Mi', '704Mi'],
    ['64Mi', '80Mi', '144Mi'],
    ['1Gi', '1280Mi', '1344Mi'],
    ['100Mi', '125Mi', '189Mi'],
  ])('for a spool of %s: a volume of %s, a request of %s', (cap, volume, request) => {
    const of = resource('github-mcp', { recording: { spool: { sizeLimit: cap } } });
    const { pod } = injected(podFrom('deployment'), injection(of));
    const spool = pod.spec?.volumes?.find(({ name }) => name === 'mcp-recorder-spool');
    expect(spool?.emptyDir?.sizeLimit).toBe(volume);
    expect(sidecarOf(pod).resources?.requests?.['ephemeral-storage']).toBe(request);
  });

  it('has a limit only in a pod that has one, because it would else be the limit of the whole pod', () => {
    const of = injection(resource('memory-mcp'));
    expect(sidecarOf(injected(podFrom('statefulset'), of).pod).resources?.limits).toHaveProperty(
      'ephemeral-storage',
      '704Mi',
    );
    const deployment = injected(podFrom('deployment'), injection(resource('github-mcp'))).pod;
    expect(sidecarOf(deployment).resources?.limits).toEqual({ memory: '256Mi' });
  });

  it('takes more where the platform team gives more, never less', () => {
    const limits = (amount: string) => ({
      ...settings,
      sidecar: { ...settings.sidecar, resources: { requests: {}, limits: { 'ephemeral-storage': amount } } },
    });
    const limit = (amount: string) => {
      const given = injection(resource('memory-mcp'), { settings: limits(amount) });
      return sidecarOf(injected(podFrom('statefulset'), given).pod).resources?.limits;
    };
    expect(limit('4Gi')).toEqual({ 'ephemeral-storage': '4Gi' });
    expect(limit('100Mi')).toEqual({ 'ephemeral-storage': '704Mi' });
  });

  it('and CPU and memory are those of the pod, where that has its own', () => {
    const pod = podFrom('deployment');
    Object.assign(pod.spec ?? {}, { resources: { limits: { cpu: '1', memory: '1Gi' } } });
    const result = injected(pod, injection(resource('github-mcp')));
    expect(sidecarOf(result.pod).resources).toEqual({ requests: { 'ephemeral-storage': '704Mi' } });
    expect(result.flags).toContain('podResources');
  });
});
