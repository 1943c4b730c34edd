import { describe, expect, it } from 'vitest';
import type { IssuerHealth } from '../../sidecar/identity/identity.ts';
import { createMetrics } from '../../sidecar/metrics.ts';

function setUp(issuers: IssuerHealth[] = []) {
  const sources = {
    activeExchanges: () => 7,
    activeStreams: () => 3,
    gate: () => 'Closed' as const,
    storeFailing: () => true,
    issuers: () => issuers,
    credentialFailing: () => true,
    spool: () => ({
      watermarks: { appended: 100, synced: 90, acked: 60 },
      bytes: 4096,
      sizeLimit: 8192,
      quarantined: 1,
      lagMs: 2_500,
    }),
  };
  const metrics = createMetrics(sources);
  const scrape = async () =>
    (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith('mcp'));
  return { metrics, scrape };
}

describe('metrics', () => {
  it('count exchanges by how they ended and operations by method and outcome', async () => {
    const { metrics, scrape } = setUp();
    metrics.exchangeEnded('complete');
    metrics.exchangeEnded('complete');
    metrics.exchangeEnded('cut');
    metrics.operationEnded('tools/call', 'ok');
    metrics.operationEnded('tools/call', 'tool_error');
    metrics.operationEnded('tools/call', 'ok');
    metrics.denied('gate_closed');
    expect(await scrape()).toEqual(
      expect.arrayContaining([
        'mcp_recorder_exchanges_total{how="complete"} 2',
        'mcp_recorder_exchanges_total{how="cut"} 1',
        'mcp_recorder_operations_total{method="tools/call",outcome="ok"} 2',
        'mcp_recorder_operations_total{method="tools/call",outcome="tool_error"} 1',
        'mcp_recorder_denied_total{reason="gate_closed"} 1',
      ]),
    );
  });

  it('have a bounded number of series whatever methods callers invent', async () => {
    const { metrics, scrape } = setUp();
    for (let n = 0; n < 1000; n++) metrics.operationEnded(`evil/${n}`, 'error');
    metrics.operationEnded(null, 'unknown');
    const lines = (await scrape()).filter((line) => line.startsWith('mcp_recorder_operations_total'));
    expect(lines.sort()).toEqual([
      'mcp_recorder_operations_total{method="other",outcome="error"} 1000',
      'mcp_recorder_operations_total{method="other",outcome="unknown"} 1',
    ]);
  });

  it('count what rules decide, what masking finds and what is withheld', async () => {
    const { metrics, scrape } = setUp();
    metrics.decided(null, 'allow');
    metrics.decided('no-deletes', 'deny');
    metrics.decided('no-deletes', 'deny');
    metrics.ruleFailed('no-deletes');
    metrics.masked('github-token', 3);
    metrics.withheld('metadata_only');
    expect(await scrape()).toEqual(
      expect.arrayContaining([
        'mcp_recorder_decisions_total{rule="",action="allow"} 1',
        'mcp_recorder_decisions_total{rule="no-deletes",action="deny"} 2',
        'mcp_recorder_rule_errors_total{rule="no-deletes"} 1',
        'mcp_recorder_masked_total{rule="github-token"} 3',
        'mcp_recorder_withheld_total{reason="metadata_only"} 1',
      ]),
    );
  });

  it('have a bounded number of series however often rules get other names', async () => {
    const { metrics, scrape } = setUp();
    for (let n = 0; n < 2_000; n++) metrics.masked(`rule-${n}`, 1);
    const lines = (await scrape()).filter((line) => line.startsWith('mcp_recorder_masked_total'));
    expect(lines).toHaveLength(501);
    expect(lines).toContain('mcp_recorder_masked_total{rule="other"} 1500');
  });

  it('tell how the issuers that are configured now do, and whether the credential can be had', async () => {
    const one = { problem: null, sinceMs: 0 };
    const issuers: IssuerHealth[] = [
      { issuer: 'https://a', state: 'Stale', keysAgeMs: 1_500, ...one },
      { issuer: 'https://b', state: 'Unavailable', keysAgeMs: null, ...one },
    ];
    const { scrape } = setUp(issuers);
    const ofIssuers = async () => (await scrape()).filter((line) => line.includes('issuer_')).sort();
    expect(await ofIssuers()).toEqual([
      'mcp_recorder_issuer_keys_age_seconds{issuer="https://a"} 1.5',
      'mcp_recorder_issuer_state{issuer="https://a",state="Ok"} 0',
      'mcp_recorder_issuer_state{issuer="https://a",state="Stale"} 1',
      'mcp_recorder_issuer_state{issuer="https://a",state="Unavailable"} 0',
      'mcp_recorder_issuer_state{issuer="https://b",state="Ok"} 0',
      'mcp_recorder_issuer_state{issuer="https://b",state="Stale"} 0',
      'mcp_recorder_issuer_state{issuer="https://b",state="Unavailable"} 1',
    ]);
    issuers.splice(0);
    expect(await ofIssuers()).toEqual([]);
    expect(await scrape()).toContain('mcp_recorder_credential_failing 1');
  });

  it('look up gauges when they are scraped', async () => {
    const { scrape } = setUp();
    expect(await scrape()).toEqual(
      expect.arrayContaining([
        'mcp_recorder_active_exchanges 7',
        'mcp_recorder_active_streams 3',
        'mcp_recorder_gate_open 0',
        'mcp_recorder_gate_state{state="Open"} 0',
        'mcp_recorder_gate_state{state="Closed"} 1',
        'mcp_recorder_store_failing 1',
        'mcp_recorder_store_lag_seconds 2.5',
        'mcp_recorder_spool_bytes 4096',
        'mcp_recorder_spool_limit_bytes 8192',
        'mcp_recorder_spool_unsynced_lines 10',
        'mcp_recorder_store_lag_lines 30',
      ]),
    );
  });

  it('say what became of segments, and how long a sync took in seconds', async () => {
    const { metrics, scrape } = setUp();
    metrics.synced(2);
    metrics.segmentSealed();
    metrics.segmentUploaded(40);
    metrics.gateClosed('store_timeout');
    metrics.exchangeUnrecorded();
    metrics.uploadFailed();
    metrics.streamRecovered();
    metrics.endpointAlarm();
    expect(await scrape()).toEqual(
      expect.arrayContaining([
        'mcp_recorder_spool_sync_duration_seconds_bucket{le="0.001"} 0',
        'mcp_recorder_spool_sync_duration_seconds_bucket{le="0.0025"} 1',
        'mcp_recorder_spool_sync_duration_seconds_sum 0.002',
        'mcp_recorder_segments_sealed_total 1',
        'mcp_recorder_segments_uploaded_total 1',
        'mcp_recorder_upload_failures_total 1',
        'mcp_recorder_upload_duration_seconds_bucket{le="0.025"} 0',
        'mcp_recorder_upload_duration_seconds_bucket{le="0.05"} 1',
        'mcp_recorder_gate_closed_total{reason="store_timeout"} 1',
        'mcp_recorder_unrecorded_exchanges_total 1',
        'mcp_recorder_streams_recovered_total 1',
        'mcp_recorder_quarantined_files 1',
        'mcp_recorder_endpoint_alarms_total 1',
      ]),
    );
  });
});
