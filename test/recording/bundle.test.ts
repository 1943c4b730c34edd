import {
  type Bundle,
  BundleError,
  createBundle,
  type DecodedSegment,
  verifyBundle,
} from '@mcp-recorder/recording/proof/bundle';
import { createSealedLine } from '@mcp-recorder/recording/proof/seal';
import { parseSegmentKey } from '@mcp-recorder/recording/format/keys';
import { describe, expect, it } from 'vitest';
import { toolCall } from './drafts.ts';
import { CLOSED, CUT_OFF, DEAD, goldenStore, SAMPLED, STREAMED } from './golden-store.ts';
import { createStreamBuilder } from './stream-builder.ts';

const segments = goldenStore().map(({ key, lines }) => ({
  stream: parseSegmentKey(key)?.stream ?? '',
  segment: parseSegmentKey(key)?.segment ?? -1,
  bytes: Buffer.from(lines.map((line) => `${line}\n`).join('')),
  publicKey: JSON.parse(lines[0] as string).open.public_key as string,
}));
function decoded({
  stream,
  segment,
  lines,
}: {
  stream: string;
  segment: number;
  lines: string[];
}): DecodedSegment {
  return { stream, segment, bytes: Buffer.from(lines.map((line) => `${line}\n`).join('')) };
}
const keyOf = (stream: string) => segments.find((s) => s.stream === stream)?.publicKey ?? '';
const copyOf = (bundle: Bundle): Bundle => JSON.parse(JSON.stringify(bundle));
const codesOf = (bundle: unknown, key?: string) => verifyBundle(bundle, key).findings.map((f) => f.code);

