/**
 * Owns the transcript in Markdown.
 * Invariant: recorded text stands in code, with a fence longer than any in it, so that nothing in it is read as Markdown, link or HTML.
 */
import { parseMicros } from '@mcp-recorder/recording/format/time';
import type { ExchangeView } from '@mcp-recorder/recording/read/exchange-view';
import {
  describeBodies,
  describeChanges,
  describePrincipal,
  describeStep,
  formatTime,
  UNCUT,
} from '../exchange-text.ts';
import { printableLine } from '../printable.ts';
import { formatDuration } from '../table.ts';
import { describeGap } from './gap-text.ts';
import type { About, Selection } from '../selection.ts';

export async function* exportMarkdown({ about, exchanges }: Selection): AsyncIterable<string> {
  yield headOf(about);
  let before: string | null = null;
  let count = 0;
  for await (const { view } of exchanges()) {
    count += 1;
    yield exchangeOf(view, before);
    before = view.time;
  }
  yield `\n---\n\n${count === 1 ? '1 exchange' : `${count} exchanges`}.\n`;
}

function headOf({ store, asked, made, gaps }: About): string {
  const lines = [
    '# Transcript',
    '',
    `- Recording: ${code(store)}`,
    `- Asked for: ${code(JSON.stringify(asked))}`,
    `- Made: ${made}`,
    ...gaps.map((gap) => `- **Not recorded:** ${code(describeGap(gap))}`),
  ];
  return `${lines.join('\n')}\n`;
}

function exchangeOf(view: ExchangeView, before: string | null): string {
  const { exchange, time, principal, session, protocol, client, place, http, ended } = view;
  const waited =
    before === null
      ? ''
      : `, ${formatDuration(Math.max(0, parseMicros(time) - parseMicros(before)))} after the one before`;
  const took = ended === null ? 'not ended' : `took ${formatDuration(ended.duration_us)}, ${ended.how}`;
  const lines = [
    '',
    `## ${formatTime(time)}`,
    '',
    `- Exchange: ${code(exchange)}, ${took}${waited}`,
    `- Who: ${principal === null ? 'the request is not in the recording' : code(describePrincipal(principal))}`,
    `- Server: ${code(`${place.cluster}/${place.namespace}/${place.server}`)}`,
    `- Session: ${session === null ? 'none' : code(session.id)}${protocol === null ? '' : `, protocol ${code(protocol)}`}`,
    ...(client === null ? [] : [`- Client: ${code(`${client.name} ${client.version ?? ''}`.trim())}`]),
    `- HTTP: ${code(`${http.method ?? '?'} ${http.target ?? '?'} -> ${http.status ?? 'no answer'}`)}`,
    ...describeChanges(view).map((change) => `- Note: ${code(change)}`),
  ];
  for (const step of view.steps) lines.push('', fenced(describeStep(step, view, UNCUT)));
  if (view.steps.length === 0) lines.push('', fenced(describeBodies(view, UNCUT)));
  return `${lines.join('\n')}\n`;
}

/** Text as code within a line. */
function code(text: string): string {
  const line = printableLine(text);
  const ticks = '`'.repeat(longestRun(line) + 1);
  // A backtick at the edge would become part of the fence.
  const space = line.startsWith('`') || line.endsWith('`') ? ' ' : '';
  return `${ticks}${space}${line === '' ? ' ' : line}${space}${ticks}`;
}

function fenced(lines: readonly string[]): string {
  const text = lines.join('\n');
  const fence = '`'.repeat(Math.max(3, longestRun(text) + 1));
  return `${fence}text\n${text}\n${fence}`;
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
}
