/** What makes a pod another than a new one would be, and what does not. */
import { describe, expect, it } from 'vitest';
import type { RecordedMCPServer } from '../../../operator/api/recorded-mcp-server.ts';
import type { Settings } from '../../../operator/settings.ts';
import { injectionHashes } from '../../../operator/webhook/inject/hashes.ts';
import { resource, settings } from './scene.ts';

const base = injectionHashes(resource('gh'), settings);
const ofResource = (given: Parameters<typeof resource>[1]) =>
  injectionHashes(resource('gh', given), settings);
const ofSettings = (change: Partial<Settings>) => injectionHashes(resource('gh'), { ...settings, ...change });
const sidecar = (change: Partial<Settings['sidecar']>) =>
  ofSettings({ sidecar: { ...settings.sidecar, ...change } });

describe('the digest over the resource', () => {
  it.each<[string, Parameters<typeof resource>[1]]>([
    ['the port', { server: { port: 8080 } }],
    ['the container', { server: { container: 'mcp' } }],
    ['the storage', { storage: { store: 'identity' } }],
    ['the mode', { traffic: { mode: 'Relocate', relocate: { port: 18_080, args: ['x'] } } }],
    ['the commit', { recording: { commit: 'ObjectStorage' } }],
    ['the spool', { recording: { spool: { sizeLimit: '1Gi' } } }],
    [
      'the Secret of the server',
      { server: { credential: { bearer: { secretKeyRef: { name: 'server', key: 'token' } } } } },
    ],
  ])('changes with %s', (_, given) => {
    expect(ofResource(given).resource).not.toBe(base.resource);
  });

  it.each<[string, Parameters<typeof resource>[1]]>([
    [
      'what a recorder reloads',
      { recording: { onFailure: 'Open', maxUploadLag: '1m', maxRequestBytes: '1Mi' } },
    ],
    ['who may connect', { traffic: { clients: [], otherPorts: [{ port: 9100, protocol: 'TCP' }] } }],
    ['the adoption', { adoption: 'Immediate' }],
    [
      'who may call, what they may do and what is masked',
      {
        auth: { mode: 'Observe', resource: 'https://a.example.com', kubernetes: {} },
        rules: [{ name: 'a', when: 'true', action: 'Deny' }],
        masking: { rules: [{ appliesTo: 'Record', detectors: ['all'] }] },
        server: { callerToken: 'Forward' },
      },
    ],
  ])('stays with %s', (_, given) => {
    expect(ofResource(given)).toEqual(base);
  });

  it('changes with the kind of the credential, and not with what its recorder reads again', () => {
    const given = (fields: object) =>
      ofResource({
        server: {
          credential: {
            clientCredentials: {
              clientIdSecretKeyRef: { name: 'server', key: 'id' },
              clientSecretSecretKeyRef: { name: 'server', key: 'secret' },
              ...fields,
            },
          },
        },
      }).resource;
    const issuer = 'https://idp.example.com';
    expect(given({ issuer, scope: 'a' })).toBe(given({ issuer, scope: 'b' }));
    expect(given({ issuer })).not.toBe(given({ issuer, clientIdSecretKeyRef: { name: 'other', key: 'id' } }));
  });

  it('does not know in what order keys are written, and is today what it was', () => {
    const { spec, ...rest } = resource('gh');
    const turned = { ...rest, spec: Object.fromEntries(Object.entries(spec).reverse()) };
    expect(injectionHashes(turned as unknown as RecordedMCPServer, settings)).toEqual(base);
    expect(base).toEqual({ resource: 'fd91d3474d46e62a', settings: '9691e194ca03440e' });
  });
});

describe('the digest over the settings', () => {
  it.each<[string, ReturnType<typeof injectionHashes>]>([
    ['the image', sidecar({ image: 'other' })],
    ['the ports', sidecar({ ports: { recorder: 9180, status: 9181 } })],
    ['the time for a drain', sidecar({ drainSeconds: 20 })],
    ['the store of the resource', ofSettings({ stores: { default: { s3: { bucket: 'other' } } } })],
    ['the name of the cluster', ofSettings({ cluster: 'other' })],
  ])('changes with %s', (_, hashes) => {
    expect(hashes.settings).not.toBe(base.settings);
    expect(hashes.resource).toBe(base.resource);
  });

  it('stays with other stores, and with what concerns the operator alone', () => {
    expect(ofSettings({ stores: { ...settings.stores, more: { s3: { bucket: 'x' } } } })).toEqual(base);
    expect(ofSettings({ watchNamespaces: ['tools'], restrictConnect: true, monitoring: null })).toEqual(base);
  });
});
