/**
 * Owns the columns of rows in tables: CSV and Parquet have the same ones.
 * Invariant: a column keeps its name and type; names are those of the search contract, with what is nested joined by `_`.
 */
import type { Row } from '@mcp-recorder/recording/index/row';
import { rowJson } from '../row-json.ts';

export type ColumnType = 'text' | 'integer' | 'number' | 'time';

export interface TableColumn {
  name: string;
  type: ColumnType;
  value(row: ReturnType<typeof rowJson>): string | number | null;
}

const column = (name: string, type: ColumnType, value: TableColumn['value']): TableColumn => ({
  name,
  type,
  value,
});

export const COLUMNS: readonly TableColumn[] = [
  column('time', 'time', ({ time }) => time),
  column('kind', 'text', ({ kind }) => kind),
  column('cluster', 'text', ({ cluster }) => cluster),
  column('namespace', 'text', ({ namespace }) => namespace),
  column('server', 'text', ({ server }) => server),
  column('principal_how', 'text', ({ principal }) => principal?.how ?? null),
  column('principal_issuer', 'text', ({ principal }) => principal?.issuer ?? null),
  column('principal_subject', 'text', ({ principal }) => principal?.subject ?? null),
  column('principal_name', 'text', ({ principal }) => principal?.name ?? null),
  column('principal_client_id', 'text', ({ principal }) => principal?.client_id ?? null),
  column('principal_groups', 'text', ({ principal }) =>
    principal === null ? null : JSON.stringify(principal.groups),
  ),
  column('session_id', 'text', ({ session }) => session?.id ?? null),
  column('session_how', 'text', ({ session }) => session?.how ?? null),
  column('exchange', 'text', ({ exchange }) => exchange),
  column('operation', 'text', ({ operation }) => operation),
  column('sender', 'text', ({ sender }) => sender),
  column('rpc_id', 'text', ({ rpc_id }) => rpc_id),
  column('method', 'text', ({ method }) => method),
  column('target', 'text', ({ target }) => target),
  column('decision_action', 'text', ({ decision }) => decision?.action ?? null),
  column('decision_rule', 'text', ({ decision }) => decision?.rule ?? null),
  column('continues', 'text', ({ continues }) => continues),
  column('outcome', 'text', ({ outcome }) => outcome),
  column('cause', 'text', ({ cause }) => cause),
  column('error_code', 'number', ({ error_code }) => error_code),
  column('duration_us', 'integer', ({ duration_us }) => duration_us),
  column('result_time', 'time', ({ result_time }) => result_time),
  column('result_exchange', 'text', ({ result_exchange }) => result_exchange),
  column('http_method', 'text', ({ http }) => http?.method ?? null),
  column('http_target', 'text', ({ http }) => http?.target ?? null),
  column('http_status', 'integer', ({ http }) => http?.status ?? null),
  column('client_address', 'text', ({ http }) => http?.client_address ?? null),
  column('denied_count', 'integer', ({ denied }) => denied?.count ?? null),
  column('denied_source', 'text', ({ denied }) => denied?.source ?? null),
  column('stream', 'text', ({ stream }) => stream),
  column('seq', 'integer', ({ seq }) => seq),
];

/** The cells of a row, in the order of the columns. */
export function cellsOf(row: Row): (string | number | null)[] {
  const json = rowJson(row);
  return COLUMNS.map(({ value }) => value(json));
}
