/** The status port as it stands in a pod: over TLS, and talkative only to the operator. Real certificates, real handshakes. */
import { X509Certificate } from 'node:crypto';
import https from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MadeCertificate, makeCertificate, operatorProblem } from '../../sidecar/certificate.ts';
import { formatAddress } from '../../sidecar/config/address.ts';
import { createStatusServer, type StatusServer } from '../../sidecar/status.ts';
import { idleMetrics } from '../support/idle-metrics.ts';
import {
  askOverTls,
  type ClientCertificate,
  createAuthority,
  type OperatorAuthority,
} from '../support/operator-authority.ts';

let made: MadeCertificate;
let authority: OperatorAuthority;
let stranger: OperatorAuthority;
let operator: ClientCertificate;
let server: StatusServer;
let inForce: string;

const { registry } = idleMetrics();

beforeAll(async () => {
  [made, authority, stranger] = await Promise.all([makeCertificate(), createAuthority(), createAuthority()]);
  operator = await authority.issue();
  inForce = authority.pem;
  server = await createStatusServer({
    listen: { host: '127.0.0.1', port: 0 },
    readiness: () => ({ ready: true, reasons: [] }),
    status: () => ({ gate: 'open' }),
    link: async () => ({ token: 'abc' }),
    drain: { path: '/drain/00', run: async () => ({ uploaded: true }) },
    registry,
    tls: { ...made, operatorCa: () => inForce },
  });
});
afterAll(() => server.close());

const ask = (
  path: string,
  certificate: ClientCertificate | null = null,
  agent: https.Agent | false = false,
) => askOverTls(`https://${formatAddress(server.address)}${path}`, certificate, agent);

describe('the certificate of the status port', () => {
  it('is made anew each time, signed by its own key', async () => {
    const own = new X509Certificate(made.certificate);
    expect(own.verify(own.publicKey)).toBe(true);
    expect(own.validFromDate.getTime()).toBeLessThan(Date.now());
    expect(own.validToDate.getTime()).toBeGreaterThan(Date.now() + 365 * 24 * 3_600_000);
    expect((await makeCertificate()).key).not.toBe(made.key);
  });
});

describe('the status port over TLS', () => {
  it.each(['/livez', '/readyz', '/metrics'])('answers %s to anyone', async (path) => {
    expect((await ask(path)).status).toBe(200);
  });

  it('does not speak without TLS', async () => {
    await expect(fetch(`http://${formatAddress(server.address)}/livez`)).rejects.toThrow();
  });

  it.each(['/status', '/link'])('answers %s to the operator only', async (path) => {
    expect((await ask(path, operator)).status).toBe(200);
    const refused = await ask(path);
    expect(refused.status).toBe(403);
    expect(refused.body).toContain('This is only for the operator: no client certificate was sent.');
  });

  it('takes no certificate of another authority, for another name, or for servers', async () => {
    const why = async (certificate: ClientCertificate) => {
      const { status, body } = await ask('/link', certificate);
      return `${status} ${(JSON.parse(body) as { error: string }).error}`;
    };
    expect(await why(await stranger.issue())).toMatch(/^403 .* no authority of status\.operatorCa issued/);
    expect(await why(await authority.issue('somebody'))).toMatch(/^403 .* not for CN=mcp-recorder-operator/);
    expect(await why(await authority.issue('mcp-recorder-operator', 'serverAuth'))).toMatch(
      /^403 .* not for TLS clients/,
    );
    // The certificate is public; who has it without its key gets no connection.
    const { cert } = operator;
    const { key } = await stranger.issue();
    await expect(ask('/link', { cert, key })).rejects.toThrow();
  });

  it('goes by the authorities that are in force at the request, also on a connection that stands', async () => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    try {
      expect((await ask('/status', operator, agent)).status).toBe(200);
      inForce = stranger.pem;
      expect((await ask('/status', operator, agent)).status).toBe(403);
      inForce = `${stranger.pem}${authority.pem}`;
      expect((await ask('/status', operator, agent)).status).toBe(200);
    } finally {
      inForce = authority.pem;
      agent.destroy();
    }
  });

  it('drains for whoever knows the path', async () => {
    expect(await ask('/drain/00')).toMatchObject({
      status: 200,
      body: expect.stringContaining('"uploaded": true'),
    });
    expect((await ask('/drain/01')).status).toBe(404);
  });

  it('tells who asks for something else what there is, but not the path of the drain', async () => {
    const { status, body } = await ask('/');
    expect(status).toBe(404);
    expect(body).toContain('/livez, /readyz, /metrics, /status, /link.');
    expect(body).not.toContain('drain');
  });
});

describe('an operator certificate', () => {
  it('counts only while it is valid', () => {
    const certificate = new X509Certificate(operator.cert);
    const at = (nowMs: number) => operatorProblem(certificate, authority.pem, nowMs);
    expect(at(Date.now())).toBeNull();
    expect(at(certificate.validFromDate.getTime() - 1)).toContain('not valid at this time');
    expect(at(certificate.validToDate.getTime() + 1)).toContain('not valid at this time');
  });
});
