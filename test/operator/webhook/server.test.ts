/** The webhook's port: what it answers over real TLS, whatever fails behind it, and how certificates change under it. */
import { X509Certificate } from 'node:crypto';
import https from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { Pod, Service } from 'kubernetes-types/core/v1';
import { pino } from 'pino';
import { applyPatch, type Operation } from 'rfc6902';
import { afterEach, describe, expect, it } from 'vitest';
import type { RecordedMCPServer } from '../../../operator/api/recorded-mcp-server.ts';
import {
  AUTHORITY_LIFE_MS,
  AUTHORITY_RENEW_MS,
  type IdentityData,
  renew,
  SETTLE_MS,
} from '../../../operator/webhook/certificates.ts';
import { inject } from '../../../operator/webhook/inject/inject.ts';
import {
  createWebhookServer,
  type WebhookOptions,
  type WebhookServer,
} from '../../../operator/webhook/server.ts';
import { eventually } from '../../support/poll.ts';
import { injection, podFrom, resource, settings } from './scene.ts';

const address = { service: 'mcp-recorder-webhook', namespace: 'mcp-recorder-system' };
const HOST = 'mcp-recorder-webhook.mcp-recorder-system.svc';
const given = injection(resource('github-mcp'));
const identity = await renew(null, null, new Date(), address);
const pairOf = (data: IdentityData) => ({ certificate: data['tls.crt'], key: data['tls.key'] });

const stopping: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stopping.splice(0)) await stop();
});

interface World {
  cached: RecordedMCPServer[] | Error;
  live: RecordedMCPServer[] | Error;
  pods: Pod[];
}

async function start(world: Partial<World>, options: Partial<WebhookOptions> = {}): Promise<WebhookServer> {
  const { cached = [], live = cached, pods = [] } = world;
  const answer = async (list: RecordedMCPServer[] | Error) => {
    if (list instanceof Error) throw list;
    return list;
  };
  const server = await createWebhookServer({
    host: '127.0.0.1',
    port: 0,
    certificate: pairOf(identity),
    parts: {
      lookup: { resourcesOf: (_, fresh) => answer(fresh ? live : cached), podsOf: async () => pods },
      settings,
      configKeys: () => given.configKeys,
      sessionKey: () => given.sessionKey,
    },
    log: pino({ level: 'silent' }),
    ...options,
  });
  stopping.push(() => server.close(0));
  return server;
}

interface Reply {
  status: number;
  headers: Record<string, unknown>;
  body: string;
  /** Which the server proved itself with. */
  certificate: string;
}

async function send(
  port: number,
  path: string,
  body: string,
  { ca = identity['ca.crt'], method = 'POST', agent = false as https.Agent | false } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = https.request(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        ca,
        agent,
        servername: HOST,
        headers: { 'content-type': 'application/json' },
      },
      (response) => {
        let text = '';
        response.on('data', (chunk) => (text += String(chunk)));
        const { fingerprint256 } = (response.socket as TLSSocket).getPeerCertificate();
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: text,
            certificate: fingerprint256,
          }),
        );
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

const review = (object: unknown, operation = 'CREATE', namespace = 'tools') =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid: 'u-1', operation, namespace, object, dryRun: false },
  });

interface Answered {
  allowed: boolean;
  patch?: string;
  status?: { code: number; message: string; reason: string };
  warnings?: string[];
}

async function ask(
  server: WebhookServer,
  path: string,
  object: unknown,
  operation = 'CREATE',
): Promise<Answered> {
  const { status, body } = await send(server.port, path, review(object, operation));
  expect(status).toBe(200);
  const answer = JSON.parse(body);
  expect(answer).toMatchObject({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid: 'u-1' },
  });
  return answer.response;
}

function patched<T extends object>(object: T, { patch }: Answered): T {
  const copy = structuredClone(object);
  const steps = JSON.parse(Buffer.from(patch ?? '', 'base64').toString()) as Operation[];
  expect(applyPatch(copy, steps).filter((error) => error !== null)).toEqual([]);
  return copy;
}

