/**
 * Owns `--since` and `--until`: how people write a time, and which one they mean.
 * Invariant: all times are UTC, as those that are shown; text that could mean two times is refused.
 */
import { formatMicros } from '@mcp-recorder/recording/format/time';
import type { TimeRange } from '@mcp-recorder/recording/read/time-range';
import type { Command } from 'commander';
import { CommandFailure } from './failure.ts';

export interface TimeOptions {
  since?: string | undefined;
  until?: string | undefined;
}

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;
const EXPECTED =
  'a time such as 2026-11-21T08:40:00Z, 2026-11-21 (UTC), today, yesterday, or 30m, 2h, 7d for so long ago';

/** @param what which things a time selects, for the help */
export function addTimeOptions(command: Command, what: string): Command {
  return command
    .option('--since <time>', `${what}; 2026-11-21T08:40:00Z, 2026-11-21, today, yesterday, 2h or 7d ago`)
    .option(
      '--until <time>',
      'the end of that time, written in the same way; of a date: the end of that day',
    );
}

/** @throws CommandFailure when a time can't be read, or none lies between the two */
export function readTimeOptions({ since, until }: TimeOptions, nowMs = Date.now()): TimeRange {
  const from = since === undefined ? null : read('--since', since, nowMs).beginMs;
  const to = until === undefined ? null : read('--until', until, nowMs).endMs;
  if (from !== null && to !== null && from >= to) {
    throw new CommandFailure('--until is not after --since: nothing lies between them.');
  }
  return {
    since: from === null ? null : formatMicros(from * 1_000),
    until: to === null ? null : formatMicros(to * 1_000),
  };
}

/** For the end of a message that says that nothing was found. */
export function inThatTime({ since, until }: TimeRange): string {
  return since === null && until === null ? '' : ' in that time';
}

function read(flag: string, text: string, nowMs: number): { beginMs: number; endMs: number } {
  const given = text.trim();
  const day = dayMs(given, nowMs);
  if (day !== null) return { beginMs: day, endMs: day + UNIT_MS.d };
  const ms = agoMs(given, nowMs) ?? instantMs(given);
  if (ms === null || !(ms >= 0 && ms <= 253_402_300_799_999)) {
    throw new CommandFailure(`${flag}: found ${JSON.stringify(text)}; needs ${EXPECTED}.`);
  }
  return { beginMs: ms, endMs: ms };
}

/** The beginning of the day that is meant, or null. */
function dayMs(text: string, nowMs: number): number | null {
  const today = nowMs - (nowMs % UNIT_MS.d);
  if (text === 'today') return today;
  if (text === 'yesterday') return today - UNIT_MS.d;
  return /^\d{4}-\d{2}-\d{2}$/.test(text) ? instantMs(`${text}T00:00:00Z`) : null;
}

function agoMs(text: string, nowMs: number): number | null {
  const match = /^(\d{1,6})([smhdw])(?: ago)?$/.exec(text);
  return match === null ? null : nowMs - Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS];
}

/** RFC 3339 with an offset, because one without would mean another time on every machine; seconds may be left out. */
function instantMs(text: string): number | null {
  const match =
    /^(\d{4}-\d{2}-(\d{2}))[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d{2}:\d{2})$/.exec(text);
  if (match === null) return null;
  // `Date` takes 30 February for 2 March.
  const day = new Date(`${match[1]}T00:00:00Z`);
  if (Number.isNaN(day.getTime()) || day.getUTCDate() !== Number(match[2])) return null;
  const ms = Date.parse(text.toUpperCase().replace(' ', 'T'));
  return Number.isNaN(ms) ? null : ms;
}