describe('the proof of an exchange', () => {
  const bundle = createBundle(segments, STREAMED);

  it('holds its lines over several segments and the results of its operations, and verifies without the store', () => {
    const types = bundle.segments.flatMap((s) => s.lines.map((l) => JSON.parse(l.line).type));
    expect(types).toEqual([
      'open',
      'request',
      'response',
      'event',
      'result',
      'open',
      'event',
      'result',
      'end',
    ]);
    const report = verifyBundle(copyOf(bundle), keyOf(CLOSED));
    expect(report).toMatchObject({ ok: true, findings: [] });
    expect(report.statements).toEqual([
      `stream ${CLOSED}, segment 0 is sealed by the given key ${keyOf(CLOSED)}`,
      `stream ${CLOSED}, segment 1 is sealed by the given key ${keyOf(CLOSED)}`,
      `exchange ${STREAMED} is whole, 6 parts`,
    ]);
  });

  it('says without a key that it shows consistency only, and with another key whose it is not', () => {
    const unchecked = verifyBundle(bundle);
    expect(unchecked.ok).toBe(true);
    expect(unchecked.statements.at(-1)).toMatch(/consistent in itself, not who made it/);
    expect(codesOf(bundle, keyOf(DEAD))).toEqual(['signature', 'signature']);
  });

  it('is refused with any line of the ended exchange left out', () => {
    bundle.segments.forEach((segment, s) => {
      segment.lines.forEach((line, l) => {
        const without = copyOf(bundle);
        without.segments[s]?.lines.splice(l, 1);
        const ofExchange = JSON.parse(line.line).exchange === STREAMED;
        if (ofExchange && JSON.parse(line.line).type === 'end') {
          // Without its end nobody can say how many parts there were: it is said.
          expect(verifyBundle(without).statements).toContain(
            `exchange ${STREAMED} is open-ended, at least 5 parts`,
          );
        } else if (ofExchange || l === 0) {
          expect(verifyBundle(without).ok, line.line).toBe(false);
        }
      });
      const without = copyOf(bundle);
      without.segments.splice(s, 1);
      expect(verifyBundle(without).ok).toBe(s === 1);
    });
  });

  it('is refused with any byte of a line, a proof or a seal changed', () => {
    bundle.segments.forEach((segment, s) => {
      segment.lines.forEach((_, l) => {
        const changed = copyOf(bundle);
        const line = changed.segments[s]?.lines[l];
        if (line === undefined) return;
        line.line = line.line.replace(/"time":"2026/, '"time":"2025');
        expect(codesOf(changed)).toContain('root');
        const moved = copyOf(bundle);
        const other = moved.segments[s]?.lines[l];
        if (other !== undefined) other.index += 1;
        expect(verifyBundle(moved).ok).toBe(false);
      });
      for (const [from, to] of [
        ['"time":"2026', '"time":"2025'],
        ['"seq":', '"seq":1'],
        ['"last":false', '"last":true'],
      ] as const) {
        const changed = copyOf(bundle);
        const target = changed.segments[s];
        if (target !== undefined) target.seal = target.seal.replace(from, to);
        expect(codesOf(changed), `${from} of ${s}`).toEqual(segment.seal.includes(from) ? ['signature'] : []);
      }
      const renamed = copyOf(bundle);
      const label = renamed.segments[s];
      if (label !== undefined) label.segment = 7;
      expect(codesOf(renamed)).toContain('seal');
    });
    for (const garbage of [
      null,
      {},
      [],
      'text',
      { ...bundle, format: 'v2' },
      { ...bundle, segments: [{}] },
    ]) {
      expect(verifyBundle(garbage).ok).toBe(false);
    }
  });

  it('is refused when an exchange is given the name of another', () => {
    expect(verifyBundle({ ...bundle, exchange: SAMPLED }).ok).toBe(false);
  });

  it('of a recovered segment brings the word and the key of the stream that recovered it', () => {
    const recovered = createBundle(segments, CUT_OFF);
    expect(recovered.segments.map((s) => [s.stream, s.segment])).toEqual([
      [DEAD, 1],
      [CLOSED, 0],
    ]);
    const report = verifyBundle(recovered, keyOf(CLOSED));
    expect(report.ok).toBe(true);
    expect(report.statements).toContain(`stream ${DEAD}, segment 1 was recovered by stream ${CLOSED}`);
    expect(report.statements).toContain(`exchange ${CUT_OFF} is open-ended, at least 1 parts`);
    expect(codesOf(recovered, keyOf(DEAD))).toEqual(['signature']);
    expect(codesOf({ ...recovered, segments: recovered.segments.slice(0, 1) })).toContain('open');
    expect(() => createBundle(segments.slice(0, 2), CUT_OFF)).toThrow(BundleError);
  });

  it('is refused when the recovering stream does not name the segment', () => {
    const recoverer = createStreamBuilder({ stream: CLOSED, startMs: 0 });
    const dead = createStreamBuilder({ stream: DEAD, startMs: 0 });
    const cut = dead.segment(toolCall({ exchange: STREAMED }), { recoveredBy: recoverer });
    const proof = createBundle([decoded(cut), decoded(recoverer.segment([]))], STREAMED);
    expect(codesOf(proof)).toEqual(['recovery']);
  });

  it('is refused when its recorder lied about the number of parts or lines, or used two streams', () => {
    const [request, response, result, end] = toolCall({ exchange: STREAMED });
    if (end.type !== 'end') throw new Error('a call ends with its end');
    const build = (stream = CLOSED) => createStreamBuilder({ stream, startMs: 0 });
    const whole = [request, response, result, end];
    expect(codesOf(createBundle([decoded(build().segment(whole))], STREAMED))).toEqual([]);

    const liar = build().segment([request, response, result, { ...end, ended: { ...end.ended, parts: 9 } }]);
    expect(codesOf(createBundle([decoded(liar)], STREAMED))).toEqual(['exchange']);

    const halves = [build().segment([request]), build(DEAD).segment([response, result, end])];
    expect(codesOf(createBundle(halves.map(decoded), STREAMED))).toEqual(['exchange']);

    const stream = build();
    const { lines, root } = stream.segment(whole);
    const facts = {
      stream: CLOSED,
      seq: 10,
      time: '2026-11-21T08:40:00.000000Z',
      segment: 0,
      entries: 5,
      root,
    };
    const { privateKey } = stream;
    const more = {
      firstSeq: 5,
      previousRoot: null,
      last: true,
      how: 'size',
      recoveredBy: null,
      privateKey,
    } as const;
    const shifted = {
      lines: lines.with(lines.length - 1, createSealedLine({ ...facts, ...more })),
      stream: CLOSED,
      segment: 0,
    };
    expect(codesOf(createBundle([decoded(shifted)], STREAMED))).toContain('head');
  });

  it('names the operations whose results it does not hold', () => {
    const exchange = '01KAH3MBWD0G6R4Y1S8T2V5Z9C';
    const [request, response, , end] = toolCall({ exchange });
    if (end.type !== 'end') throw new Error('a call ends with its end');
    const lines = [request, response, { ...end, part: 2, ended: { ...end.ended, parts: 3 } }];
    const stream = createStreamBuilder({ stream: CLOSED, startMs: 0 });
    const report = verifyBundle(createBundle([decoded(stream.segment(lines, { last: true }))], exchange));
    expect(report.ok).toBe(true);
    expect(report.statements).toContain(
      `the result of operation ${exchange}.0 (tools/call), if there is one, is not included`,
    );
  });

  it('can not be made of an exchange that is not there', () => {
    expect(() => createBundle(segments, '01KAH3MBWD0G6R4Y1S8T2V5ZZZ')).toThrow(/no line of exchange/);
  });
});
