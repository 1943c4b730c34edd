/**
 * Owns what the keys of the step-through do.
 * Invariant: a function of what was and the key; where one stands is always within what is there.
 */

/** A key by name, or the character that was typed. */
export type Key =
  | 'up'
  | 'down'
  | 'left'
  | 'right'
  | 'page-up'
  | 'page-down'
  | 'home'
  | 'end'
  | 'enter'
  | 'escape'
  | 'backspace'
  | { character: string };

export interface StepState {
  showing: 'list' | 'body' | 'help';
  /** Of the entries that are listed, from 0. */
  at: number;
  /** First line of the body that is seen. */
  scroll: number;
  /** What is being typed. */
  typing: { what: 'jump' | 'filter'; text: string } | null;
  /** Empty: all are listed. */
  filter: string;
  quit: boolean;
}

/** What there is to move in. */
export interface Extent {
  entries: number;
  bodyLines: number;
  /** Lines of the list, or of the body, that are seen at once. */
  page: number;
}

export const AT_FIRST: StepState = {
  showing: 'list',
  at: 0,
  scroll: 0,
  typing: null,
  filter: '',
  quit: false,
};

const MOST_TYPED = 200;

/** What is after the key. */
export function afterKey(state: StepState, key: Key, extent: Extent): StepState {
  if (state.typing !== null) return afterTyping(state, state.typing, key, extent);
  const command = typeof key === 'string' ? key : key.character;
  if (command === 'q') return { ...state, quit: true };
  if (state.showing === 'help') return { ...state, showing: 'list' };
  switch (command) {
    case '?':
      return { ...state, showing: 'help' };
    case 'n':
      return moved(state, state.at + 1, extent);
    case 'p':
      return moved(state, state.at - 1, extent);
    case 'g':
      return { ...state, typing: { what: 'jump', text: '' } };
    case '/':
      return { ...state, typing: { what: 'filter', text: state.filter } };
    default:
      return state.showing === 'body' ? inBody(state, command, extent) : inList(state, command, extent);
  }
}

/** The same with as many entries as there are now. */
export function within(state: StepState, entries: number): StepState {
  const at = clamp(state.at, entries - 1);
  return at === state.at ? state : { ...state, at, scroll: 0 };
}

function inList(state: StepState, command: string, extent: Extent): StepState {
  switch (command) {
    case 'down':
    case 'j':
      return moved(state, state.at + 1, extent);
    case 'up':
    case 'k':
      return moved(state, state.at - 1, extent);
    case 'page-down':
    case ' ':
      return moved(state, state.at + extent.page, extent);
    case 'page-up':
      return moved(state, state.at - extent.page, extent);
    case 'home':
      return moved(state, 0, extent);
    case 'end':
    case 'G':
      return moved(state, extent.entries - 1, extent);
    case 'enter':
    case 'right':
      return extent.entries === 0 ? state : { ...state, showing: 'body', scroll: 0 };
    case 'escape':
      return { ...state, filter: '' };
    default:
      return state;
  }
}

function inBody(state: StepState, command: string, { bodyLines, page }: Extent): StepState {
  const scrolled = (scroll: number): StepState => ({ ...state, scroll: clamp(scroll, bodyLines - page) });
  switch (command) {
    case 'down':
    case 'j':
      return scrolled(state.scroll + 1);
    case 'up':
    case 'k':
      return scrolled(state.scroll - 1);
    case 'page-down':
    case ' ':
      return scrolled(state.scroll + page);
    case 'page-up':
      return scrolled(state.scroll - page);
    case 'home':
      return scrolled(0);
    case 'end':
    case 'G':
      return scrolled(bodyLines);
    case 'escape':
    case 'left':
    case 'enter':
    case 'b':
      return { ...state, showing: 'list' };
    default:
      return state;
  }
}

function afterTyping(
  state: StepState,
  { what, text }: NonNullable<StepState['typing']>,
  key: Key,
  extent: Extent,
): StepState {
  if (key === 'escape') return { ...state, typing: null };
  if (key === 'backspace') {
    return { ...state, typing: text === '' ? null : { what, text: [...text].slice(0, -1).join('') } };
  }
  if (key === 'enter') {
    const done = { ...state, typing: null };
    if (what === 'filter')
      return text === state.filter ? done : { ...done, filter: text, showing: 'list', at: 0, scroll: 0 };
    return text === '' ? done : moved(done, Number(text) - 1, extent);
  }
  if (typeof key === 'string' || text.length >= MOST_TYPED) return state;
  if (what === 'jump' && !/^\d$/.test(key.character)) return state;
  return { ...state, typing: { what, text: text + key.character } };
}

function moved(state: StepState, at: number, { entries }: Extent): StepState {
  return { ...state, at: clamp(at, entries - 1), scroll: 0 };
}

function clamp(value: number, most: number): number {
  return Math.max(0, Math.min(value, most));
}
