/**
 * Owns `mcp-recorder sessions`: who worked with which server, when, and with which tools.
 */
import { listSessions, type SessionSummary } from '@mcp-recorder/recording/read/session-list';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { Command } from 'commander';
import type { Reading } from './audit/reading-log.ts';
import { describePrincipal, formatTime } from './exchange-text.ts';
import { createProgress, watchReads } from './progress.ts';
import { addReadingOptions, addStoreArgument, type ReadingFlags, withStore } from './store-argument.ts';
import { type Column, renderTable, timeColumn } from './table.ts';
import { addTimeOptions, inThatTime, readTimeOptions, type TimeOptions } from './time-options.ts';
import { reportUnreadable } from './unreadable.ts';

const MAX_TOOLS_SHOWN = 4;

interface SessionsOptions extends ReadingFlags, TimeOptions {
  json?: boolean;
}

export function sessionsCommand(): Command {
  const command = new Command('sessions')
    .summary('list who worked with which server and tools')
    .description(
      'Lists the sessions of a recording: who, with which server, when, and which tools were called.',
    );
  addStoreArgument(command).option('--json', 'print the sessions as JSON');
  addTimeOptions(command, 'only sessions with something in this time');
  return addReadingOptions(command).action(
    async (argument: string, { json = false, since, until, ...flags }: SessionsOptions) => {
      const between = readTimeOptions({ since, until });
      const progress = createProgress();
      const asked = { command: 'sessions', asked: { since, until } };
      const list = async (store: ObjectStore, reading: Reading): Promise<void> => {
        const watched = watchReads(store, progress);
        const sessions = await listSessions(watched, { onUnreadable: reportUnreadable, between }).finally(
          progress.done,
        );
        const text = json
          ? JSON.stringify({ store: store.location, sessions: sessions.map(toJson) }, null, 2)
          : describeSessions(sessions, store.location + inThatTime(between)).join('\n');
        for (const { session } of sessions) reading.saw({ session: session?.id ?? null, exchange: null });
        process.stdout.write(`${text}\n`);
      };
      await withStore(argument, flags, list, { asked });
    },
  );
}

/** The published shape; its names are those of the recording's columns. */
function toJson(summary: SessionSummary): object {
  const { session, principal, client, cluster, namespace, server, first, last, exchanges, tools } = summary;
  return {
    session,
    principal,
    client_info: client,
    cluster,
    namespace,
    server,
    first_time: first,
    last_time: last,
    exchanges,
    open_exchanges: summary.openExchanges,
    tools,
    other_calls: summary.otherCalls,
  };
}

function describeSessions(sessions: readonly SessionSummary[], location: string): string[] {
  if (sessions.length === 0) return [`No session in ${location} yet.`];
  const rows = sessions.map((summary) => [
    formatTime(summary.first),
    formatTime(summary.last),
    describePrincipal(summary.principal),
    summary.client === null ? '-' : [summary.client.name, summary.client.version].filter(Boolean).join(' '),
    summary.server,
    String(summary.exchanges),
    describeTools(summary),
    summary.session === null ? '-' : `${summary.session.id.slice(0, 14)} (${summary.session.how})`,
  ]);
  return renderTable(COLUMNS, rows);
}

const COLUMNS: readonly (string | Column)[] = [
  timeColumn('FIRST'),
  { ...timeColumn('LAST'), spare: 3 },
  'WHO',
  { heading: 'CLIENT', spare: 1 },
  'SERVER',
  { heading: 'EXCHANGES', spare: 2 },
  'TOOLS',
  // Long enough for `search --session`.
  { heading: 'SESSION', least: 14 },
];

function describeTools({ tools, otherCalls }: SessionSummary): string {
  const shown = tools
    .slice(0, MAX_TOOLS_SHOWN)
    .map(({ name, calls }) => (calls === 1 ? name : `${name} x${calls}`));
  const more = tools.length > MAX_TOOLS_SHOWN || otherCalls > 0 ? ['...'] : [];
  return [...shown, ...more].join(', ') || '-';
}
