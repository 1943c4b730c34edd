import { describe, expect, it } from 'vitest';
import { denialAnswer } from '../../sidecar/exchange/denial.ts';
import { scanMessages } from '../../sidecar/exchange/json-scan.ts';
import type { RuleDecision } from '../../sidecar/exchange/rules/rules.ts';

const ALLOW: RuleDecision = { action: 'allow', rule: null, message: null, error: null };
const DENY: RuleDecision = { action: 'deny', rule: 'r', message: 'No', error: null };

function answerTo(text: string, ...decisions: RuleDecision[]) {
  const scanned = scanMessages(text);
  if (!scanned.ok) throw new Error(text);
  const { status, body } = denialAnswer(scanned.messages, decisions, scanned.batch);
  return { status, body: JSON.parse(body) };
}

describe('the answer to a denied request', () => {
  it('answers its id, in the words of the rule', () => {
    expect(answerTo('{"id":"x","method":"m"}', DENY)).toEqual({
      status: 200,
      body: {
        jsonrpc: '2.0',
        id: 'x',
        error: {
          code: -32003,
          message: 'No',
          data: { reason: 'denied_by_rule', hint: expect.any(String), rule: 'r' },
        },
      },
    });
  });

  it('has the words of the recorder where the rule has none', () => {
    const { body } = answerTo('{"id":1,"method":"m"}', { ...DENY, message: null });
    expect(body.error.message).toBe('A rule of the recorder denies this call');
  });

  it('answers each request of a batch, and nothing else in it', () => {
    const text = '[{"id":1,"method":"a"},{"method":"b"},{"id":2,"result":{}},{"id":null,"method":"c"},5]';
    const { status, body } = answerTo(text, ALLOW, DENY, ALLOW, DENY, ALLOW);
    expect(status).toBe(200);
    expect(body.map((error: { id: unknown }) => error.id)).toEqual([1, null]);
    expect(body[0].error.data).toMatchObject({ reason: 'batch_denied' });
    expect(body[0].error.data).not.toHaveProperty('rule');
    expect(body[1].error.data).toMatchObject({ reason: 'denied_by_rule', rule: 'r' });
  });

  it('is 403 with the id null where there is no request to answer', () => {
    for (const text of ['{"method":"a"}', '[{"method":"a"}]', '{"id":2,"result":{}}']) {
      expect(answerTo(text, DENY)).toMatchObject({
        status: 403,
        body: { id: null, error: { message: 'No' } },
      });
    }
    expect(denialAnswer([], [DENY], false).status).toBe(403);
  });
});
