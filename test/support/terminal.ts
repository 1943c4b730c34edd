/**
 * Owns real pseudo-terminals for tests: a program in a tmux of its own, whose screen can be read and whose keys can be pressed.
 * Invariant: each terminal has its own tmux server on its own socket, which ends with it; nobody's own tmux is touched.
 */
import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './poll.ts';

const execute = promisify(execFile);

export interface TerminalOptions {
  columns: number;
  rows: number;
  /** Program and arguments; no shell reads them. */
  command: readonly string[];
  /** Added to this process's own environment. */
  env?: Record<string, string>;
}

export interface Cell {
  x: number;
  y: number;
}

export interface Terminal {
  /** The lines that are seen now, without the blanks at their ends. */
  screen(): Promise<string[]>;
  /** The same with what has scrolled away, and with lines that the terminal broke joined again. */
  everything(): Promise<string[]>;
  /** As `everything`, with the escape sequences of colours and styles. */
  styled(): Promise<string>;
  /** Where the cursor stands, from 0. */
  cursor(): Promise<Cell>;
  /** What the program has named its window. */
  title(): Promise<string>;
  /** Presses keys by tmux's names: `Enter`, `Down`, `C-c`, `q`. */
  press(...keys: string[]): Promise<void>;
  /** Types the text as it is. */
  type(text: string): Promise<void>;
  resize(columns: number, rows: number): Promise<void>;
  /** Waits until the screen, its lines joined with line feeds, matches; gives that screen. */
  waitFor(pattern: RegExp, withinMs?: number): Promise<string>;
  /** Waits for the program's end and gives its exit code as a shell does (130: SIGINT). */
  exitCode(withinMs?: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * Runs the program, writes its exit code into the file `$0`, and keeps the screen. A Ctrl-C is for the program alone. (tmux itself can't
 * be asked: now and then it never learns how a program ended.)
 */
const KEEP_SCREEN = `trap : INT; "$@"; echo $? > "$0"; exec sleep 1000000`;

/** The terminals that are open, so that a test file that dies leaves none behind. */
const sockets = new Set<string>();
process.once('exit', () => {
  for (const socket of sockets) spawnSync('tmux', ['-L', socket, 'kill-server']);
});

/** Starts the program in a terminal of this size. */
export async function openTerminal({ columns, rows, command, env }: TerminalOptions): Promise<Terminal> {
  const socket = `mcp-recorder-${randomUUID()}`;
  const tmux = async (...words: string[]): Promise<string> => {
    const { stdout } = await execute('tmux', ['-u', '-f', '/dev/null', '-L', socket, ...words], {
      env: { ...process.env, ...env },
      maxBuffer: 2 ** 26,
    });
    return stdout;
  };
  sockets.add(socket);
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-terminal-'));
  const codeFile = path.join(folder, 'exit-code');
  const settings = [
    ['status', 'off'],
    ['history-limit', '50000'],
    ['escape-time', '0'],
    ['default-terminal', env?.['TERM'] ?? 'screen-256color'],
  ].flatMap(([name = '', value = '']) => ['set-option', '-g', name, value, ';']);
  const size = ['-x', String(columns), '-y', String(rows)];
  const run = ['sh', '-c', KEEP_SCREEN, codeFile, ...command];
  await tmux('start-server', ';', ...settings, 'new-session', '-d', ...size, '--', ...run);
  const linesOf = (text: string): string[] =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.trimEnd());
  const screen = async (): Promise<string[]> => linesOf(await tmux('capture-pane', '-p'));
  const ask = async (format: string): Promise<string[]> =>
    (await tmux('display-message', '-p', format)).trim().split(' ');

  return {
    screen,
    everything: async () => linesOf(await tmux('capture-pane', '-p', '-J', '-S', '-')),
    styled: () => tmux('capture-pane', '-p', '-e', '-J', '-S', '-'),
    async cursor() {
      const [x, y] = await ask('#{cursor_x} #{cursor_y}');
      return { x: Number(x), y: Number(y) };
    },
    title: async () => (await ask('#{pane_title}')).join(' '),
    async press(...keys) {
      await tmux('send-keys', ...keys);
    },
    async type(text) {
      await tmux('send-keys', '-l', '--', text);
    },
    async resize(width, height) {
      await tmux('resize-window', '-x', String(width), '-y', String(height));
    },
    waitFor: (pattern, withinMs = 15_000) =>
      eventually(
        async () => {
          const shown = (await screen()).join('\n');
          if (!pattern.test(shown))
            throw new Error(`the screen does not match ${String(pattern)}:\n${shown}`);
          return shown;
        },
        { withinMs, everyMs: 30 },
      ),
    exitCode: (withinMs = 15_000) =>
      eventually(
        async () => {
          const code = await fs.readFile(codeFile, 'utf8').catch(() => '');
          if (!code.endsWith('\n')) throw new Error(`it still runs:\n${(await screen()).join('\n')}`);
          return Number(code);
        },
        { withinMs, everyMs: 30 },
      ),
    async close() {
      await tmux('kill-server').catch(() => {});
      sockets.delete(socket);
      await fs.rm(folder, { recursive: true, force: true });
    },
  };
}
