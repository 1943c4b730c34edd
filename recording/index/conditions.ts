/**
 * Owns how a filter becomes conditions of SQL: sets of names that are found first, and what rows must be in them.
 * Invariant: what a person typed is only ever a value of a statement, never a part of it.
 */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { parseMicros } from '../format/time.ts';
import type { Filter } from './filter.ts';
import { queryOfText } from './text.ts';

/** Conditions that all must hold, with their values by name. */
export interface Conditions {
  sql: string[];
  values: Record<string, SQLInputValue>;
}

/** `*` as any run of characters, and nothing else as a pattern. */
export function globOf(pattern: string): string {
  return pattern.replaceAll(/[[?]/g, (character) => `[${character}]`);
}

/** Any of the patterns, for an expression of SQL. */
function anyOf(expression: string, patterns: readonly string[], values: Conditions['values']): string {
  const each = patterns.map((pattern) => {
    const name = `v${Object.keys(values).length}`;
    values[name] = pattern.includes('*') ? globOf(pattern) : pattern;
    return `${expression} ${pattern.includes('*') ? 'GLOB' : '='} :${name}`;
  });
  return `(${each.join(' OR ')})`;
}

/** The names that a filter asks for, as tables of their ids; null: it asks for none of that kind. */
export interface Wanted {
  principals: boolean;
  sessions: boolean;
  places: boolean;
  text: boolean;
}

/**
 * Finds the ids of what a filter names, into the temporary tables `wanted_principals`, `wanted_sessions`, `wanted_places`, `wanted_exchanges`.
 * @throws NoWords when the filter's text has no word in it
 */
export function findWanted(database: DatabaseSync, filter: Filter): Wanted {
  const { users, groups, sessions, servers, namespaces, text } = filter;
  const fill = (table: string, select: string, values: Conditions['values']): true => {
    database.exec(
      `CREATE TEMP TABLE IF NOT EXISTS ${table} (id INTEGER PRIMARY KEY); DELETE FROM temp.${table}`,
    );
    database.prepare(`INSERT OR IGNORE INTO temp.${table} ${select}`).run(values);
    return true;
  };
  const wanted: Wanted = { principals: false, sessions: false, places: false, text: false };
  if (users.length > 0 || groups.length > 0) {
    const values: Conditions['values'] = {};
    const all: string[] = [];
    if (users.length > 0) {
      all.push(
        `(${['name', 'subject', 'client_id'].map((name) => anyOf(name, users, values)).join(' OR ')})`,
      );
    }
    if (groups.length > 0) {
      all.push(
        `EXISTS (SELECT 1 FROM json_each(principals.json, '$.groups') AS g WHERE ${anyOf('g.value', groups, values)})`,
      );
    }
    const select = `SELECT id FROM principals WHERE ${all.join(' AND ')}`;
    wanted.principals = fill('wanted_principals', select, values);
  }
  if (sessions.length > 0) {
    const values: Conditions['values'] = {};
    // An id or how it begins.
    const starts = sessions.map((session) => (session.endsWith('*') ? session : `${session}*`));
    const select = `SELECT id FROM sessions WHERE ${anyOf('name', starts, values)}`;
    wanted.sessions = fill('wanted_sessions', select, values);
  }
  if (servers.length > 0 || namespaces.length > 0) {
    const values: Conditions['values'] = {};
    const all: string[] = [];
    if (servers.length > 0) all.push(anyOf('server', servers, values));
    if (namespaces.length > 0) all.push(anyOf('namespace', namespaces, values));
    const select = `SELECT id FROM places WHERE ${all.join(' AND ')}`;
    wanted.places = fill('wanted_places', select, values);
  }
  if (text !== null) {
    const select = `SELECT DISTINCT exchange FROM bodies WHERE id IN (SELECT rowid FROM words WHERE words MATCH :query)`;
    wanted.text = fill('wanted_exchanges', select, { query: queryOfText(text) });
  }
  return wanted;
}

/** @param column of the row's time */
export function timeConditions({ between }: Pick<Filter, 'between'>, column: string): Conditions {
  const { since, until } = between;
  const conditions: Conditions = { sql: [], values: {} };
  if (since !== null) {
    conditions.sql.push(`${column} >= :since`);
    conditions.values['since'] = parseMicros(since);
  }
  if (until !== null) {
    conditions.sql.push(`${column} < :until`);
    conditions.values['until'] = parseMicros(until);
  }
  return conditions;
}

/** Method and tool of a call or a result. */
export function addNames(
  conditions: Conditions,
  { methods, tools }: Filter,
  columns: { method: string; target: string },
): void {
  if (methods.length > 0) conditions.sql.push(anyOf(columns.method, methods, conditions.values));
  if (tools.length === 0) return;
  conditions.sql.push(`${columns.method} = 'tools/call'`);
  conditions.sql.push(anyOf(columns.target, tools, conditions.values));
}

export function addOutcomes(conditions: Conditions, { outcomes }: Filter, expression: string): void {
  if (outcomes.length > 0) conditions.sql.push(anyOf(expression, outcomes, conditions.values));
}
