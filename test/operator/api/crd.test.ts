/**
 * crds/recordedmcpservers.yaml on a real API server: what a person is told of each wrong field, which defaults are filled in, what
 * `kubectl get` shows, and that whatever the API server accepts the recorder accepts.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { RecordedMCPServer } from '../../../operator/api/recorded-mcp-server.ts';
import { accessConfiguration } from '../../../operator/desired/access-configuration.ts';
import { accessInForce } from '../../../operator/desired/access-floors.ts';
import type { KubeClient } from '../../../operator/kube/client.ts';
import { KubeError } from '../../../operator/kube/kube-error.ts';
import type { KubeObject, Resource } from '../../../operator/kube/resource.ts';
import { configurationSchema } from '../../../sidecar/config/schema.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { rigProgram } from '../../support/rig-programs.ts';
import { settings } from '../webhook/scene.ts';
import {
  auth,
  credential,
  type Fields,
  issuer,
  LEAST,
  mask,
  recording,
  rule,
  s3,
  WRONG,
} from './wrong-fields.ts';

const CRD = path.join(import.meta.dirname, '../../../crds/recordedmcpservers.yaml');
const RESOURCES: Resource<KubeObject & { spec: Record<string, unknown> }> = {
  group: 'mcp-recorder.dev',
  version: 'v1alpha1',
  plural: 'recordedmcpservers',
  kind: 'RecordedMCPServer',
  namespaced: true,
};

/** Rules that need more than one field of `spec` wrong, or an older version; tested by themselves. */
const ELSEWHERE = [
  'metadata.name may have at most 52 characters, so that the names made from it fit',
  'metadata.name may have no dots: it becomes a part of other names',
  "can't be changed: pods would leave the recording unseen. Delete this resource and make another",
];

/** Every message of the schema. */
function messagesOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const inner = Object.values(schema).flatMap(messagesOf);
  return 'rule' in schema && 'message' in schema ? [String(schema.message), ...inner] : inner;
}

let cluster: ControlPlane;
let api: KubeClient;
let made = 0;

beforeAll(async () => {
  cluster = await startControlPlane();
  await cluster.installCrds(CRD);
  await cluster.createNamespace('tools');
  api = cluster.client();
}, 120_000);
afterAll(() => cluster?.stop());

const create = (spec: Fields, name = `server-${made++}`) =>
  api.create(RESOURCES, {
    apiVersion: 'mcp-recorder.dev/v1alpha1',
    kind: 'RecordedMCPServer',
    metadata: { name, namespace: 'tools' },
    spec,
  } as KubeObject);

/** What the API server finds wrong, as `field: message`. */
async function faultsOf(attempt: Promise<unknown>): Promise<string[]> {
  const error = await attempt.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error === null) return [];
  if (!(error instanceof KubeError) || error.reason !== 'Invalid') throw error;
  return error.causes.map(
    ({ field, message }) => `${field}: ${message.replace(/^Invalid value: .*?: /, '')}`,
  );
}

const kubectl = async (...args: string[]) =>
  (await promisify(execFile)(rigProgram('kubectl'), ['--kubeconfig', cluster.kubeconfig, ...args])).stdout;

describe('a wrong field', () => {
  it.each(WRONG)('%j is refused at %s: %s', async (change, field, message) => {
    expect(await faultsOf(create({ ...LEAST, ...change }))).toContain(`${field}: ${message}`);
  });

  it('has its case above, whichever rule of the schema it breaks', () => {
    const rules = new Set(messagesOf(parse(readFileSync(CRD, 'utf8'))));
    expect([...rules].sort()).toEqual(
      [...new Set([...WRONG.map(([, , message]) => message), ...ELSEWHERE])].sort(),
    );
  });

  it('is told together with the others', async () => {
    const faults = await faultsOf(
      create({ ...LEAST, server: { port: 0 }, ...recording({ maxUploadLag: 'x' }) }),
    );
    expect(faults.map((fault) => fault.split(':')[0]).sort()).toEqual([
      'spec.recording.maxUploadLag',
      'spec.server.port',
    ]);
  });

  it('that is unknown is refused by kubectl with its name', async () => {
    const file = {
      apiVersion: 'mcp-recorder.dev/v1alpha1',
      kind: 'RecordedMCPServer',
      metadata: { name: 'typo', namespace: 'tools' },
      spec: { ...LEAST, recordng: {} },
    };
    const attempt = new Promise<string>((resolve) => {
      const child = execFile(
        rigProgram('kubectl'),
        ['--kubeconfig', cluster.kubeconfig, 'apply', '-f', '-'],
        (_error, out, err) => resolve(out + err),
      );
      child.stdin?.end(JSON.stringify(file));
    });
    expect(await attempt).toContain('unknown field "spec.recordng"');
  });
});

