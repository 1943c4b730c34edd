import { describe, expect, it } from 'vitest';
import { readTimeOptions } from '../../cli/time-options.ts';

const NOW_MS = Date.parse('2026-11-25T13:45:30.250Z');
const since = (text: string) => readTimeOptions({ since: text }, NOW_MS).since;
const until = (text: string) => readTimeOptions({ until: text }, NOW_MS).until;

describe('a time on the command line', () => {
  it.each([
    ['2026-11-21T08:40:00Z', '2026-11-21T08:40:00.000000Z'],
    ['2026-11-21T08:40:00.5+01:00', '2026-11-21T07:40:00.500000Z'],
    ['2026-11-21 08:40Z', '2026-11-21T08:40:00.000000Z'],
    ['2h', '2026-11-25T11:45:30.250000Z'],
    ['30m ago', '2026-11-25T13:15:30.250000Z'],
    ['7d', '2026-11-18T13:45:30.250000Z'],
    ['2w', '2026-11-11T13:45:30.250000Z'],
    ['90s', '2026-11-25T13:44:00.250000Z'],
  ])('%s is an instant for both', (text, time) => {
    expect([since(text), until(text)]).toEqual([time, time]);
  });

  it.each([
    ['2026-11-21', '2026-11-21T00:00:00.000000Z', '2026-11-22T00:00:00.000000Z'],
    ['today', '2026-11-25T00:00:00.000000Z', '2026-11-26T00:00:00.000000Z'],
    ['yesterday', '2026-11-24T00:00:00.000000Z', '2026-11-25T00:00:00.000000Z'],
  ])('%s is the whole day', (text, begin, end) => {
    expect(readTimeOptions({ since: text, until: text }, NOW_MS)).toEqual({ since: begin, until: end });
  });

  it.each([
    '',
    'tomorrow',
    '2026-02-30',
    '2026-13-01',
    '2026-02-30T00:00:00Z',
    '2026-11-21T08:40:00',
    '21.11.2026',
    '1.5h',
    '-2h',
    '2 h',
    '2026-11-21T25:00:00Z',
    '999999w',
  ])('%j is refused with what would be right', (text) => {
    expect(() => since(text)).toThrow(/^--since: found .*needs a time such as 2026-11-21T08:40:00Z/);
  });

  it('between two that leave nothing is refused', () => {
    expect(() => readTimeOptions({ since: '2h', until: '3h' }, NOW_MS)).toThrow('--until is not after');
  });

  it('that is not given is no bound', () => {
    expect(readTimeOptions({}, NOW_MS)).toEqual({ since: null, until: null });
  });
});