describe('a pod', () => {
  it('of a recorded server gets the recorder, with a drain path that nobody can guess', async () => {
    const server = await start({ cached: [given.resource] });
    const pod = podFrom('deployment');
    const [one, two] = [await ask(server, '/pods', pod), await ask(server, '/pods', pod)];
    const made = patched(pod, one);
    const path = /\/drain\/[0-9a-f]{32}/.exec(JSON.stringify(made))?.[0] ?? '';
    expect(inject(pod, { ...given, drainPath: path })).toMatchObject({ pod: made });
    expect(JSON.stringify(patched(pod, two))).not.toContain(path);
    expect(await ask(server, '/pods', made), 'asked again about the same pod').toEqual({
      uid: 'u-1',
      allowed: true,
    });
  });

  it('that nothing is known to select is looked up in the API server before it passes', async () => {
    const server = await start({ cached: [], live: [given.resource] });
    expect((await ask(server, '/pods', podFrom('deployment'))).patch).toBeDefined();
    const nobody = await start({ cached: [], live: [] });
    expect(await ask(nobody, '/pods', podFrom('deployment'))).toEqual({ uid: 'u-1', allowed: true });
  });

  it('of two resources gets the recorder of the older one', async () => {
    const younger = resource(
      'a',
      { selector: { matchLabels: { app: 'github-mcp' } } },
      { creationTimestamp: '2027-01-01T00:00:00Z' },
    );
    const server = await start({ cached: [younger, given.resource] });
    const made = patched(podFrom('deployment'), await ask(server, '/pods', podFrom('deployment')));
    expect(made.metadata?.labels?.['mcp-recorder.dev/server']).toBe('github-mcp');
  });

  it('that carries our label and is selected by nobody is refused', async () => {
    const deleted = resource('github-mcp', {}, { deletionTimestamp: '2026-11-26T00:00:00Z' });
    const server = await start({ cached: [deleted] });
    const pod = podFrom('deployment');
    pod.metadata = {
      ...pod.metadata,
      labels: { app: 'github-mcp', 'mcp-recorder.dev/server': 'github-mcp' },
    };
    const { allowed, status } = await ask(server, '/pods', pod);
    expect(allowed).toBe(false);
    expect(status).toEqual({
      code: 403,
      reason: 'Forbidden',
      message:
        'The label mcp-recorder.dev/server marks pods that are recorded, and only the recorder\'s webhook sets it: no RecordedMCPServer of namespace tools selects this pod (the label says "github-mcp"). Remove the label from the pod or its template.',
    });
  });

  it('that can not be recorded is refused with the reason', async () => {
    const server = await start({ cached: [given.resource] });
    const pod = podFrom('deployment');
    if (pod.spec) pod.spec.hostNetwork = true;
    expect((await ask(server, '/pods', pod)).status).toMatchObject({ code: 403, message: /hostNetwork/ });
  });

  it('is refused when it can not be found out whose it is, with the cause', async () => {
    const server = await start({ cached: new Error('the API server is away') });
    expect(await ask(server, '/pods', podFrom('deployment'))).toMatchObject({
      allowed: false,
      status: {
        code: 500,
        reason: 'InternalError',
        message:
          'mcp-recorder could not decide: the API server is away. A pod of a recorded server is refused rather than run unrecorded; who makes pods tries again by itself.',
      },
    });
  });

  it('is refused within its time when nobody answers', async () => {
    const never = new Promise<never>(() => undefined);
    const server = await start(
      {},
      {
        answerWithinMs: 50,
        parts: {
          lookup: { resourcesOf: () => never, podsOf: () => never },
          settings,
          configKeys: () => [],
          sessionKey: () => '',
        },
      },
    );
    expect((await ask(server, '/pods', podFrom('deployment'))).status?.message).toContain(
      'did not come within 50 ms',
    );
  });

  it('of no sense is refused, not passed', async () => {
    const server = await start({ cached: [given.resource] });
    const broken = { metadata: { labels: { app: 'github-mcp' } }, spec: { containers: 'none' } };
    expect((await ask(server, '/pods', broken)).allowed).toBe(false);
  });

  it('with very many variables costs no more than their number', async () => {
    const server = await start({
      cached: [
        resource('github-mcp', {
          traffic: { mode: 'Relocate', relocate: { port: 18_080, env: [{ name: 'HOST', value: 'x' }] } },
        }),
      ],
    });
    const pod = podFrom('deployment');
    const container = pod.spec?.containers[0];
    if (container)
      container.env = Array.from({ length: 20_000 }, (_, index) => ({
        name: `V${index}`,
        value: `${index}`,
      }));
    const startMs = performance.now();
    expect(patched(pod, await ask(server, '/pods', pod)).spec?.containers[0]?.env).toHaveLength(20_001);
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });
});

describe('a Service', () => {
  const service: Service = {
    metadata: { name: 'gh', annotations: { 'mcp-recorder.dev/target': 'recorder' } },
    spec: { selector: { app: 'github-mcp' }, ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }] },
  };

  it('is sent to the recorder, and its user is told why', async () => {
    const server = await start({ cached: [given.resource], pods: [podFrom('deployment')] });
    const answer = await ask(server, '/services', service, 'UPDATE');
    expect(patched(service, answer).spec?.ports?.[0]?.targetPort).toBe(9080);
    expect(answer.warnings).toEqual([
      'mcp-recorder: port 80 leads to the recorder (9080) in front of 8080, because a RecordedMCPServer selects these pods',
    ]);
    const again = await ask(server, '/services', patched(service, answer), 'UPDATE');
    expect(again).toEqual({ uid: 'u-1', allowed: true });
  });

  it('is refused when nobody knows where it should lead', async () => {
    const server = await start({ cached: new Error('the API server is away') });
    expect((await ask(server, '/services', service)).status?.message).toBe(
      'mcp-recorder could not decide: the API server is away. Try again.',
    );
  });
});