describe('the name', () => {
  it.each([
    ['a'.repeat(53), 'metadata.name may have at most 52 characters, so that the names made from it fit'],
    ['a.b', 'metadata.name may have no dots: it becomes a part of other names'],
  ])('%s is refused', async (name, message) => {
    const faults = await faultsOf(create(LEAST, name));
    expect(faults.map((fault) => fault.replace(/^.*?: /, ''))).toEqual([message]);
  });

  it('may have 52 characters', async () => {
    expect(await faultsOf(create(LEAST, 'a'.repeat(52)))).toEqual([]);
  });
});

describe('the least resource', () => {
  it('gets the defaults', async () => {
    expect((await create(LEAST)).spec).toEqual({
      ...LEAST,
      auth: { mode: 'Anonymous', clockSkew: '60s', maxKeyAge: '1h' },
      server: {},
      traffic: { mode: 'Service' },
      adoption: 'Rolling',
      recording: {
        commit: 'Spool',
        onFailure: 'Closed',
        maxUploadLag: '30s',
        maxRequestBytes: '4Mi',
        spool: { sizeLimit: '512Mi' },
      },
    });
  });

  it('keeps its selector for life', async () => {
    const { metadata, spec } = await create(LEAST);
    const change = api.patch(
      RESOURCES,
      { namespace: 'tools', name: metadata.name },
      { spec: { selector: { matchLabels: { app: 'other' } } } },
    );
    expect(await faultsOf(change)).toEqual([
      "spec.selector: can't be changed: pods would leave the recording unseen. Delete this resource and make another",
    ]);
    const lag = { spec: { recording: { maxUploadLag: '1m' } } };
    const changed = await api.patch(RESOURCES, { namespace: 'tools', name: metadata.name }, lag);
    expect(changed.spec['selector']).toEqual(spec['selector']);
  });
});

describe('rules', () => {
  it('stand in the order of the newest apply, whose first match decides', async () => {
    const named = (name: string) => rule({ name }).rules[0];
    const server = (...names: string[]) =>
      ({
        apiVersion: 'mcp-recorder.dev/v1alpha1',
        kind: 'RecordedMCPServer',
        metadata: { name: 'ordered', namespace: 'tools' },
        spec: { ...LEAST, rules: names.map(named) },
      }) as KubeObject;
    const orders = [
      ['a', 'b', 'c'],
      ['c', 'a', 'b'],
      ['b', 'x', 'c'],
    ];
    for (const names of orders) {
      const { spec } = await api.apply(RESOURCES, server(...names));
      expect((spec['rules'] as { name: string }[]).map(({ name }) => name)).toEqual(names);
    }
  });

  it('have names of their own', async () => {
    const twice = { rules: [...rule({}).rules, ...rule({ action: 'Deny' }).rules] };
    await expect(create({ ...LEAST, ...twice })).rejects.toThrow('Duplicate value');
  });
});

describe('kubectl get', () => {
  const condition = (type: string, status: string, reason: string) => ({
    type,
    status,
    reason,
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  });

  it('shows at a glance whether the server is recorded', async () => {
    const { metadata } = await create(LEAST, 'github');
    await api.applyStatus(RESOURCES, {
      apiVersion: 'mcp-recorder.dev/v1alpha1',
      kind: 'RecordedMCPServer',
      metadata: { name: metadata.name, namespace: 'tools' },
      status: {
        directAccess: 'Blocked',
        podsSummary: '2/3',
        conditions: [condition('Ready', 'False', 'PodsNotRecorded'), condition('Recording', 'True', 'Open')],
      },
    } as KubeObject);
    const cells = (text: string) =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => line.trim().split(/\s{2,}/));
    expect(cells(await kubectl('get', 'rms', 'github', '-n', 'tools'))).toEqual([
      ['NAME', 'READY', 'RECORDING', 'DIRECT ACCESS', 'PODS', 'AGE'],
      ['github', 'False', 'True', 'Blocked', '2/3', expect.stringMatching(/^\d+s$/)],
    ]);
    expect(cells(await kubectl('get', 'rms', 'github', '-n', 'tools', '-o', 'wide'))[1]).toContain(
      'PodsNotRecorded',
    );
    expect(await kubectl('get', 'mcp', '-n', 'tools', '-o', 'name')).toContain(
      'recordedmcpserver.mcp-recorder.dev/github\n',
    );
  });
});

