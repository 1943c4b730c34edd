import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findAccess, podAccess } from '../../../operator/kube/access.ts';
import { createClient } from '../../../operator/kube/client.ts';
import type { Resource } from '../../../operator/kube/resource.ts';
import { startControlPlane } from '../../support/control-plane.ts';
import { createManualClock } from '../../support/manual-clock.ts';

let folder: string;
const clock = createManualClock();

beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-access-'));
});
afterEach(async () => {
  await fs.rm(folder, { recursive: true, force: true });
});

function file(name: string): string {
  return path.join(folder, name);
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

/** A kubeconfig with these fields of its cluster and its user. */
async function kubeconfig(cluster: object, user: object, more: object = {}) {
  const content = {
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'c', user: 'u', namespace: 'tools' } }],
    clusters: [{ name: 'c', cluster: { server: 'https://10.0.0.1:6443', ...cluster } }],
    users: [{ name: 'u', user }],
    ...more,
  };
  await fs.writeFile(file('config'), JSON.stringify(content));
  return findAccess({ KUBECONFIG: file('config') }, clock.nowMs);
}

describe('the access by a kubeconfig', () => {
  it('has server, namespace, authority and certificate of the current context', async () => {
    const access = await kubeconfig(
      { 'certificate-authority-data': base64('CA'), 'tls-server-name': 'api.example' },
      { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') },
    );
    expect([access.origin, access.namespace, access.token()]).toEqual([
      'https://10.0.0.1:6443',
      'tools',
      null,
    ]);
    expect(access.tls()).toEqual({ ca: 'CA', cert: 'CERT', key: 'KEY', servername: 'api.example' });
  });

  it('reads files beside it', async () => {
    await fs.writeFile(file('ca.pem'), 'CA of a file');
    const access = await kubeconfig({ 'certificate-authority': 'ca.pem' }, { token: 'inline' });
    expect([access.tls().ca, access.token()]).toEqual(['CA of a file', 'inline']);
  });

  it('reads a token file again, but not for each call', async () => {
    await fs.writeFile(file('token'), 'first\n');
    const access = await kubeconfig({}, { tokenFile: file('token'), token: 'older' });
    expect(access.token()).toBe('first');
    await fs.writeFile(file('token'), 'second\n');
    clock.advance(9_999);
    expect(access.token()).toBe('first');
    clock.advance(1);
    expect(access.token()).toBe('second');
  });

  it('trusts what the system trusts when no authority is named', async () => {
    expect((await kubeconfig({}, {})).tls().ca).toBeNull();
  });

  it.each([
    ['a server without TLS', { server: 'http://10.0.0.1' }, {}, /must be an https address/],
    ['a server below a path', { server: 'https://10.0.0.1/k8s' }, {}, /has a path \(\/k8s\)/],
    [
      'no verification',
      { 'insecure-skip-tls-verify': true },
      {},
      /not supported here: clusters: insecure-skip/,
    ],
    ['a proxy', { 'proxy-url': 'http://p' }, {}, /clusters: proxy-url/],
    ['a helper program', {}, { exec: { command: 'get-token' } }, /users: exec\. Use a client certificate/],
    ['another identity', {}, { as: 'somebody' }, /users: as/],
  ])('refuses %s', async (_, cluster, user, why) => {
    await expect(kubeconfig(cluster, user)).rejects.toThrow(why);
  });

  it('says what is missing', async () => {
    await expect(kubeconfig({}, {}, { 'current-context': 'there' })).rejects.toThrow(
      /current context there is not among its contexts/,
    );
    await expect(kubeconfig({}, {}, { clusters: [] })).rejects.toThrow(
      /no cluster c, which the context here/,
    );
    await expect(kubeconfig({}, {}, { contexts: 5 })).rejects.toThrow(/contexts: /);
    const missing = () => findAccess({ KUBECONFIG: file('missing') }, clock.nowMs);
    expect(missing).toThrow(/can't be read: ENOENT/);
    const two = () => findAccess({ KUBECONFIG: '/a:/b' }, clock.nowMs);
    expect(two).toThrow(/must name one file/);
  });

  it('quotes nothing of a file that it does not understand', async () => {
    await fs.writeFile(file('config'), 'users:\n- token: "secret-token\n  - x: [');
    const read = () => findAccess({ KUBECONFIG: file('config') }, clock.nowMs);
    expect(read).toThrow(/is not YAML/);
    expect(read).not.toThrow(/secret-token/);
  });
});

describe('the access of a pod', () => {
  it('is looked for when no kubeconfig is given', () => {
    expect(() => findAccess({}, clock.nowMs)).toThrow(/outside of a cluster set KUBECONFIG/);
  });

  it('says at the start which file is missing', async () => {
    const at = { host: '10.96.0.1', port: '443', folder, nowMs: clock.nowMs };
    await fs.writeFile(file('namespace'), 'mcp-recorder');
    expect(() => podAccess(at)).toThrow(/token/);
  });

  it('brackets an address of IPv6', async () => {
    for (const name of ['namespace', 'token', 'ca.crt']) await fs.writeFile(file(name), name);
    const access = podAccess({ host: 'fd00::1', port: '443', folder, nowMs: clock.nowMs });
    expect(access.origin).toBe('https://[fd00::1]:443');
    expect(access.namespace).toBe('namespace');
  });

  it('speaks to a real API server, with the token and the authority that the files hold now', async () => {
    const plane = await startControlPlane();
    try {
      const accounts: Resource = {
        group: '',
        version: 'v1',
        plural: 'serviceaccounts',
        kind: 'ServiceAccount',
        namespaced: true,
      };
      const reviews: Resource = {
        group: 'authentication.k8s.io',
        version: 'v1',
        plural: 'selfsubjectreviews',
        kind: 'SelfSubjectReview',
        namespaced: false,
      };
      for (const name of ['first', 'second']) {
        const metadata = { name, namespace: 'default' };
        await plane.client().create(accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata });
      }
      await fs.writeFile(file('namespace'), 'default');
      await fs.writeFile(file('ca.crt'), plane.ca);
      await fs.writeFile(file('token'), await plane.serviceAccountToken('default', 'first'));
      const access = podAccess({ host: '127.0.0.1', port: String(plane.port), folder, nowMs: clock.nowMs });
      const client = createClient({ access, fieldManager: 'test' });
      const whoAmI = async () => {
        const review = {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'SelfSubjectReview',
          metadata: { name: '' },
        };
        const { status } = (await client.create(reviews, review)) as unknown as {
          status: { userInfo: { username: string } };
        };
        return status.userInfo.username;
      };
      expect(await whoAmI()).toBe('system:serviceaccount:default:first');
      await fs.writeFile(file('token'), await plane.serviceAccountToken('default', 'second'));
      clock.advance(10_000);
      expect(await whoAmI()).toBe('system:serviceaccount:default:second');
      await fs.writeFile(file('ca.crt'), 'no certificate');
      clock.advance(10_000);
      await plane.restart();
      await expect(whoAmI()).rejects.toThrow(/Unreachable/);
      await fs.writeFile(file('ca.crt'), plane.ca);
      clock.advance(10_000);
      expect(await whoAmI()).toBe('system:serviceaccount:default:second');
      await client.close();
    } finally {
      await plane.stop();
    }
  });
});
