/** The operator's certificates: what they are good for, and that none comes into use before everyone knows its authority. */
import { execFile } from 'node:child_process';
import { createPublicKey, X509Certificate } from 'node:crypto';
import fs from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import {
  AUTHORITY_LIFE_MS,
  AUTHORITY_RENEW_MS,
  configurationKey,
  type IdentityData,
  IdentityError,
  LEAF_LIFE_MS,
  LEAF_RENEW_MS,
  renew,
  sessionKeyOf,
  SETTLE_MS,
} from '../../../operator/webhook/certificates.ts';

const run = promisify(execFile);
const DAY_MS = 24 * 3_600_000;
const address = { service: 'mcp-recorder-webhook', namespace: 'mcp-recorder-system' };
const HOST = 'mcp-recorder-webhook.mcp-recorder-system.svc';
const start = new Date('2026-11-26T12:00:00.500Z');
const later = (ms: number, from = start) => new Date(from.getTime() + ms);
const entries = (data: IdentityData) => data as unknown as Record<string, string>;
const certificates = (bundle: string) =>
  bundle.split(/(?=-----BEGIN)/).map((text) => new X509Certificate(text));

/** Whether a bundle knows the authority of a certificate. */
const knows = (bundle: string, certificate: string) =>
  certificates(bundle).some(({ publicKey }) => new X509Certificate(certificate).verify(publicKey));

