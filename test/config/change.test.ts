import { describe, expect, it } from 'vitest';
import type { CredentialConfiguration, RuleConfiguration } from '../../sidecar/config/access.ts';
import { changeOf } from '../../sidecar/config/change.ts';
import { loadConfiguration } from '../../sidecar/config/load.ts';
import type { Configuration } from '../../sidecar/config/schema.ts';

const IN_FORCE = loadConfiguration({
  flags: { upstream: 'http://127.0.0.1:1/', store: '/store', name: 'a', anonymous: true },
});
const TLS = { listen: IN_FORCE.status.listen, tls: { operatorCa: 'one' } };

const RULE: RuleConfiguration = {
  name: 'a',
  when: 'true',
  action: 'Deny',
  message: null,
  hideTools: false,
};
const BEARER: CredentialConfiguration = { kind: 'bearer', tokenFile: '/token' };

const wanted = (change: Partial<Configuration>): Configuration => ({ ...IN_FORCE, digest: 'new', ...change });
const recording = (change: Partial<Configuration['recording']>) =>
  wanted({ recording: { ...IN_FORCE.recording, ...change } });

describe('a changed configuration', () => {
  it.each<[string, Configuration]>([
    ['recording.onFailure', recording({ onFailure: 'Open' })],
    ['recording.maxUploadLag', recording({ maxUploadLagMs: 1_000 })],
    ['recording.maxRequestBytes', recording({ maxRequestBytes: 10 })],
    ['log.level', wanted({ log: { level: 'debug' } })],
    ['labels', wanted({ labels: { environment: 'prod' } })],
    ['auth', wanted({ auth: { ...IN_FORCE.auth, mode: 'Observe' } })],
    ['rules', wanted({ rules: [RULE] })],
    ['masking', wanted({ masking: { base64: true, rules: [] } })],
    ['server.credential', wanted({ server: { ...IN_FORCE.server, credential: BEARER } })],
    ['server.callerToken', wanted({ server: { ...IN_FORCE.server, callerToken: 'Remove' } })],
    ['nothing but its digest', wanted({})],
  ])('is in force at once in %s', (_, configuration) => {
    expect(changeOf(IN_FORCE, configuration, false)).toEqual({ next: configuration, restartNeeded: [] });
  });

  it.each<[string, Configuration]>([
    ['name', wanted({ name: 'b' })],
    ['cluster', wanted({ cluster: 'b' })],
    ['namespace', wanted({ namespace: 'b' })],
    ['listen', wanted({ listen: { host: '127.0.0.1', port: 1 } })],
    ['server.url', wanted({ server: { ...IN_FORCE.server, url: 'http://b', origin: 'http://b' } })],
    ['storage', wanted({ storage: { kind: 'directory', location: '/b', directory: '/b' } })],
    ['recording.commit', recording({ commit: 'ObjectStorage' })],
    ['recording.spool', recording({ spool: { ...IN_FORCE.recording.spool, sizeLimitBytes: 1 } })],
    ['recording.maxRequestBytes', recording({ maxRequestBytes: IN_FORCE.limits.memoryBytes + 1 })],
    ['status.listen', wanted({ status: { listen: { host: '::', port: 1 } } })],
    ['status.tls', wanted({ status: TLS })],
    ['drain', wanted({ drain: { timeoutMs: 1 } })],
    ['limits', wanted({ limits: { memoryBytes: 1e9 } })],
  ])('changes nothing but the digest in %s, and names it', (key, configuration) => {
    expect(changeOf(IN_FORCE, configuration, false)).toEqual({
      next: { ...IN_FORCE, digest: 'new' },
      restartNeeded: [key],
    });
  });

  it('brings other files of the credential in a pod only with the restart that mounts them', () => {
    const { server } = IN_FORCE;
    const withCredential = (credential: CredentialConfiguration | null) =>
      wanted({ server: { ...server, credential }, digest: 'd' });
    const header: CredentialConfiguration = { kind: 'header', name: 'A', valueFile: '/token' };
    const before = withCredential(BEARER);
    for (const other of [null, { ...BEARER, tokenFile: '/other' }]) {
      const { next, restartNeeded } = changeOf(before, withCredential(other), true);
      expect([next.server.credential, restartNeeded]).toEqual([BEARER, ['server.credential']]);
      expect(changeOf(before, withCredential(other), false).next.server.credential).toEqual(other);
    }
    // The same file, used otherwise.
    expect(changeOf(before, withCredential(header), true)).toEqual({
      next: withCredential(header),
      restartNeeded: [],
    });
  });

  it('takes no larger requests than the memory in force has room for, whatever memory is to come', () => {
    const { memoryBytes } = IN_FORCE.limits;
    const larger = {
      ...recording({ maxRequestBytes: memoryBytes + 1 }),
      limits: { memoryBytes: memoryBytes * 2 },
    };
    expect(changeOf(IN_FORCE, larger, false)).toEqual({
      next: { ...IN_FORCE, digest: 'new' },
      restartNeeded: ['recording.maxRequestBytes', 'limits'],
    });
  });

  it('brings other authorities of the operator at once', () => {
    const before: Configuration = { ...IN_FORCE, status: TLS };
    const after = wanted({ status: { ...TLS, tls: { operatorCa: 'two' } } });
    expect(changeOf(before, after, false)).toEqual({ next: after, restartNeeded: [] });
    expect(changeOf(before, wanted({}), false)).toEqual({
      next: { ...before, digest: 'new' },
      restartNeeded: ['status.tls'],
    });
  });

  it('takes its parts over one by one: what needs a restart does not hold up the rest', () => {
    const both = { ...recording({ onFailure: 'Open' }), cluster: 'b' };
    expect(changeOf(IN_FORCE, both, false)).toEqual({
      next: recording({ onFailure: 'Open' }),
      restartNeeded: ['cluster'],
    });
  });

  it('names what needs a restart until it is as it was', () => {
    const { next } = changeOf(IN_FORCE, wanted({ cluster: 'b' }), false);
    expect(changeOf(next, wanted({ cluster: 'b' }), false).restartNeeded).toEqual(['cluster']);
    expect(changeOf(next, wanted({}), false).restartNeeded).toEqual([]);
  });
});
