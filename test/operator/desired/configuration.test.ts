/** The recorders' configuration: what follows from resource and settings, held against the recorder's own reading of it. */
import { createPublicKey } from 'node:crypto';
import { loadConfiguration } from '@mcp-recorder/sidecar/config/load';
import { verifyConfiguration } from '@mcp-recorder/sidecar/config/signature';
import { describe, expect, it } from 'vitest';
import type { RecordedMCPServer } from '../../../operator/api/recorded-mcp-server.ts';
import { configMapOf, isSigned, keptConfigMap } from '../../../operator/desired/config-map.ts';
import { decide } from '../../../operator/desired/decide.ts';
import { sidecarConfiguration } from '../../../operator/desired/sidecar-configuration.ts';
import type { Settings } from '../../../operator/settings.ts';
import {
  AUTHORITY,
  CLUSTER_ISSUER,
  conditionIn,
  enforcedWorld,
  resource,
  settings,
  sign,
  signingKey,
  wanting,
} from './world.ts';

const PORTS = { original: 8080, server: 8080, recorder: 9080, status: 9081 };

function filesOf(of: RecordedMCPServer, as: Settings = settings, ports = PORTS): Record<string, string> {
  const made = sidecarConfiguration(of, as, ports, AUTHORITY, CLUSTER_ISSUER);
  if (!made.ok) throw new Error(made.refusal.cause);
  return made.files;
}

/** As a recorder in a pod reads it. */
function read(files: Record<string, string>) {
  return loadConfiguration({
    file: '/etc/mcp-recorder/config/config.yaml',
    text: files['config.yaml'] ?? '',
    environment: {},
  });
}

function withStore(s3: Settings['stores'][string]['s3'], policy: Partial<Settings['policy']> = {}): Settings {
  return { ...settings, stores: { default: { s3 } }, policy: { ...settings.policy, ...policy } };
}

describe('the configuration of recorders', () => {
  it('is read by the recorder as the resource means it', () => {
    const { recording, ...configuration } = read(filesOf(resource('github')));
    expect(configuration).toMatchObject({
      name: 'github',
      namespace: 'tools',
      cluster: 'test',
      listen: { host: '::', port: 9080 },
      server: { url: 'http://127.0.0.1:8080/' },
      auth: { mode: 'Anonymous' },
      status: { listen: { host: '::', port: 9081 }, tls: { operatorCa: AUTHORITY } },
      drain: { timeoutMs: 15_000 },
      storage: { kind: 's3', s3: { bucket: 'recordings' } },
    });
    expect(recording).toEqual({
      commit: 'Spool',
      onFailure: 'Closed',
      maxUploadLagMs: 30_000,
      maxRequestBytes: 4 * 2 ** 20,
      spool: { directory: '/var/lib/mcp-recorder/spool', sizeLimitBytes: 512 * 2 ** 20, allowTmpfs: false },
    });
  });

  it('sends a relocated server its calls on loopback, from the port that was its own', () => {
    const configuration = read(
      filesOf(resource('github'), settings, { original: 8080, server: 18_080, recorder: 8080, status: 9081 }),
    );
    expect(configuration.listen.port).toBe(8080);
    expect(configuration.server.url).toBe('http://127.0.0.1:18080/');
  });

  it('takes everything that a store of the platform team says', () => {
    const files = filesOf(
      resource('github'),
      withStore({
        bucket: 'audit',
        prefix: 'mcp/prod',
        region: 'eu-central-1',
        endpoint: 'https://s3.example.com',
        pathStyle: true,
        ca: AUTHORITY,
        credentialsSecret: 'recorder-s3',
        encryption: { type: 'SSE-KMS', keyId: 'alias/audit' },
        objectLock: { mode: 'COMPLIANCE', retainFor: '365d' },
        storageClass: 'STANDARD_IA',
      }),
    );
    expect(files['store-ca.crt']).toBe(AUTHORITY);
    const folder = '/etc/mcp-recorder/credentials';
    expect(read(files).storage).toMatchObject({
      s3: {
        bucket: 'audit',
        prefix: 'mcp/prod',
        region: 'eu-central-1',
        endpoint: 'https://s3.example.com',
        pathStyle: true,
        caFile: '/etc/mcp-recorder/config/store-ca.crt',
        credentialFiles: {
          accessKeyId: `${folder}/accessKeyId`,
          secretAccessKey: `${folder}/secretAccessKey`,
          sessionToken: `${folder}/sessionToken`,
        },
        encryption: { type: 'SSE-KMS', keyId: 'alias/audit' },
        objectLock: { mode: 'COMPLIANCE', retainForMs: 365 * 86_400_000 },
        storageClass: 'STANDARD_IA',
      },
    });
  });

  it('names no credential files where the pods have an identity of their own', () => {
    const files = filesOf(resource('github'), withStore({ bucket: 'audit' }));
    expect(read(files).storage).toMatchObject({ s3: { credentialFiles: null } });
  });

  it('takes a bucket of the resource where the platform team allows it', () => {
    const s3 = { bucket: 'mine', pathStyle: true, credentialsSecretRef: { name: 'mine' } };
    const files = filesOf(
      resource('github', { storage: { s3 } }),
      withStore({ bucket: 'x' }, { allowInlineStorage: true }),
    );
    expect(read(files).storage).toMatchObject({
      s3: {
        bucket: 'mine',
        pathStyle: true,
        credentialFiles: { accessKeyId: '/etc/mcp-recorder/credentials/accessKeyId' },
      },
    });
  });

  it('is stricter than what is asked for where the platform team wants that', () => {
    const asked = resource('github', {
      recording: { onFailure: 'Open', maxUploadLag: '10m', commit: 'Spool' },
    });
    const { recording } = read(
      filesOf(asked, withStore({ bucket: 'audit' }, { minimumCommit: 'ObjectStorage' })),
    );
    expect(recording).toMatchObject({
      onFailure: 'Closed',
      maxUploadLagMs: 300_000,
      commit: 'ObjectStorage',
    });
  });

  it('is as loose as is asked for where the platform team allows it', () => {
    const asked = resource('github', { recording: { onFailure: 'Open', maxUploadLag: '5m' } });
    const { recording } = read(filesOf(asked, withStore({ bucket: 'audit' }, { allowFailOpen: true })));
    expect(recording).toMatchObject({ onFailure: 'Open', maxUploadLagMs: 300_000 });
  });

  it('is not made of what a recorder would refuse, and the status says which field that is', () => {
    const asked = resource('github', { recording: { spool: { sizeLimit: '16Mi' } } });
    const made = sidecarConfiguration(asked, settings, PORTS, AUTHORITY, CLUSTER_ISSUER);
    expect(made).toMatchObject({ ok: false, refusal: { reason: 'ConfigurationInvalid' } });
    expect(made.ok ? '' : made.refusal.cause).toContain(
      'recording.spool.sizeLimit: found "16Mi"; needs at least 64Mi',
    );
  });
});

