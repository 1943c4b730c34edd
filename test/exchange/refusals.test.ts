import { describe, expect, it } from 'vitest';
import { REFUSALS, refusalBody } from '../../sidecar/exchange/refusals.ts';

/** What clients are told is a contract: status, JSON-RPC code, seconds until a retry. */
const PINNED = {
  malformed_http: [400, -32600, null],
  malformed_json: [400, -32700, null],
  not_utf8: [400, -32700, null],
  header_mismatch: [400, -32020, null],
  body_too_large: [413, -32600, null],
  batch_too_large: [413, -32600, null],
  unsupported_coding: [415, -32600, null],
  bad_coding: [400, -32700, null],
  headers_too_large: [431, -32600, null],
  method_not_allowed: [501, -32600, null],
  expectation: [417, -32600, null],
  gate_closed: [503, -32603, 5],
  draining: [503, -32603, 1],
  no_token: [401, -32600, null],
  invalid_token: [401, -32600, null],
  insufficient_scope: [403, -32600, null],
  issuer_unavailable: [503, -32603, 5],
  forbidden_origin: [403, -32600, null],
  foreign_session: [404, -32001, null],
  ambiguous_body: [400, -32600, null],
  unreadable_body: [415, -32600, null],
  denied_by_rule: [403, -32003, null],
  batch_denied: [403, -32003, null],
  not_masked: [413, -32600, null],
  credential_unavailable: [503, -32603, 5],
  memory: [503, -32603, 1],
  upstream_unreachable: [502, -32603, null],
  upstream_reset: [502, -32603, null],
  upstream_malformed: [502, -32603, null],
  upstream_timeout: [504, -32603, null],
  not_durable: [503, -32603, null],
};

describe('the table of refusals', () => {
  it('is what clients rely on', () => {
    const table = Object.entries(REFUSALS).map(([reason, { status, jsonRpcCode, retryAfterSeconds }]) => [
      reason,
      [status, jsonRpcCode, retryAfterSeconds ?? null],
    ]);
    expect(Object.fromEntries(table)).toEqual(PINNED);
  });

  it('tells in words what failed and what to do', () => {
    for (const [reason, { message, hint }] of Object.entries(REFUSALS)) {
      expect(message, reason).toMatch(/^[A-Z].{15,}[^.]$/);
      expect(hint, reason).toMatch(/^[A-Z].{15,}\.$/);
    }
  });
});

describe('the body of a refusal', () => {
  it('is a JSON-RPC error with the id of the request, as it was sent', () => {
    expect(refusalBody('draining', ['"a-7"'], false)).toEqual({
      contentType: 'application/json',
      body:
        '{"jsonrpc":"2.0","id":"a-7","error":{"code":-32603,"message":"The recorder is shutting down",' +
        '"data":{"reason":"draining","hint":"Try again on a new connection."}}}',
    });
  });

  it('has the id null where none is known', () => {
    expect(JSON.parse(refusalBody('malformed_json', [], false).body)).toMatchObject({
      id: null,
      error: { code: -32700 },
    });
    expect(JSON.parse(refusalBody('batch_too_large', [], true).body)).toMatchObject({ id: null });
  });

  it('is an array with one error for each request of a batch', () => {
    const answers = JSON.parse(
      refusalBody('header_mismatch', ['1', '"1"', '1.50'], true, { detail: 'x' }).body,
    );
    expect(answers).toMatchObject([
      { id: 1, error: { code: -32020, data: { reason: 'header_mismatch', detail: 'x' } } },
      { id: '1' },
      { id: 1.5 },
    ]);
    expect(refusalBody('header_mismatch', ['1.50'], false).body).toContain('"id":1.50,');
  });
});
