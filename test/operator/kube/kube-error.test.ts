import { describe, expect, it } from 'vitest';
import { errorOfAnswer, isExpired, isKubeError, KubeError } from '../../../operator/kube/kube-error.ts';

const CALL = 'apply services tools/github';
const status = (fields: object) => JSON.stringify({ kind: 'Status', apiVersion: 'v1', ...fields });

describe('an error of the API', () => {
  it('has the reason, the words and the causes of its Status', () => {
    const cause = { reason: 'FieldValueInvalid', field: 'spec.ports', message: 'must be given' };
    const said = { code: 422, reason: 'Invalid', message: 'is invalid', details: { causes: [cause] } };
    const error = errorOfAnswer(CALL, 422, status(said), undefined);
    expect(error).toMatchObject({ status: 422, reason: 'Invalid', causes: [cause], retryAfterMs: null });
    expect(error.message).toBe('apply services tools/github: 422 Invalid: is invalid');
  });

  it('says when to come back, by the header or by the Status, whichever there is', () => {
    expect(errorOfAnswer(CALL, 429, 'Too many requests, please try again later.', '1')).toMatchObject({
      reason: 'TooManyRequests',
      retryAfterMs: 1000,
    });
    const said = { code: 429, reason: 'TooManyRequests', details: { retryAfterSeconds: 10 } };
    expect(errorOfAnswer(CALL, 429, status(said), undefined).retryAfterMs).toBe(10_000);
    expect(
      errorOfAnswer(CALL, 503, status({ code: 503, reason: 'ServiceUnavailable' }), '7').retryAfterMs,
    ).toBe(7000);
    expect(errorOfAnswer(CALL, 503, 'later', 'Wed, 21 Oct 2026 07:28:00 GMT').retryAfterMs).toBeNull();
    expect(errorOfAnswer(CALL, 503, 'next month', '3000000').retryAfterMs).toBe(60_000);
  });

  it('has a reason also when something in front of the API answered', () => {
    expect(errorOfAnswer(CALL, 503, '<html>no backend</html>', undefined).reason).toBe('ServiceUnavailable');
    const strange = errorOfAnswer(CALL, 418, '', undefined);
    expect(strange.reason).toBe('Unreadable');
    expect(strange.message).toContain('no text. Something that is not the API server may answer');
  });

  it('never quotes more than a part of what was answered', () => {
    const long = errorOfAnswer(CALL, 422, status({ code: 422, message: 'x'.repeat(100_000) }), undefined);
    expect(long.message.length).toBeLessThan(1000);
    expect(errorOfAnswer(CALL, 500, 'y'.repeat(100_000), undefined).message.length).toBeLessThan(1000);
  });

  it('is asked for by reason', () => {
    const facts = { call: CALL, status: 409, reason: 'Conflict', message: 'changed' } as const;
    expect(isKubeError(new KubeError(facts), 'Conflict', 'AlreadyExists')).toBe(true);
    expect(isKubeError(new KubeError(facts), 'NotFound')).toBe(false);
    expect(isKubeError(new Error('Conflict'), 'Conflict')).toBe(false);
    expect(isExpired(new KubeError(facts))).toBe(false);
    expect(isExpired(new KubeError({ ...facts, status: 410, reason: 'Gone' }))).toBe(true);
    expect(isExpired(new KubeError({ ...facts, status: 410, reason: 'Expired' }))).toBe(true);
  });
});