describe('the ConfigMap of recorders', () => {
  it('carries a signature that a recorder of this resource accepts, and no other', () => {
    const { data = {} } = configMapOf(resource('github'), filesOf(resource('github')), sign);
    const keys = [createPublicKey(signingKey)];
    expect(verifyConfiguration(keys, 'tools', 'github', data)).toMatchObject({ ok: true });
    expect(verifyConfiguration(keys, 'tools', 'other', data)).toMatchObject({ ok: false });
  });

  it('is found out when a file was changed, added or taken away', () => {
    const whole = configMapOf(resource('github'), filesOf(resource('github')), sign);
    expect(isSigned(whole, sign)).toBe(true);
    const data = { ...whole.data };
    expect(isSigned({ ...whole, data: { ...data, 'config.yaml': `${data['config.yaml']} ` } }, sign)).toBe(
      false,
    );
    expect(isSigned({ ...whole, data: { ...data, more: '' } }, sign)).toBe(false);
    expect(isSigned({ ...whole, binaryData: { more: '' } }, sign)).toBe(false);
    expect(isSigned(null, sign)).toBe(false);
  });

  it('goes with its resource', () => {
    const { metadata } = configMapOf(resource('github'), {}, sign);
    expect(metadata?.ownerReferences).toEqual([
      {
        apiVersion: 'mcp-recorder.dev/v1alpha1',
        kind: 'RecordedMCPServer',
        name: 'github',
        uid: 'uid-of-github',
        controller: true,
        blockOwnerDeletion: true,
      },
    ]);
  });

  it('stays as it is while the resource asks for something impossible, and what stands there is not signed anew', () => {
    const standing = { data: { 'config.yaml': 'forged', signature: 'of something else' } };
    expect(keptConfigMap(resource('github'), standing)?.data).toEqual(standing.data);
    const observed = enforcedWorld();
    const plan = decide(wanting(observed, { storage: { store: 'gone' } }));
    expect(plan.configMap).toEqual(observed.configMap);
    expect(plan.networkPolicy).not.toBeNull();
    expect(conditionIn(plan, 'Ready')).toMatchObject({ status: 'False', reason: 'UnknownStore' });
    expect(conditionIn(plan, 'Recording')).toMatchObject({ status: 'True' });
    expect(conditionIn(plan, 'Enforced')).toMatchObject({ status: 'True' });
  });
});
