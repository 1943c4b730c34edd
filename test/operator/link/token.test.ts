/**
 * A token proves one pod, by its uid, for the operator; whatever else the API server says of it proves nothing.
 */
import { describe, expect, it } from 'vitest';
import type { TokenFacts } from '../../../operator/kube/client.ts';
import { createTokenProofs, judge } from '../../../operator/link/token.ts';

const POD = { namespace: 'tools', name: 'github-0', uid: 'uid-1' };
const EXTRA = {
  'authentication.kubernetes.io/pod-name': ['github-0'],
  'authentication.kubernetes.io/pod-uid': ['uid-1'],
};

function review(changes: Partial<TokenFacts> = {}): TokenFacts {
  return {
    authenticated: true,
    username: 'system:serviceaccount:tools:default',
    groups: [],
    extra: EXTRA,
    audiences: ['mcp-recorder-operator'],
    error: null,
    ...changes,
  };
}

describe('a token', () => {
  it('proves the pod that it is bound to', () => {
    expect(judge(review(), POD)).toEqual({ proven: true });
  });

  it.each<[string, Partial<TokenFacts>, string]>([
    ['is not accepted', { authenticated: false, error: 'expired' }, 'expired'],
    ['is meant for others', { audiences: ['vault'] }, 'not meant for the operator'],
    ['names no audience', { audiences: [] }, 'not meant for the operator'],
    ['is a person', { username: 'jane' }, 'no service account of the namespace tools'],
    [
      'is of another namespace',
      { username: 'system:serviceaccount:other:default' },
      'no service account of the namespace tools',
    ],
    ['is bound to no pod', { extra: {} }, 'another pod'],
    [
      'is of a pod that had the same name',
      { extra: { ...EXTRA, 'authentication.kubernetes.io/pod-uid': ['uid-0'] } },
      'another pod',
    ],
  ])('that %s proves nothing', (_, changes, why) => {
    expect(judge(review(changes), POD)).toEqual({ proven: false, why: expect.stringContaining(why) });
  });
});

describe('the API server', () => {
  function setUp(answer: () => TokenFacts = review) {
    const asked: string[] = [];
    let nowMs = 0;
    const proofs = createTokenProofs({
      async review(token) {
        asked.push(token);
        return answer();
      },
      nowMs: () => nowMs,
    });
    const pass = (ms: number) => {
      nowMs += ms;
    };
    return { proofs, asked, pass };
  }

  it('is asked once about a token, and again when the pod shows another', async () => {
    const { proofs, asked, pass } = setUp();
    for (let n = 0; n < 5; n += 1) {
      await proofs.prove('one', POD);
      pass(10_000);
    }
    await proofs.prove('two', POD);
    expect(asked).toEqual(['one', 'two']);
  });

  it('is asked again about a proven token after half an hour, about a refused one after a minute', async () => {
    const proven = setUp();
    await proven.proofs.prove('one', POD);
    proven.pass(30 * 60_000);
    await proven.proofs.prove('one', POD);
    expect(proven.asked).toHaveLength(2);
    const refused = setUp(() => review({ authenticated: false }));
    await refused.proofs.prove('one', POD);
    refused.pass(59_000);
    await refused.proofs.prove('one', POD);
    expect(refused.asked).toHaveLength(1);
    refused.pass(1_000);
    await refused.proofs.prove('one', POD);
    expect(refused.asked).toHaveLength(2);
  });

  it('is asked for each pod: the token of one proves no other', async () => {
    const { proofs, asked } = setUp();
    expect(await proofs.prove('one', POD)).toEqual({ proven: true });
    expect(await proofs.prove('one', { ...POD, name: 'github-1', uid: 'uid-2' })).toMatchObject({
      proven: false,
    });
    expect(asked).toHaveLength(2);
  });

  it('gives no verdict when it does not answer, and none is kept', async () => {
    let fails = true;
    const { proofs, asked } = setUp(() => {
      if (fails) throw new Error('create tokenreviews: 503');
      return review();
    });
    await expect(proofs.prove('one', POD)).rejects.toThrow('503');
    fails = false;
    expect(await proofs.prove('one', POD)).toEqual({ proven: true });
    expect(asked).toHaveLength(2);
  });

  it('is asked anew about a pod that was forgotten', async () => {
    const { proofs, asked } = setUp();
    await proofs.prove('one', POD);
    proofs.forget(POD.uid);
    await proofs.prove('one', POD);
    expect(asked).toHaveLength(2);
  });
});