describe('the port', () => {
  it.each([
    ['/elsewhere', 'POST', review({}), 404],
    ['/pods', 'GET', '', 405],
    ['/pods', 'POST', 'no JSON', 400],
    ['/pods', 'POST', '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","request":{}}', 400],
    ['/pods', 'POST', '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}', 400],
    ['/pods', 'POST', 'x'.repeat(8 * 2 ** 20 + 1), 413],
  ])('answers %s %s with %j: %i', async (path, method, body, status) => {
    const server = await start({ cached: [given.resource] });
    expect((await send(server.port, path, body, { method })).status).toBe(status);
  });

  it('counts what it answers', async () => {
    const seen: string[] = [];
    const server = await start(
      { cached: [given.resource], live: [] },
      { onAnswer: ({ kind, outcome }) => void seen.push(`${kind} ${outcome}`) },
    );
    const refused = podFrom('deployment');
    if (refused.spec) refused.spec.hostPID = true;
    for (const pod of [podFrom('deployment'), podFrom('job'), refused]) await ask(server, '/pods', pod);
    await ask(server, '/services', {});
    expect(seen).toEqual(['pods changed', 'pods unchanged', 'pods refused', 'services unchanged']);
  });

  it('asks its callers to connect anew while it stops, and answers each of them', async () => {
    const server = await start({ cached: [given.resource] });
    const agent = new https.Agent({ keepAlive: true });
    const before = await send(server.port, '/pods', review(podFrom('job')), { agent });
    expect(before.headers['connection']).not.toBe('close');
    const closed = server.close(300);
    const during = await send(server.port, '/pods', review(podFrom('job')), { agent });
    expect([during.status, during.headers['connection']]).toEqual([200, 'close']);
    await closed;
    await expect(send(server.port, '/pods', review(podFrom('job')))).rejects.toThrow('ECONNREFUSED');
    agent.destroy();
  });
});

describe('certificates', () => {
  it('change under constant load, an authority too, without a failed connection', async () => {
    const DAY_MS = 24 * 3_600_000;
    const now = Date.now();
    // An authority that came near its end so long ago that every step of its succession has its certificates valid today.
    const born = new Date(now - AUTHORITY_LIFE_MS + AUTHORITY_RENEW_MS - 3 * DAY_MS);
    const old = await renew(null, null, born, address);
    const times = [now - 2 * DAY_MS, now - 2 * DAY_MS + 1_000, now - 2 * DAY_MS + 1_000 + SETTLE_MS];
    const steps: IdentityData[] = [];
    for (const time of times) {
      const before = steps.at(-1) ?? old;
      steps.push(
        await renew(before as unknown as Record<string, string>, before['ca.crt'], new Date(time), address),
      );
    }
    const [first, , last] = steps as [IdentityData, IdentityData, IdentityData];
    expect(last['issuer.crt']).not.toBe(first['issuer.crt']);

    const server = await start({ cached: [given.resource] }, { certificate: pairOf(first) });
    let ca = old['ca.crt'];
    let stop = false;
    const failures: unknown[] = [];
    const answered = new Map<string, number>();
    const caller = async () => {
      while (!stop) {
        const answer = await send(server.port, '/pods', review(podFrom('job')), { ca }).catch(
          (error: unknown) => {
            failures.push(error);
            return null;
          },
        );
        if (answer !== null) answered.set(ca, (answered.get(ca) ?? 0) + 1);
      }
    };
    const callers = Array.from({ length: 4 }, caller);
    const served = (bundle: string) =>
      eventually(() => (answered.get(bundle) ?? 0) >= 20, { withinMs: 20_000 });
    for (const step of steps) {
      await served(ca);
      answered.clear();
      server.useCertificate(pairOf(step));
      // Callers learn the bundle only after the webhook has begun to use what it holds.
      await served(ca);
      ca = step['ca.crt'];
    }
    await served(ca);
    stop = true;
    await Promise.all(callers);
    expect(failures).toEqual([]);
    const { certificate } = await send(server.port, '/pods', review(podFrom('job')), { ca });
    expect(certificate).toBe(new X509Certificate(last['tls.crt']).fingerprint256);
  });
});
