/**
 * Owns what the step-through shows: the lines of one screen.
 * Invariant: as many lines as the screen has and none wider than it, however small it is; every text in it is printable.
 */
import { printableLine, shorten, widthOf } from '../printable.ts';
import { wrapLine } from '../wrap.ts';
import type { Entry } from './step-entries.ts';
import type { Extent, StepState } from './step-state.ts';

export interface FrameLine {
  text: string;
  look: 'plain' | 'title' | 'selected' | 'status' | 'bad';
}

export interface Size {
  columns: number;
  rows: number;
}

export interface Shown {
  title: string;
  state: StepState;
  /** How many are listed, and each of them. */
  entries: number;
  entry(at: number): Entry | undefined;
  /** Number of the entry among all, from 1. */
  numberOf(at: number): number;
  /** Lines of the entry one stands on, broken to the width; null: it is being read. */
  body: readonly string[] | null;
  /** Something that is to be said: what is being read, or went wrong. */
  notice: string;
}

/** Below the list what is in the entry is seen too, when there is room for both. */
const ROWS_FOR_BOTH = 14;
const WIDTH_FOR_ALL = 70;
const WIDTH_FOR_OUTCOME = 44;

const HELP = [
  'n, p          next step, previous step (in the body too)',
  'j, k, arrows  down, up; PgUp, PgDn, Space: a page',
  'Home, End     first, last (G: last)',
  'g NUMBER      go to a step',
  '/             only steps with this in method, tool, who or outcome,',
  '              or with these words in a body; Esc: all again',
  'Enter         open the body; Esc, b, Enter: back',
  '?             this help',
  'q, Ctrl-C     quit',
];

/** Lines of the list, or of the body, that are seen at once. */
export function pageOf(state: StepState, { rows }: Size): number {
  const room = Math.max(1, rows - 2);
  if (state.showing !== 'list') return room;
  return rows < ROWS_FOR_BOTH ? room : Math.max(3, Math.floor(room * 0.4));
}

/** The body's lines, each broken to the width. */
export function fitBody(lines: readonly string[], columns: number): string[] {
  return lines.flatMap((line) => wrapLine(line, columns));
}

/** What the keys move in. */
export function extentOf({ state, entries, body }: Shown, size: Size): Extent {
  return { entries, bodyLines: body?.length ?? 0, page: pageOf(state, size) };
}

/** The whole screen. */
export function frameOf(shown: Shown, size: Size): FrameLine[] {
  const { state, title } = shown;
  const { columns, rows } = size;
  const status: FrameLine = { text: shorten(statusOf(shown, size), columns), look: 'status' };
  if (rows < 3) return [...(rows > 1 ? listOf(shown, columns, 1) : []), status].slice(-rows);
  const middle =
    state.showing === 'help'
      ? HELP.map(plain)
      : state.showing === 'body'
        ? (shown.body ?? ['Reading ...'])
            .slice(scrollOf(shown, size))
            .slice(0, rows - 2)
            .map(plain)
        : listAndBody(shown, size);
  const room = rows - 2;
  return [
    { text: title, look: 'title' } as const,
    ...middle.slice(0, room),
    ...Array.from({ length: Math.max(0, room - middle.length) }, () => plain('')),
    status,
  ].map(({ text, look }) => ({ text: shorten(text, columns), look }));
}

function listAndBody(shown: Shown, { columns, rows }: Size): FrameLine[] {
  const page = pageOf(shown.state, { columns, rows });
  const list = listOf(shown, columns, page);
  if (rows < ROWS_FOR_BOTH) return list;
  const room = rows - 2 - page - 1;
  const body = shown.body ?? (shown.entries === 0 ? [] : ['Reading ...']);
  const below = body.slice(0, room).map(plain);
  if (body.length > room) below[room - 1] = plain(`... ${body.length - room + 1} more lines: Enter`);
  const empty = Array.from({ length: page - list.length }, () => plain(''));
  return [...list, ...empty, plain('-'.repeat(columns)), ...below];
}

/** The part of the list around the entry one stands on. */
function listOf(shown: Shown, columns: number, page: number): FrameLine[] {
  const { state, entries } = shown;
  const first = Math.max(0, Math.min(state.at - Math.floor(page / 2), entries - page));
  const numberWidth = String(shown.numberOf(Math.max(0, entries - 1))).length;
  return Array.from({ length: Math.max(0, Math.min(page, entries - first)) }, (_, n): FrameLine => {
    const at = first + n;
    const entry = shown.entry(at);
    if (entry === undefined) return plain('');
    const isHere = at === state.at;
    const mark = `${isHere ? '>' : ' '} ${String(shown.numberOf(at)).padStart(numberWidth)} `;
    const text = mark + entryLine(entry, columns - mark.length);
    return { text, look: isHere ? 'selected' : isBad(entry) ? 'bad' : 'plain' };
  });
}

function entryLine({ time, what, who, outcome, took }: Entry, width: number): string {
  const clock = time.slice(11, width < WIDTH_FOR_OUTCOME ? 19 : 23);
  const left = width - clock.length - 1;
  if (width < WIDTH_FOR_OUTCOME) return `${clock} ${shorten(what, left)}`;
  const endWidth = Math.min(24, Math.floor(left / 3));
  const end = pad(shorten(outcome, endWidth), endWidth);
  if (width < WIDTH_FOR_ALL)
    return `${clock} ${pad(shorten(what, left - endWidth - 1), left - endWidth - 1)} ${end}`;
  const tookWidth = 9;
  const rest = left - endWidth - tookWidth - 3;
  const whoWidth = Math.floor(rest * 0.35);
  const whatWidth = rest - whoWidth;
  return [
    clock,
    pad(shorten(who, whoWidth), whoWidth),
    pad(shorten(what, whatWidth, 'end'), whatWidth),
    end,
    took,
  ].join(' ');
}

function isBad({ outcome, what }: Entry): boolean {
  return /^(error|tool_error|denied)/.test(outcome) || what.startsWith('not recorded');
}

function statusOf(shown: Shown, size: Size): string {
  const { state, entries, notice, body } = shown;
  if (state.typing !== null) {
    const { what, text } = state.typing;
    // Of a long text the end is seen, where one types.
    return shorten(`${what === 'jump' ? 'Go to step: ' : '/'}${printableLine(text)}_`, size.columns, 'end');
  }
  const where = entries === 0 ? 'no step' : `step ${state.at + 1}/${entries}`;
  const filter = state.filter === '' ? '' : `  /${printableLine(state.filter)}`;
  const page = pageOf(state, size);
  const total = body?.length ?? 0;
  const scroll = scrollOf(shown, size);
  const lines =
    state.showing === 'body'
      ? `  lines ${Math.min(scroll + 1, total)}-${Math.min(scroll + page, total)}/${total}`
      : '';
  const said = notice === '' ? '' : `  ${printableLine(notice)}`;
  const keys =
    state.showing === 'list'
      ? '  n/p  Enter open  / filter  g go to  ? help  q quit'
      : '  Esc back  n/p  q quit';
  return `${where}${filter}${lines}${said}${keys}`;
}

/** Of a body that fits a screen that has grown nothing is left above. */
function scrollOf({ state, body }: Shown, size: Size): number {
  return Math.max(0, Math.min(state.scroll, (body?.length ?? 0) - pageOf(state, size)));
}

function plain(text: string): FrameLine {
  return { text, look: 'plain' };
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}
