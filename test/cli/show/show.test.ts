import { readFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import type { LineDraft } from '@mcp-recorder/recording/format/line';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../command.ts';
import { CALL, EVENTS, exchangeOf, HOSTILE, type Recorded, recordIn } from '../recorded.ts';

const SESSION = `h:${'5d'.repeat(16)}`;
const OTHER = `h:5d${'77'.repeat(15)}`;
const DENIED = '01KAH3MF000G6R4Y1S8T2V5Z9C';
const PNG = Buffer.from('89504e470d0a1a0a', 'hex').toString('base64');

const inSession = (drafts: LineDraft[], id: string): LineDraft[] =>
  drafts.map((draft) => ('session' in draft ? { ...draft, session: { id, how: 'mcp-session-id' } } : draft));

/** What a policy, masking and a rule for tools leave of an exchange. */
const changed = exchangeOf({ exchange: DENIED, answer: 'x', outcome: 'denied' }).map((draft): LineDraft => {
  if (draft.type === 'request') {
    return {
      ...draft,
      body: null,
      body_encoding: null,
      withheld: { reason: 'metadata_only', bytes: 640 },
      calls: (draft.calls ?? []).map((call) => ({ ...call, decision: { action: 'deny', rule: 'no-echo' } })),
    };
  }
  if (draft.type !== 'response') return draft;
  return {
    ...draft,
    answered_by: 'recorder',
    masked: [{ rule: 'aws-key', count: 2 }],
    wire_masked: [{ rule: 'card', count: 1 }],
    hidden: [{ rule: 'readers', names: ['delete_repo'] }],
  };
});

let recorded: Recorded;
beforeAll(async () => {
  const gap: LineDraft = {
    type: 'gap',
    gap: {
      cause: 'spool_full',
      first_time: '2026-11-21T08:40:00.006000Z',
      last_time: '2026-11-21T08:40:00.007000Z',
      exchanges: 3,
      exact: true,
    },
  };
  const images = [
    { type: 'image', mimeType: 'image/png', data: PNG },
    { type: 'image', mimeType: '__proto__', data: PNG },
    { type: 'image', mimeType: '../../evil', data: PNG },
  ];
  recorded = await recordIn([
    [
      ...exchangeOf({ exchange: CALL, answer: 'first', params: { arguments: { text: 'hi' } } }),
      gap,
      ...exchangeOf({ exchange: HOSTILE, answer: { result: { content: images } } }),
    ],
    [...exchangeOf({ exchange: EVENTS, answer: 'in pieces', events: true }), ...inSession(changed, OTHER)],
  ]);
});
afterAll(() => recorded.remove());

const show = (...args: string[]) => run('show', recorded.directory, '--no-index', ...args);

describe('mcp-recorder show SESSION', () => {
  it('shows its exchanges in the order in which they began, with the time and the gaps between them', async () => {
    const { code, stdout } = await show(SESSION);
    expect(code).toBe(0);
    const at = [CALL, 'NOT RECORDED: Gap: 3 exchanges', HOSTILE, 'ms later', EVENTS].map((text) =>
      stdout.indexOf(text),
    );
    expect(at).not.toContain(-1);
    expect(at.filter((_, n) => n !== 3)).toEqual(at.filter((_, n) => n !== 3).toSorted((a, b) => a - b));
    expect(stdout.match(/NOT RECORDED/g)).toHaveLength(1);
    expect(stdout).not.toContain(DENIED);
    expect(stdout).toContain('answer  in pieces');
    expect(stdout).toContain('[image image/png, 12 characters of base64]');
  });

  it('takes how its id begins, and lists the sessions when there are several', async () => {
    expect((await show('h:5d5d')).stdout).toContain(CALL);
    expect(await show('h:5d')).toEqual({
      code: 1,
      stdout: `Several sessions begin with h:5d:\n${SESSION}\n${OTHER}\n`,
      stderr: '',
    });
    const { code, stdout } = await show('h:99');
    expect({ code, stdout }).toEqual({ code: 1, stdout: `No session h:99 in ${recorded.directory}.\n` });
  });

  it('refuses what is no id, and forms that exclude each other', async () => {
    for (const [args, message] of [
      [['nonsense'], '"nonsense" is no id'],
      [[CALL, '--raw', '--json'], 'Give one of -i, --raw, --json.'],
      [['--json'], '--json needs the id'],
      [[CALL, '--since', '2h'], '--since and --until go with --last, a session or the list'],
    ] as const) {
      const { code, stdout, stderr } = await show(...args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain(message);
    }
  });

  it('says what was denied, masked, hidden and withheld', async () => {
    const { stdout } = await show(DENIED);
    expect(stdout).toContain('deny by no-echo');
    expect(stdout).toContain('by the recorder');
    expect(stdout).toContain('masked in the record: aws-key x2');
    expect(stdout).toContain('masked in what passed: card');
    expect(stdout).toContain('hidden from the client by readers: delete_repo');
    expect(stdout).toContain('withheld: metadata_only, 640 bytes');
  });

  it('prints exactly the recorded lines with --raw', async () => {
    const lines = recorded.objects
      .flatMap((object) => zstdDecompressSync(readFileSync(object)).toString().split('\n'))
      .filter((line) => line.includes(`"exchange":"${EVENTS}"`));
    expect((await show(EVENTS, '--raw')).stdout).toBe(`${lines.join('\n')}\n`);
  });

  it('prints an exchange a line with --json', async () => {
    const { stdout } = await show(SESSION, '--json');
    const exchanges = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(exchanges.map(({ v, type, exchange }) => [v, type, exchange])).toEqual(
      [CALL, HOSTILE, EVENTS].map((exchange) => [1, 'exchange', exchange]),
    );
    expect(exchanges[0]).toMatchObject({
      complete: true,
      session: { id: SESSION },
      principal: { name: 'ada@example.com' },
      calls: [
        {
          call: { method: 'tools/call', target: 'echo' },
          result: { outcome: 'ok', duration_us: 52_180 },
          asked: { params: { arguments: { text: 'hi' } } },
          answer: { result: { content: [{ type: 'text', text: 'first' }] } },
        },
      ],
    });
  });

  it('saves images under names of its own, and overwrites none', async () => {
    const into = path.join(recorded.directory, 'saved');
    const first = await show(HOSTILE, '--save', into);
    expect(first.stderr).toContain(`${HOSTILE}.0-1.png (image/png).`);
    const files = [`${HOSTILE}.0-1.png`, `${HOSTILE}.0-2.bin`, `${HOSTILE}.0-3.bin`];
    expect((await fs.readdir(into)).toSorted()).toEqual(files);
    expect((await fs.readFile(path.join(into, files[0] ?? ''))).toString('base64')).toBe(PNG);
    await fs.writeFile(path.join(into, files[0] ?? ''), 'mine');
    const again = await show(HOSTILE, '--save', into);
    expect(again.stderr).toContain('is there already: left as it is');
    expect(await fs.readFile(path.join(into, files[0] ?? ''), 'utf8')).toBe('mine');
  });
});
