/**
 * Owns what is made of lines as they come: one line when a call is known, one when its result comes, and one for what was refused or missed.
 * Invariants: every word from the recording is made printable; what is held is bounded: of running exchanges who asked, in which session.
 */
import type { Call, Line, Principal, Session } from '@mcp-recorder/recording/format/line';
import type { Place } from '@mcp-recorder/recording/index/row';
import { describeOutcome, describePrincipal, describeTarget } from '../exchange-text.ts';
import { printableLine } from '../printable.ts';
import { formatDuration } from '../table.ts';
import { type Facts, factsOfCall, factsOfResult, type TailFilter } from './tail-filter.ts';

/** One line of output. */
export interface Shown {
  text: string;
  /** The published shape (docs/cli.md). */
  json: object;
  session: string | null;
  exchange: string | null;
}

export interface OperationView {
  /** What is shown of a line. @param only false: the line counts, and nothing is shown of it */
  take(place: Place, line: Line, shows: boolean): Shown[];
}

interface Asked {
  principal: Principal;
  session: Session | null;
}

/** Running exchanges that are known; of more the oldest is forgotten, and its later calls have no user. */
const MAX_RUNNING = 20_000;

export function createOperationView(filter: TailFilter): OperationView {
  const running = new Map<string, Asked>();

  function note(line: Line): void {
    if (!('exchange' in line) || line.exchange === null) return;
    if (line.type === 'end') return void running.delete(line.exchange);
    if (line.type === 'request') {
      running.set(line.exchange, { principal: line.principal, session: line.session ?? null });
      const [oldest] = running.keys();
      if (running.size > MAX_RUNNING && oldest !== undefined) running.delete(oldest);
      return;
    }
    const asked = running.get(line.exchange);
    // Of an answer that opens the session, it is known only now.
    if (asked !== undefined && line.session?.how === 'mcp-session-id') asked.session = line.session;
  }

  return {
    take(place, line, shows) {
      const asked =
        'exchange' in line && line.exchange !== null ? (running.get(line.exchange) ?? null) : null;
      note(line);
      if (!shows || !filter.wantsPlace(place)) return [];
      switch (line.type) {
        case 'result': {
          const facts = factsOfResult(line);
          if (!filter.wants(facts)) return [];
          const what = `${describeOutcome(line)}, ${formatDuration(line.duration_us)}`;
          return [shownOf(place, line, facts, 'ended', what, line.call_exchange, line)];
        }
        case 'denied': {
          const { reason, principal, count, source } = line.denied;
          const facts: Facts = { principal, session: null, method: null, target: null, outcome: 'denied' };
          if (!filter.wants(facts)) return [];
          const times = count === 1 ? '' : ` x${count}`;
          return [
            shownOf(place, line, facts, 'denied', `denied (${reason})${times} from ${source}`, null, null),
          ];
        }
        case 'gap': {
          const { cause, exchanges, exact } = line.gap;
          const text = `${textOf(line.time, '!', place)}  not recorded: ${exact ? '' : 'at least '}${exchanges} exchanges (${cause})`;
          const json = { v: 1, event: 'gap', ...headOf(place, line), gap: line.gap };
          return [{ text: printableLine(text), json, session: null, exchange: null }];
        }
        case 'request':
        case 'response':
        case 'event':
        case 'chunk': {
          const from =
            asked ?? (line.type === 'request' ? { principal: line.principal, session: null } : null);
          const session = line.session ?? from?.session ?? null;
          return (line.calls ?? []).flatMap((call) => {
            const facts = factsOfCall(call, from?.principal ?? null, session);
            return filter.wants(facts)
              ? [shownOf(place, line, facts, 'started', kindOf(call), line.exchange, call)]
              : [];
          });
        }
        default:
          return [];
      }
    },
  };
}

function kindOf({ kind, sender, decision }: Call): string {
  const by = decision.action === 'allow' ? '' : ` ${decision.action} by ${decision.rule}`;
  const from = sender === 'server' ? ' from the server' : '';
  return `${kind === 'notification' ? 'notification' : ''}${from}${by}`.trim();
}

const MARKS = { started: '>', ended: '<', denied: 'x' } as const;

function shownOf(
  place: Place,
  line: Line,
  facts: Facts,
  event: keyof typeof MARKS,
  detail: string,
  exchange: string | null,
  of: Call | Extract<Line, { type: 'result' }> | null,
): Shown {
  const { principal, session, method, target, outcome } = facts;
  const who = principal === null ? 'unknown' : describePrincipal(principal);
  const what = event === 'denied' ? '' : `  ${describeTarget(method, target)}`;
  const at = session === null ? '' : `  [${session.id.slice(0, 10)}]`;
  const text = `${textOf(line.time, MARKS[event], place)}  ${who}${what}${detail === '' ? '' : `  ${detail}`}${at}`;
  const isResult = of !== null && 'outcome' in of;
  const json = {
    v: 1,
    event,
    ...headOf(place, line),
    operation: of?.operation ?? null,
    exchange,
    principal,
    session,
    kind: event === 'denied' ? 'denied' : of !== null && 'kind' in of ? of.kind : 'request',
    sender: of?.sender ?? null,
    rpc_id: of?.rpc_id ?? null,
    method,
    target,
    decision: of !== null && 'decision' in of ? of.decision : null,
    outcome,
    cause: isResult ? of.cause : null,
    error_code: isResult ? of.error_code : null,
    duration_us: isResult ? of.duration_us : null,
    denied: line.type === 'denied' ? line.denied : null,
  };
  return { text: printableLine(text), json, session: session?.id ?? null, exchange };
}

function headOf({ cluster, namespace, server }: Place, { stream, seq, time }: Line): object {
  return { stream, seq, cluster, namespace, server, time };
}

/** `08:40:03.000 >  github`. */
function textOf(time: string, mark: string, { server }: Place): string {
  return `${time.slice(0, 10)} ${time.slice(11, 23)} ${mark} ${server}`;
}
