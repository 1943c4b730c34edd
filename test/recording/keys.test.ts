import { canaryKey, isName, parseSegmentKey, segmentKey } from '@mcp-recorder/recording/format/keys';
import { LONGEST_KEY_BYTES } from '@mcp-recorder/recording/store/s3-location';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const PLACE = {
  cluster: 'prod',
  namespace: 'tools',
  server: 'github',
  time: '2026-11-21T08:40:00.123456Z',
  stream: '01KAH3M8ZK4T9V2B6XN5R0WCEA',
  segment: 41,
};
const KEY =
  'v1/segments/cluster=prod/namespace=tools/server=github/date=2026-11-21/20261121T084000Z-01KAH3M8ZK4T9V2B6XN5R0WCEA-000000000041.jsonl.zst';

describe('the key of a segment', () => {
  it('says where, when, which stream and which segment', () => {
    expect(segmentKey(PLACE)).toBe(KEY);
    expect(segmentKey({ ...PLACE, copy: 2 })).toBe(KEY.replace('.jsonl', '.r2.jsonl'));
    expect(canaryKey()).toBe('v1/canary');
  });

  it('is read back as it was built', () => {
    const name = fc.stringMatching(/^[a-z0-9.-]{1,63}$/);
    fc.assert(
      fc.property(
        name,
        name,
        name,
        fc.nat(999_999_999_999),
        fc.nat(9),
        (cluster, namespace, server, segment, copy) => {
          const place = { ...PLACE, cluster, namespace, server, segment, copy };
          expect(parseSegmentKey(segmentKey(place))).toEqual({
            cluster,
            namespace,
            server,
            date: '2026-11-21',
            second: '20261121T084000Z',
            stream: PLACE.stream,
            segment,
            copy,
          });
        },
      ),
    );
  });

  it('is short enough to follow the longest prefix of a store', () => {
    const name = 'x'.repeat(63);
    const names = { cluster: name, namespace: name, server: name };
    expect(segmentKey({ ...PLACE, ...names, segment: 999_999_999_999, copy: 9 })).toHaveLength(
      LONGEST_KEY_BYTES,
    );
  });

  it('sorts by time, then stream, then segment', () => {
    const keys = [
      segmentKey({ ...PLACE, segment: 9 }),
      segmentKey({ ...PLACE, segment: 10 }),
      segmentKey({ ...PLACE, segment: 10, copy: 1 }),
      segmentKey({ ...PLACE, time: '2026-11-21T08:40:01.000000Z', segment: 2 }),
      segmentKey({ ...PLACE, time: '2026-11-22T00:00:00.000000Z', segment: 1 }),
    ];
    expect(keys.toSorted()).toEqual(keys);
  });

  it('is not built of what would lead elsewhere', () => {
    for (const [column, value] of [
      ['cluster', ''],
      ['namespace', 'a/b'],
      ['server', 'Upper'],
      ['server', 'x'.repeat(64)],
      ['time', '2026-11-21'],
      ['stream', '../../../etc'],
      ['segment', -1],
      ['segment', 1e12],
      ['copy', 10],
    ] as const) {
      expect(() => segmentKey({ ...PLACE, [column]: value }), `${column} ${value}`).toThrow(RangeError);
    }
    expect(isName('a_b')).toBe(false);
  });

  it.each([
    ['another date than its time', KEY.replace('date=2026-11-21', 'date=2026-11-22')],
    ['a date that is none', KEY.replaceAll('2026-11-21', '0000-00-00').replaceAll('20261121', '00000000')],
    [
      'a day that no month has',
      KEY.replaceAll('2026-11-21', '2026-02-30').replaceAll('20261121', '20260230'),
    ],
    ['a second that is none', KEY.replace('T084000Z', 'T084060Z')],
    ['an hour that is none', KEY.replace('T084000Z', 'T240000Z')],
    ['a copy numbered 0', KEY.replace('.jsonl', '.r0.jsonl')],
    ['a short number', KEY.replace('000000000041', '41')],
    ['something after it', `${KEY}.tmp`],
    ['another version', KEY.replace('v1/', 'v2/')],
    ['something before it', `audit/${KEY}`],
    ['the way to it twice', `v1/segments/backup/${KEY}`],
    ['a missing partition', KEY.replace('cluster=prod/', '')],
  ])('is none with %s', (_, key) => {
    expect(parseSegmentKey(key)).toBeNull();
  });
});
