/**
 * Owns what is made of lines as they come: one thing to show when a call is known, one when its result comes, one for what was refused or missed.
 * Invariants: every word from the recording is made printable; JSON is the published rows of row-json.ts, and rows `started` that have no end yet;
 * what is held is bounded: running exchanges and calls, without bodies.
 */
import type { Call, Line, Principal, ResultLine, Session } from '@mcp-recorder/recording/format/line';
import type { Place, Row, RowHead } from '@mcp-recorder/recording/index/row';
import { describeOutcome, describePrincipal, describeTarget } from '../exchange-text.ts';
import { printableLine } from '../printable.ts';
import { gapJson, rowJson } from '../row-json.ts';
import { formatDuration } from '../table.ts';
import type { TailFilter } from './tail-filter.ts';

/** One line of output. */
export interface Shown {
  text: string;
  json: object;
  session: string | null;
  exchange: string | null;
}

export interface OperationView {
  /** What is shown of a line. @param shows false: the line counts, and nothing is shown of it */
  take(place: Place, line: Line, shows: boolean): Shown[];
}

interface Asked {
  principal: Principal;
  session: Session | null;
  http: RowHead['http'];
}

/** A call, and where it came. */
interface Begun {
  call: Call;
  seq: number;
  time: string;
  http: RowHead['http'];
}

/** Of more the oldest is forgotten: later calls of its exchange have no user, its result has no call. */
const MAX_RUNNING = 20_000;

export function createOperationView(filter: TailFilter): OperationView {
  const exchanges = new Map<string, Asked>();
  const calls = new Map<string, Begun>();

  /** What is known of the exchange of a line, this line included. */
  function askedOf(line: Line): Asked | null {
    if (!('exchange' in line) || line.exchange === null) return null;
    if (line.type === 'request') {
      const { method, target, client_address } = line.http;
      const http = { method, target, status: null, client_address };
      keep(exchanges, line.exchange, { principal: line.principal, session: line.session ?? null, http });
    }
    const asked = exchanges.get(line.exchange) ?? null;
    // Of an answer that opens the session, it is known only now.
    if (asked !== null && 'session' in line && line.session?.how === 'mcp-session-id')
      asked.session = line.session;
    if (line.type === 'end') exchanges.delete(line.exchange);
    return asked;
  }

  function takeCall(head: RowHead, call: Call): Shown[] {
    const { seq, time, http } = head;
    const isNotification = call.kind === 'notification';
    const row: Row = isNotification
      ? { ...head, kind: 'notification', call, result: null, outcome: null }
      : { ...head, kind: 'request', call, result: null, outcome: 'unknown' };
    if (!isNotification) keep(calls, call.operation, { call, seq, time, http });
    if (!filter.wants({ ...row, outcome: null })) return [];
    const json = isNotification ? rowJson(row) : { ...rowJson(row), type: 'started', outcome: null };
    return [{ text: textOf(row, '>', time, detailOf(call)), json, ...namesOf(row) }];
  }

  function takeResult(head: RowHead, result: ResultLine): Shown[] {
    const begun = result.operation === null ? undefined : calls.get(result.operation);
    if (result.operation !== null) calls.delete(result.operation);
    const { seq, time, http = null } = begun ?? head;
    const { principal, cause, outcome, call_exchange: exchange } = result;
    const session = result.session ?? head.session;
    const call = begun?.call ?? null;
    const known = { ...head, seq, time, http, principal, cause, session, exchange };
    const row: Row = { ...known, kind: 'request', call, result, outcome };
    if (!filter.wants(row)) return [];
    const detail = `${describeOutcome(result)}, ${formatDuration(result.duration_us)}`;
    return [{ text: textOf(row, '<', result.time, detail), json: rowJson(row), ...namesOf(row) }];
  }

  return {
    take(place, line, shows) {
      const asked = askedOf(line);
      const { stream, seq, time } = line;
      const head: RowHead = {
        place,
        stream,
        seq,
        time,
        exchange: 'exchange' in line ? line.exchange : null,
        principal: asked?.principal ?? null,
        session: ('session' in line ? line.session : null) ?? asked?.session ?? null,
        cause: null,
        http: asked?.http ?? null,
      };
      if (!filter.wantsPlace(place)) return [];
      let shown: Shown[] = [];
      if (line.type === 'result') shown = takeResult(head, line);
      else if ('calls' in line) shown = (line.calls ?? []).flatMap((call) => takeCall(head, call));
      else if (line.type === 'denied') {
        const { denied } = line;
        const known = { ...head, principal: denied.principal, cause: denied.reason };
        const row: Row = { ...known, kind: 'denied', call: null, result: null, outcome: 'denied', denied };
        const times = denied.count === 1 ? '' : `${denied.count} times `;
        const text = textOf(row, 'x', time, `denied ${times}(${denied.reason}) from ${denied.source}`);
        if (filter.wants(row)) shown = [{ text, json: rowJson(row), session: null, exchange: null }];
      } else if (line.type === 'gap') {
        const { gap } = line;
        const many = `${gap.exact ? '' : 'at least '}${gap.exchanges} not recorded (${gap.cause})`;
        const text = printableLine(`${whenOf(time)} ! ${place.server}  ${many}`);
        shown = [{ text, json: gapJson({ place, stream, seq, time, gap }), session: null, exchange: null }];
      }
      return shows ? shown : [];
    },
  };
}

function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MAX_RUNNING && oldest !== undefined) map.delete(oldest);
}

function namesOf({ session, exchange }: Row): { session: string | null; exchange: string | null } {
  return { session: session?.id ?? null, exchange };
}

/** What of a call is not usual. */
function detailOf({ kind, sender, decision }: Call): string {
  const words = [kind === 'notification' ? kind : '', sender === 'server' ? 'from the server' : ''];
  if (decision.action !== 'allow') words.push(`${decision.action} by ${decision.rule}`);
  return words.filter(Boolean).join(' ');
}

/** `2026-11-21 08:40:03.000 > github  ada (oidc)  tools/call echo  ...  [h:5d41402a]`. */
function textOf(row: Row, mark: string, time: string, detail: string): string {
  const { place, principal, session, call, result } = row;
  const words = [`${whenOf(time)} ${mark} ${place.server}`];
  words.push(principal === null ? 'unknown' : describePrincipal(principal));
  if (row.kind !== 'denied')
    words.push(
      describeTarget(call?.method ?? result?.method ?? null, call?.target ?? result?.target ?? null),
    );
  words.push(detail, session === null ? '' : `[${session.id.slice(0, 10)}]`);
  return printableLine(words.filter(Boolean).join('  '));
}

function whenOf(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 23)}`;
}