/** A connection between a server and a client; the answer is why it failed, or `authorized`. */
async function handshake(server: tls.TlsOptions, client: tls.ConnectionOptions): Promise<string> {
  const listener = tls.createServer({ requestCert: true, rejectUnauthorized: false, ...server }, (socket) => {
    socket.end(socket.authorized ? 'authorized' : `client: ${String(socket.authorizationError)}`);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  try {
    return await new Promise((resolve) => {
      const { port } = listener.address() as AddressInfo;
      const socket = tls.connect({ port, host: '127.0.0.1', servername: HOST, ...client });
      let said = '';
      socket.on('data', (bytes) => (said += bytes.toString()));
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(`server: ${error.code ?? error.message}`));
      socket.on('end', () => resolve(said));
    });
  } finally {
    listener.close();
  }
}

describe('the first certificates', () => {
  it('prove the webhook by each name of its Service, and the operator to those who trust the bundle', async () => {
    const data = await renew(null, null, new Date(), address);
    const server = { cert: data['tls.crt'], key: data['tls.key'], ca: data['ca.crt'] };
    const client = { cert: data['link.crt'], key: data['link.key'], ca: data['ca.crt'] };
    for (const servername of [HOST, `${HOST}.cluster.local`, 'mcp-recorder-webhook.mcp-recorder-system']) {
      expect(await handshake(server, { ...client, servername })).toBe('authorized');
    }
    expect(await handshake(server, { ...client, servername: 'kubernetes.default.svc' })).toBe(
      'server: ERR_TLS_CERT_ALTNAME_INVALID',
    );
    expect(new X509Certificate(data['link.crt']).subject).toBe('CN=mcp-recorder-operator');
  });

  it('are of one use each, and of nobody else’s', async () => {
    const data = await renew(null, null, new Date(), address);
    const other = await renew(null, null, new Date(), address);
    const server = { cert: data['tls.crt'], key: data['tls.key'], ca: data['ca.crt'] };
    const asClient = { cert: data['tls.crt'], key: data['tls.key'], ca: data['ca.crt'] };
    expect(await handshake(server, asClient)).toBe('client: INVALID_PURPOSE');
    const asServer = { cert: data['link.crt'], key: data['link.key'] };
    expect(await handshake(asServer, { ca: data['ca.crt'] })).toBe('server: INVALID_PURPOSE');
    const stranger = { cert: other['link.crt'], key: other['link.key'], ca: data['ca.crt'] };
    expect(await handshake(server, stranger)).toMatch(/^client: (UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)/);
  });

  it('are such that OpenSSL takes them', async () => {
    const data = await renew(null, null, new Date(), address);
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-certificates-'));
    const write = async (name: keyof IdentityData) => {
      await fs.writeFile(path.join(folder, name), data[name] ?? '');
      return path.join(folder, name);
    };
    const verify = ['verify', '-x509_strict', '-CAfile', await write('ca.crt')];
    await run('openssl', [
      ...verify,
      '-purpose',
      'sslserver',
      '-verify_hostname',
      HOST,
      await write('tls.crt'),
    ]);
    await run('openssl', [...verify, '-purpose', 'sslclient', await write('link.crt')]);
    await fs.rm(folder, { recursive: true });
  });

  it('hold for an hour before they were made, for clocks that are behind', async () => {
    const data = await renew(null, null, start, address);
    for (const name of ['ca.crt', 'tls.crt', 'link.crt'] as const) {
      expect(new X509Certificate(data[name]).validFromDate).toEqual(new Date('2026-11-26T11:00:00Z'));
    }
  });
});

describe('what is good', () => {
  it('stays as it is', async () => {
    const data = await renew(null, null, start, address);
    expect(
      await renew(entries(data), data['ca.crt'], later(LEAF_LIFE_MS - LEAF_RENEW_MS - 1_000), address),
    ).toEqual(data);
  });

  it('is made anew by the same authority when its time comes near, or the Service has another name', async () => {
    const data = await renew(null, null, start, address);
    const due = await renew(
      entries(data),
      data['ca.crt'],
      later(LEAF_LIFE_MS - LEAF_RENEW_MS + 1_000),
      address,
    );
    for (const name of ['tls.crt', 'link.crt'] as const) {
      expect(due[name]).not.toBe(data[name]);
      expect(knows(data['ca.crt'], due[name])).toBe(true);
    }
    expect(due['ca.crt']).toBe(data['ca.crt']);
    const renamed = await renew(entries(data), null, start, { ...address, service: 'other' });
    expect(new X509Certificate(renamed['tls.crt']).checkHost('other.mcp-recorder-system.svc')).toBeDefined();
    expect(renamed['link.crt']).toBe(data['link.crt']);
  });
});

describe('an authority that nears its end', () => {
  const due = later(AUTHORITY_LIFE_MS - AUTHORITY_RENEW_MS + 1_000);

  it('gets a successor, which is published first, and issues when it has been seen published for long enough', async () => {
    const first = await renew(null, null, start, address);
    const second = await renew(entries(first), first['ca.crt'], due, address);
    expect(certificates(second['ca.crt'])).toHaveLength(2);
    expect(second['issuer.crt']).toBe(first['issuer.crt']);

    const unseen = await renew(entries(second), first['ca.crt'], later(30 * DAY_MS, due), address);
    expect(unseen['issuer.crt'], 'nobody has the successor yet').toBe(first['issuer.crt']);

    const seen = await renew(entries(second), second['ca.crt'], later(1_000, due), address);
    expect(seen['next.published']).toBe(later(1_000, due).toISOString());
    const early = await renew(entries(seen), seen['ca.crt'], later(SETTLE_MS, due), address);
    expect(early['issuer.crt']).toBe(first['issuer.crt']);
    const settled = await renew(entries(early), early['ca.crt'], later(SETTLE_MS + 1_000, due), address);
    expect(settled['issuer.crt']).toBe(second['next.crt']);
    expect(settled['next.crt']).toBeUndefined();
    expect(settled['next.published']).toBeUndefined();
    expect(certificates(settled['ca.crt'])).toHaveLength(2);
    for (const name of ['tls.crt', 'link.crt'] as const) {
      expect(knows(second['ca.crt'], settled[name])).toBe(true);
      expect(knows(settled['issuer.crt'], settled[name])).toBe(true);
    }

    const old = await renew(entries(settled), settled['ca.crt'], later(AUTHORITY_LIFE_MS), address);
    expect(certificates(old['ca.crt'])).toHaveLength(1);
  });

  it('counts anew when the bundle is published without its successor', async () => {
    const first = await renew(null, null, start, address);
    const second = await renew(entries(first), first['ca.crt'], due, address);
    const seen = await renew(entries(second), second['ca.crt'], due, address);
    const gone = await renew(entries(seen), first['ca.crt'], later(SETTLE_MS - 1_000, due), address);
    const again = await renew(entries(gone), second['ca.crt'], later(SETTLE_MS, due), address);
    expect(again['issuer.crt']).toBe(first['issuer.crt']);
    expect(again['next.published']).toBe(later(SETTLE_MS, due).toISOString());
  });

  it('issues nothing that outlives it, and nothing anew each time, while nobody publishes its successor', async () => {
    const first = await renew(null, null, start, address);
    const late = later(AUTHORITY_LIFE_MS - 20 * DAY_MS);
    const last = await renew(entries(first), null, late, address);
    const end = new X509Certificate(first['issuer.crt']).validTo;
    expect(new X509Certificate(last['tls.crt']).validTo).toBe(end);
    expect(await renew(entries(last), null, later(DAY_MS, late), address)).toEqual(last);
  });

  it('is succeeded at once when it can not be used, and the old one stays known', async () => {
    const first = await renew(null, null, start, address);
    for (const key of ['', 'x', (await renew(null, null, start, address))['issuer.key']]) {
      const anew = await renew({ ...entries(first), 'issuer.key': key }, first['ca.crt'], start, address);
      expect(anew['issuer.crt']).not.toBe(first['issuer.crt']);
      expect(knows(anew['ca.crt'], first['tls.crt'])).toBe(true);
      expect(knows(anew['ca.crt'], anew['tls.crt'])).toBe(true);
    }
  });
});

describe('five years, looked at every other day', () => {
  it('never see a certificate in use that the bundle of the look before does not know, or that has expired', async () => {
    let data = await renew(null, null, start, address);
    const authorities = new Set<string>();
    for (let now = start; now < later(5 * 365 * DAY_MS); now = later(2 * DAY_MS, now)) {
      const before = data;
      data = await renew(entries(before), before['ca.crt'], now, address);
      authorities.add(data['issuer.crt']);
      for (const name of ['tls.crt', 'link.crt'] as const) {
        expect(knows(before['ca.crt'], data[name])).toBe(true);
        expect(new X509Certificate(data[name]).validToDate.getTime()).toBeGreaterThan(
          later(2 * DAY_MS, now).getTime(),
        );
      }
    }
    expect(authorities.size).toBe(4);
    expect(certificates(data['ca.crt']).length).toBeLessThanOrEqual(2);
  });
});

describe('the keys that recorders hold on to', () => {
  it('are made once', async () => {
    const first = await renew(null, null, start, address);
    const later5 = await renew(entries(first), null, later(AUTHORITY_LIFE_MS * 2), address);
    expect(later5['config.key']).toBe(first['config.key']);
    expect(later5['session.key']).toBe(first['session.key']);
    expect(createPublicKey(configurationKey(first)).asymmetricKeyType).toBe('ed25519');
  });

  it.each(['config.key', 'session.key'])('are never replaced silently when %s is damaged', async (name) => {
    const first = await renew(null, null, start, address);
    const damaged = renew({ ...entries(first), [name]: 'eA==' }, null, start, address);
    await expect(damaged).rejects.toThrow(IdentityError);
    await expect(damaged).rejects.toThrow(`the entry ${name} of the operator's Secret`);
  });

  it('name sessions alike in all pods of a server, and not in others', async () => {
    const data = await renew(null, null, start, address);
    const key = sessionKeyOf(data, 'tools', 'github');
    expect(Buffer.from(key, 'base64')).toHaveLength(32);
    expect(sessionKeyOf(data, 'tools', 'github')).toBe(key);
    expect(sessionKeyOf(data, 'tools', 'gitlab')).not.toBe(key);
    expect(sessionKeyOf(data, 'other', 'github')).not.toBe(key);
  });
});