describe('what the API server accepts', () => {
  const text = (pattern: RegExp) => fc.stringMatching(pattern);
  /** By the field's name: values near the border, and many that look right. */
  const VALUES: Record<string, { put(value: string): Fields; near: string[]; like: fc.Arbitrary<string> }> = {
    maxUploadLag: {
      put: (maxUploadLag) => recording({ maxUploadLag }),
      near: ['1s', '1000ms', '1.5s', '1.005s', '0h1s', '99999h', '1h1m1s1ms', '1s1s', '1s 2m', '999999999ms'],
      like: text(/^(\d{1,6}h)?(\d{1,7}m)?(\d{1,9}(\.\d)?s)?(\d{1,9}ms)?$/),
    },
    maxRequestBytes: {
      put: (maxRequestBytes) => recording({ maxRequestBytes }),
      near: ['1Ki', '1k', '256Mi', '268435456', '1e6', '1.5Mi', '0.25Gi', '1024m'],
      like: text(/^\d{1,9}([kKMGT]i?)?$/),
    },
    sizeLimit: {
      put: (sizeLimit) => recording({ spool: { sizeLimit } }),
      near: ['64Mi', '67108864', '1Ti', '1T', '1.5Gi', '68M'],
      like: text(/^\d{1,13}([kMGT]i?)?$/),
    },
    bucket: {
      put: (bucket) => s3({ bucket }),
      near: ['abc', 'a.b', '1.2.3.4.5'],
      like: text(/^[a-z0-9.-]{2,5}$/),
    },
    prefix: {
      put: (prefix) => s3({ prefix }),
      near: ['', 'a', 'a/b c', 'ü'.repeat(256), '\u0085', '\u2028', 'a/~'],
      like: text(/^[a./\\ -]{1,5}$/),
    },
    region: {
      put: (region) => s3({ region }),
      near: ['eu-central-1', 'X'],
      like: text(/^[a-zA-Z0-9-]{1,5}$/),
    },
    endpoint: {
      put: (endpoint) => s3({ endpoint }),
      near: [
        'http://minio:9000',
        'https://s3.example.com/',
        'http://10.0.0.1:9000',
        'http://a.0x1',
        'http://a.1',
        'http://1',
        'http://0x7f.1',
        'http://a..b',
        'http://a-',
        'http://a:0',
        'http://a:00001',
      ],
      like: text(/^https?:\/\/[a-z0-9.x-]{1,6}(:\d{1,5})?\/?$/),
    },
    keyId: {
      put: (keyId) => s3({ encryption: { type: 'SSE-KMS', keyId } }),
      near: ['alias/x', 'arn:aws:kms:eu:1:key/a'],
      like: text(/^[ -~]{1,3}$/),
    },
    retainFor: {
      put: (retainFor) => s3({ objectLock: { mode: 'COMPLIANCE', retainFor } }),
      near: ['1d', '36500d', '1m', '60s', '876000h', '876000h1s', '00365d', '1h1m1s', '9999999m'],
      like: text(/^(\d{1,5}d|(\d{1,6}h)?(\d{1,7}m)?(\d{1,9}s)?)$/),
    },
    storageClass: {
      put: (storageClass) => s3({ storageClass }),
      near: ['STANDARD_IA', 'GLACIER'],
      like: text(/^[A-Z0-9_-]{1,4}$/),
    },
  };

  /** Of access: as the resource has it, and where the recorder has it. */
  const ACCESS: Record<string, { put(value: string): Fields; near: string[]; like: fc.Arbitrary<string> }> = {
    resource: {
      put: (resource) => auth({ resource }),
      near: ['https://mcp.example.com/github', 'http://everything.tools/mcp', 'http://[::1]:8080/mcp'],
      like: text(/^https?:\/\/[a-z0-9.x-]{1,6}(:\d{1,3})?(\/[a-z%20]{0,4})?$/),
    },
    allowedOrigins: {
      put: (origin) => auth({ allowedOrigins: [origin] }),
      near: [
        'https://a.b',
        'http://localhost:6274',
        'http://10.0.0.1:80',
        'http://a:443',
        'https://a:80',
        'vscode-file://vscode-app',
        'http://a:65535',
      ],
      like: text(/^https?:\/\/[a-z0-9.x-]{1,6}(:\d{1,5})?$/),
    },
    clockSkew: {
      put: (clockSkew) => auth({ clockSkew }),
      near: ['0s', '5m', '300s', '300000ms', '1m1ms'],
      like: text(/^(\d{1,2}m)?(\d{1,3}s)?(\d{1,6}ms)?$/),
    },
    maxKeyAge: {
      put: (maxKeyAge) => auth({ maxKeyAge }),
      near: ['1m', '60s', '24h', '59999ms', '1h1m1s1ms'],
      like: text(/^(\d{1,2}h)?(\d{1,3}m)?(\d{1,6}s)?$/),
    },
    issuer: {
      put: (url) => issuer({ issuer: url }),
      near: [
        'https://idp.example.com/realms/a',
        'http://localhost:9000',
        'http://127.0.0.1',
        'http://[::1]:1',
      ],
      like: text(/^https:\/\/[a-z0-9.x-]{1,6}(:\d{1,3})?(\/[a-z%20]{0,4})?$/),
    },
    scopes: {
      put: (scope) => auth({ scopes: [scope] }),
      near: ['mcp:use', '!', '~', '[', ']'],
      like: text(/^[ -~]{1,3}$/),
    },
    groupsClaim: {
      put: (groupsClaim) => issuer({ groupsClaim }),
      near: ['groups', 'a.b', '/a~1b', '/~0', '/', ' '],
      like: text(/^[a.~/01]{1,4}$/),
    },
    ruleName: {
      put: (name) => rule({ name }),
      near: ['a', 'a-b', '0', 'a'.repeat(63)],
      like: text(/^[a-z0-9-]{1,4}$/),
    },
    message: {
      put: (message) => rule({ message }),
      near: ['x', 'ü'.repeat(500), '\u2028', '"'],
      like: text(/^[ -~\u0080-\u00a0]{1,4}$/),
    },
    paths: {
      put: (path) => mask({ name: 'x', paths: [path] }),
      near: ['$', '$.a', "$['a']", '$..b'],
      like: text(/^[$.a[\]']{1,4}$/),
    },
    detectors: {
      put: (one) => mask({ detectors: [one] }),
      near: ['all', 'aws'],
      like: text(/^[a-z0-9-]{1,4}$/),
    },
    keys: {
      put: (key) => mask({ name: 'x', keys: [key] }),
      near: ['password', ' '],
      like: text(/^[ -~]{1,4}$/),
    },
    header: {
      put: (name) => credential({ header: { name, secretKeyRef: { name: 'a', key: 'b' } } }),
      near: ['X-Api-Key', 'authorization', "!#$%&'*+.^_`|~", 'tee', 'hosts', 'content'],
      like: text(/^[a-zA-Z!(-]{1,4}$/),
    },
  };

  it.each(Object.keys(ACCESS))('as %s the recorder accepts too', async (field) => {
    const { put, near, like } = ACCESS[field] as (typeof ACCESS)[string];
    let accepted = 0;
    for (const value of [...near, ...fc.sample(like, { numRuns: 60, seed: 1 })]) {
      const spec = { ...LEAST, ...put(value) };
      if ((await faultsOf(create(spec))).length > 0) continue;
      accepted += 1;
      const of = { metadata: { name: 'x', namespace: 'tools' }, spec: { server: {}, ...spec } };
      const resource = of as unknown as RecordedMCPServer;
      const { server, ...who } = accessConfiguration(resource, accessInForce(resource, settings), null);
      const checked = configurationSchema.safeParse({
        ...who,
        server: { ...server, url: 'http://127.0.0.1:8080/mcp' },
        storage: { directory: '/recordings' },
      });
      expect(checked.error?.issues ?? [], JSON.stringify(value)).toEqual([]);
    }
    expect(accepted).toBeGreaterThan(1);
  });

  it.each(Object.keys(VALUES))('as %s the recorder accepts too', async (field) => {
    const { put, near, like } = VALUES[field] as (typeof VALUES)[string];
    const accepted: string[] = [];
    for (const value of [...near, ...fc.sample(like, { numRuns: 60, seed: 1 })]) {
      const spec = { ...LEAST, ...put(value) };
      if ((await faultsOf(create(spec))).length > 0) continue;
      accepted.push(value);
      const { storage, recording: given = {} } = spec as Fields;
      const own = 's3' in (storage as object) ? storage : { directory: '/recordings' };
      const checked = configurationSchema.safeParse({
        server: { url: 'http://127.0.0.1:8080/mcp' },
        auth: { mode: 'Anonymous' },
        storage: own,
        recording: given,
      });
      expect(checked.error?.issues ?? [], JSON.stringify(value)).toEqual([]);
    }
    expect(accepted.length).toBeGreaterThan(3);
  });
});
