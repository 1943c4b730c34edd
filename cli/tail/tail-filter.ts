/**
 * Owns which of what comes is wanted, asked of a row whose end may not be known yet.
 * Invariant: each part means what it means in a search (recording/index/filter.ts); what is not known yet does not match.
 */
import type { Outcome } from '@mcp-recorder/recording/format/line';
import type { Filter } from '@mcp-recorder/recording/index/filter';
import type { Place, Row } from '@mcp-recorder/recording/index/row';

/** A row, of which the outcome may be open. */
export type OpenRow = Pick<Row, 'principal' | 'session' | 'call' | 'result'> & { outcome: Outcome | null };

export interface TailFilter {
  wantsPlace(place: Place): boolean;
  wants(row: OpenRow): boolean;
}

export function createTailFilter(filter: Filter): TailFilter {
  const user = anyOf(filter.users);
  const group = anyOf(filter.groups);
  const tool = anyOf(filter.tools);
  const method = anyOf(filter.methods);
  const server = anyOf(filter.servers);
  const namespace = anyOf(filter.namespaces);
  const session = anyOf(filter.sessions.map((start) => `${start}*`));
  const outcome = anyOf(filter.outcomes);
  return {
    wantsPlace: (place) => server([place.server]) && namespace([place.namespace]),
    wants({ principal, session: of, call, result, outcome: came }) {
      const asked = call ?? result;
      return (
        user([principal?.name, principal?.subject, principal?.client_id]) &&
        group(principal?.groups ?? []) &&
        tool(asked?.method === 'tools/call' ? [asked.target] : []) &&
        method([asked?.method]) &&
        session([of?.id]) &&
        outcome([came])
      );
    },
  };
}

type Matches = (values: readonly (string | null | undefined)[]) => boolean;

/** Whether any value is one of the patterns; without patterns all are. */
function anyOf(patterns: readonly string[]): Matches {
  if (patterns.length === 0) return () => true;
  const all = patterns.map((pattern) => pattern.split('*'));
  return (values) => values.some((value) => value != null && all.some((parts) => isLike(value, parts)));
}

/** Whether the parts stand in the value in their order, the first at its start and the last at its end. */
function isLike(value: string, parts: readonly string[]): boolean {
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return value === first;
  const end = value.length - last.length;
  if (!value.startsWith(first) || end < first.length || !value.endsWith(last)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = value.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
