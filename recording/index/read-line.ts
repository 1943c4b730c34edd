/**
 * Owns how a recorded line is read for the index: fast, with only those columns checked that are remembered.
 * Invariant: a line that is none of version 1 is told apart from one of a newer version, and neither is taken for something else.
 */
import type { Line } from '../format/line.ts';
import { whyNewer } from '../format/newer-version.ts';
import { isTime } from '../format/time.ts';

export type ReadLine = { ok: true; line: Line } | { ok: false; why: string; isNewer: boolean };

type Check = (columns: Record<string, unknown>) => boolean;

const isText = (value: unknown): value is string => typeof value === 'string';
const isTextOrNull = (value: unknown): boolean => value === null || typeof value === 'string';
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isPrincipal = (value: unknown): boolean =>
  isObject(value) && isText(value['how']) && Array.isArray(value['groups']) && value['groups'].every(isText);
const isCall = (value: unknown): boolean =>
  isObject(value) &&
  isText(value['operation']) &&
  isText(value['method']) &&
  isTextOrNull(value['target']) &&
  isObject(value['decision']);

const isBody: Check = ({ body, calls }) =>
  isTextOrNull(body) && (calls === undefined || (Array.isArray(calls) && calls.every(isCall)));
const isPart: Check = ({ exchange, part }) => isText(exchange) && isCount(part);

const CHECKS: Record<Line['type'], Check> = {
  open: ({ open }) => isObject(open),
  request: (line) => isPart(line) && isPrincipal(line['principal']) && isObject(line['http']) && isBody(line),
  response: (line) => isPart(line) && isObject(line['http']) && isBody(line),
  event: (line) => isPart(line) && isBody(line),
  chunk: (line) => isPart(line) && isText(line['sender']) && isBody(line),
  end: (line) => isPart(line) && isObject(line['ended']),
  result: ({ exchange, operation, call_exchange, rpc_id, principal, method, target, outcome }) =>
    [exchange, operation, call_exchange, method, target].every(isTextOrNull) &&
    isText(rpc_id) &&
    isPrincipal(principal) &&
    isText(outcome),
  denied: ({ denied }) => isObject(denied) && isText(denied['reason']) && isCount(denied['count']),
  gap: ({ gap }) => isObject(gap) && isText(gap['cause']) && isCount(gap['exchanges']),
  config: ({ config }) => isObject(config),
  seal: ({ seal }) => isObject(seal),
};

const NO_LINE: ReadLine = { ok: false, why: 'is no line of version 1', isNewer: false };

/** The line in these bytes; why there is none, as the end of a sentence that begins with the line. */
export function readLine(bytes: Buffer): ReadLine {
  let columns: unknown;
  try {
    columns = JSON.parse(bytes.toString('utf8'));
  } catch {
    return { ok: false, why: 'is no JSON', isNewer: false };
  }
  if (!isObject(columns)) return NO_LINE;
  const { v, type, seq, time } = columns;
  const newer = whyNewer(columns);
  if (newer !== null) return { ok: false, why: newer, isNewer: true };
  const check = isText(type) && Object.hasOwn(CHECKS, type) ? CHECKS[type as Line['type']] : null;
  if (v !== 1 || !isCount(seq) || !isTime(time) || check === null || !check(columns)) {
    return NO_LINE;
  }
  return { ok: true, line: columns as unknown as Line };
}
