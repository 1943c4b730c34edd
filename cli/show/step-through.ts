/**
 * Owns the step-through on a terminal: keys in, screens out.
 * Invariant: the terminal is left as it was found, however the command ends; nothing but whole frames is written while it lasts.
 */
import type { Reading } from '../audit/reading-log.ts';
import { CommandFailure } from '../failure.ts';
import { printableLine } from '../printable.ts';
import type { Entries } from './step-entries.ts';
import type { FrameLine } from './step-frame.ts';
import { createStepModel, type StepModel } from './step-model.ts';
import type { Key } from './step-state.ts';

/** @throws CommandFailure when there is no terminal to step through in; to be asked before anything is read */
export function needsTerminal(): void {
  if (process.stdin.isTTY && process.stdout.isTTY) return;
  throw new CommandFailure('show -i needs a terminal for its keys and its screen; without -i it prints.');
}

/** Steps through the entries until the person quits. */
export async function stepThrough(entries: Entries, reading: Reading): Promise<void> {
  const { render } = await import('ink');
  const { createElement } = await import('react');
  const App = await createApp();
  const held = holdErrors();
  const model = createStepModel({
    entries,
    notice: held.notice,
    onOpen: ({ exchange }) => reading.saw({ session: null, exchange: exchange?.exchange ?? null }),
  });
  try {
    const app = render(createElement(App, { model }), {
      alternateScreen: true,
      interactive: true,
      exitOnCtrlC: true,
      patchConsole: false,
    });
    void model.ended.then(() => app.unmount());
    await app.waitUntilExit();
  } finally {
    model.close();
    held.release();
  }
}

/** Made only when it is needed, as React is. */
async function createApp() {
  const { Box, Text, useInput, useWindowSize } = await import('ink');
  const { createElement, useSyncExternalStore } = await import('react');
  const hasColours = process.stdout.hasColors();
  const look = (of: FrameLine['look']) => {
    if (!hasColours) return {};
    return {
      plain: {},
      title: { bold: true },
      selected: { inverse: true },
      status: { dimColor: true },
      bad: { color: 'red' },
    }[of];
  };
  return function App({ model }: { model: StepModel }) {
    const { columns, rows } = useWindowSize();
    useSyncExternalStore(model.subscribe, model.version);
    useInput((input, key) => model.press(keysOf(input, key), { columns, rows }));
    const lines = model.frame({ columns, rows });
    return createElement(
      Box,
      { flexDirection: 'column', width: columns, height: rows, overflow: 'hidden' },
      ...lines.map((line, n) =>
        createElement(
          Text,
          { key: n, wrap: 'truncate', ...look(line.look) },
          printableLine(line.text) || ' ',
        ),
      ),
    );
  };
}

interface PressedKey {
  upArrow: boolean;
  downArrow: boolean;
  leftArrow: boolean;
  rightArrow: boolean;
  pageUp: boolean;
  pageDown: boolean;
  home: boolean;
  end: boolean;
  return: boolean;
  escape: boolean;
  backspace: boolean;
  delete: boolean;
  ctrl: boolean;
  meta: boolean;
}

/** What was pressed; several characters when they came at once. */
function keysOf(input: string, key: PressedKey): Key[] {
  if (key.upArrow) return ['up'];
  if (key.downArrow) return ['down'];
  if (key.leftArrow) return ['left'];
  if (key.rightArrow) return ['right'];
  if (key.pageUp) return ['page-up'];
  if (key.pageDown) return ['page-down'];
  if (key.home) return ['home'];
  if (key.end) return ['end'];
  if (key.return) return ['enter'];
  if (key.escape) return ['escape'];
  if (key.backspace || key.delete) return ['backspace'];
  if (key.ctrl || key.meta) return [];
  return [...input].map(
    (character): Key => (character === '\r' || character === '\n' ? 'enter' : { character }),
  );
}

/** What is written to standard error meanwhile would tear the screen: it is told when the screen is gone. */
function holdErrors(): { notice(): string; release(): void } {
  if (!process.stderr.isTTY) return { notice: () => '', release() {} };
  const held: string[] = [];
  const { write } = process.stderr;
  process.stderr.write = (text: string | Uint8Array): boolean => {
    held.push(String(text));
    return true;
  };
  return {
    notice: () => (held.length === 0 ? '' : 'not all could be read: told at the end'),
    release() {
      process.stderr.write = write;
      for (const text of held) process.stderr.write(text);
    },
  };
}
