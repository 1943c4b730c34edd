/**
 * The operator's status port says how it is, and its metrics have names and labels that others can build on.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RecordedMCPServer } from '../../operator/api/recorded-mcp-server.ts';
import type { Look } from '../../operator/desired/observed.ts';
import { createOperatorMetrics, type OperatorMetrics } from '../../operator/metrics.ts';
import { createOperatorStatusServer, type OperatorStatusServer } from '../../operator/status-server.ts';

let reasons: { alive: string[]; ready: string[] };
let metrics: OperatorMetrics;
let server: OperatorStatusServer;

beforeEach(async () => {
  reasons = { alive: [], ready: [] };
  metrics = createOperatorMetrics({
    calls: () => [{ verb: 'apply', resource: 'configmaps', status: 200, count: 3 }],
    isLeader: () => true,
    queueDepth: () => 2,
    queueFailing: () => 1,
    resources: () => [resource('True'), resource('True'), resource('False')],
    certificateEnds: () => new Map([['serving', 1_800_000_000_000]]),
  });
  server = await createOperatorStatusServer({
    port: 0,
    host: '127.0.0.1',
    alive: () => ({ reasons: reasons.alive }),
    ready: () => ({ reasons: reasons.ready }),
    registry: metrics.registry,
  });
});
afterEach(() => server.close());

function resource(status: 'True' | 'False'): RecordedMCPServer {
  const ready = { type: 'Ready', status, reason: 'x', message: '', lastTransitionTime: '' };
  return { status: { conditions: [ready] } } as RecordedMCPServer;
}

function look(dial: Look['dial'], link: object): Look {
  return { atMs: 0, dial, link } as Look;
}

const ask = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${server.port}${path}`, init);
const scrape = async () => (await (await ask('/metrics')).text()).split('\n');

describe('the status port', () => {
  it('says yes when all is well, and why not otherwise', async () => {
    expect((await ask('/livez')).status).toBe(200);
    expect(await (await ask('/readyz')).json()).toEqual({ ok: true, reasons: [] });
    reasons = { alive: ['stopped'], ready: ['no certificate yet'] };
    const [alive, ready] = [await ask('/livez'), await ask('/readyz')];
    expect([alive.status, ready.status]).toEqual([503, 503]);
    expect(await ready.json()).toEqual({ ok: false, reasons: ['no certificate yet'] });
  });

  it('answers nothing else', async () => {
    expect((await ask('/')).status).toBe(404);
    expect((await ask('/livez', { method: 'POST' })).status).toBe(405);
  });
});

describe('the metrics', () => {
  it('look up what is, when they are scraped', async () => {
    for (let n = 0; n < 2; n += 1) {
      expect(await scrape()).toEqual(
        expect.arrayContaining([
          'mcp_recorder_operator_leader 1',
          'mcp_recorder_operator_queue_depth 2',
          'mcp_recorder_operator_queue_failing 1',
          'mcp_recorder_operator_resources{condition="Ready",status="True"} 2',
          'mcp_recorder_operator_resources{condition="Ready",status="False"} 1',
          'mcp_recorder_operator_api_requests_total{verb="apply",resource="configmaps",status="200"} 3',
          'mcp_recorder_operator_certificate_expiry_timestamp_seconds{certificate="serving"} 1800000000',
        ]),
      );
    }
  });

  it('count reconciles, admissions and looks', async () => {
    metrics.reconciled('resource', 'done', 20);
    metrics.reconciled('resource', 'failed', 20);
    metrics.admitted('pods', 'changed', 0.004);
    metrics.looked(look('connected', { ok: false, why: '' }));
    metrics.looked(look('timeout', { ok: true, answer: { proven: true } }));
    expect(await scrape()).toEqual(
      expect.arrayContaining([
        'mcp_recorder_operator_reconciles_total{kind="resource",outcome="done"} 1',
        'mcp_recorder_operator_reconciles_total{kind="resource",outcome="failed"} 1',
        'mcp_recorder_operator_reconcile_duration_seconds_count{kind="resource"} 2',
        'mcp_recorder_operator_admission_requests_total{kind="pods",outcome="changed"} 1',
        'mcp_recorder_operator_admission_duration_seconds_bucket{le="0.005",kind="pods"} 1',
        'mcp_recorder_operator_looks_total{link="none",dial="connected"} 1',
        'mcp_recorder_operator_looks_total{link="proven",dial="timeout"} 1',
      ]),
    );
  });
});
