import fs from 'node:fs';
import { parsePublicKey } from '@mcp-recorder/recording/proof/note';
import { checkSeal, type SealClaim, sealHash } from '@mcp-recorder/recording/proof/seal';
import { describe, expect, it } from 'vitest';
import { goldenStore } from './golden-store.ts';

const vectors = JSON.parse(fs.readFileSync(new URL('../vectors/seals.json', import.meta.url), 'utf8')) as {
  publicKey: string;
  seals: { line: string; emptyCheckpointSha256: string; root: string; signedText: string }[];
};
const publicKey = parsePublicKey(vectors.publicKey);
if (publicKey === null) throw new Error('the vectors have no key');

function claimOf(line: string): SealClaim {
  const { stream, seq, time, seal } = JSON.parse(line);
  return {
    stream,
    seq,
    time,
    segment: seal.segment,
    firstSeq: seal.first_seq,
    entries: seal.entries,
    root: seal.root,
    previousRoot: seal.previous_root,
    last: seal.last,
    how: seal.how,
    recoveredBy: seal.recovered_by,
    checkpoint: seal.checkpoint,
  };
}

describe('a seal', () => {
  it.each(vectors.seals)('is made and checked as published: root $root', ({ line, ...vector }) => {
    expect(goldenStore().flatMap((segment) => segment.lines)).toContain(line);
    const claim = claimOf(line);
    expect(sealHash(Buffer.from(line))).toBe(vector.emptyCheckpointSha256);
    expect(Buffer.from(claim.root, 'base64').toString('hex')).toBe(vector.root);
    expect(claim.checkpoint.startsWith(`${vector.signedText}\n\u2014 `)).toBe(true);
    expect(checkSeal(Buffer.from(line), claim, publicKey)).toBeNull();
  });

  it('does not hold when a reader took anything else from it', () => {
    const line = vectors.seals[0]?.line ?? '';
    const claim = claimOf(line);
    const other = Buffer.alloc(32, 9).toString('base64');
    for (const changed of [
      { ...claim, entries: claim.entries + 1 },
      { ...claim, firstSeq: 1 },
      { ...claim, segment: 1 },
      { ...claim, last: true },
      { ...claim, root: other },
      { ...claim, previousRoot: other },
    ]) {
      expect(checkSeal(Buffer.from(line), changed, publicKey)).not.toBeNull();
    }
  });

  it('is refused when a checkpoint within another string could be taken for its own', () => {
    const line = '{"v":1,"type":"seal","seal":{"checkpoint":"a","more":{"x":"y,\\"checkpoint\\":\\""}}}';
    expect(sealHash(Buffer.from(line))).toBeNull();
    expect(sealHash(Buffer.from('{"seal":{"a":1,"checkpoint":"x"},"more":1}'))).toBeNull();
    expect(sealHash(Buffer.from('{"seal":{"a":1,"checkpoint":"x","more":"y"}}'))).toBeNull();
    expect(sealHash(Buffer.from('{"v":1}'))).toBeNull();
  });
});
