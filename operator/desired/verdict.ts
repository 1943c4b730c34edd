/**
 * Owns what a part of the decision says of one condition.
 * Invariant: the message has the cause and, where something is wrong, the remedy of its reason; equal worlds give equal words.
 */
import { REASONS, type Reason } from './reasons.ts';

export interface Verdict {
  status: 'True' | 'False' | 'Unknown';
  reason: Reason;
  message: string;
}

/** A message holds so many names; the rest is counted. */
const MAX_NAMES = 5;
/** Of words that come from elsewhere, characters. */
const MAX_QUOTED = 400;
/**
 * Of a cause, characters. A status that the API server refuses, because one of its messages is too long (32,768), leaves the one of before
 * standing; and how many pods and resources a cause has to name is their owner's choice.
 */
const MAX_CAUSE = 4_000;

/** @param cause whole sentences */
export function verdict(status: Verdict['status'], reason: Reason, cause: string): Verdict {
  const { remedy } = REASONS[reason];
  const told = cause.length > MAX_CAUSE ? `${cause.slice(0, MAX_CAUSE)}...` : cause;
  return { status, reason, message: remedy === '' ? told : `${told} ${remedy}` };
}

/** Names for a message, sorted and bounded: `a, b and 3 more`. */
export function listed(names: readonly string[]): string {
  const sorted = [...new Set(names)].sort();
  const shown = sorted.slice(0, MAX_NAMES).join(', ');
  return sorted.length > MAX_NAMES ? `${shown} and ${sorted.length - MAX_NAMES} more` : shown;
}

/** Words of another program for a message: one line, bounded, without the full stop. */
export function quoted(words: string): string {
  const line = words.replaceAll(/\s+/g, ' ').trim().replace(/\.$/, '');
  return line.length > MAX_QUOTED ? `${line.slice(0, MAX_QUOTED)}...` : line;
}

/** `1 pod`, `3 pods`. */
export function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
