import fs from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from './command.ts';
import { CALL, EVENTS, exchangeOf, HOSTILE, type Recorded, recordIn, STREAM } from './recorded.ts';

let recorded: Recorded;

beforeAll(async () => {
  recorded = await recordIn([
    exchangeOf({ exchange: CALL, params: { arguments: { message: 'hello' } }, answer: 'Echo: hello' }),
    exchangeOf({
      exchange: HOSTILE,
      tool: 'x\u001b[2J',
      params: { arguments: { a: '\u202egpj\u009b1m' } },
      answer: '\u001b]0;owned\u0007done',
      outcome: 'tool_error',
    }),
    exchangeOf({
      exchange: EVENTS,
      answer: { error: { code: -32602, message: 'No such tool' } },
      outcome: 'error',
      events: true,
    }),
  ]);
});
afterAll(() => recorded.remove());

describe('mcp-recorder show', () => {
  it('tells who asked which tool for what, when, what came back and how long it took', async () => {
    const { code, stdout, stderr } = await run('show', recorded.directory, CALL);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toBe(`Exchange  ${CALL}
When      2026-11-21 08:40:00.001 UTC, took 59.9 ms
Who       ada@example.com (oidc, https://idp.example.com)
From      192.0.2.9, client inspector 2.12.0
Session   h:5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d (known by mcp-session-id), protocol 2025-11-25
HTTP      POST /mcp -> 200; complete, 103 bytes in, 84 bytes out, 84 to the client

tools/call echo  [request from the client] -> ok, 52.2 ms
  asked   {
            "message": "hello"
          }
  answer  Echo: hello
`);
  });

  it('reads answers and requests of the server from events, also those that came in pieces', async () => {
    const { stdout } = await run('show', recorded.directory, '--last');
    expect(stdout).toContain(`Exchange  ${EVENTS}`);
    expect(stdout).toContain('-> error -32602, 52.2 ms');
    expect(stdout).toContain('"message": "No such tool"');
    expect(stdout).toContain(
      'sampling/createMessage  [request from the server] -> no result in the recording',
    );
    expect(stdout).toContain('"maxTokens": 5');
  });

  it('lists the operations that ended last', async () => {
    const { code, stdout } = await run('show', recorded.directory);
    const [heading, ...rows] = stdout.trimEnd().split('\n');
    expect(code).toBe(0);
    expect(heading?.split(/ {2,}/)).toEqual(['ENDED', 'WHO', 'WHAT', 'OUTCOME', 'TOOK', 'EXCHANGE']);
    expect(rows.map((row) => row.split(/ {2,}/).slice(2))).toEqual([
      ['tools/call echo', 'ok', '52.2 ms', CALL],
      ['tools/call x\\u001b[2J', 'tool_error', '52.2 ms', HOSTILE],
      ['tools/call echo', 'error -32602', '52.2 ms', EVENTS],
    ]);
  });

  it('exits with 1 when there is no such exchange', async () => {
    const { code, stdout } = await run('show', recorded.directory, '01KAH3MZZZ0G6R4Y1S8T2V5Z9C');
    expect([code, stdout]).toEqual([1, expect.stringContaining('No exchange 01KAH3MZZZ')]);
  });

  it.each([['show', HOSTILE], ['show'], ['sessions']])(
    'writes no control character of the recording to the terminal: %s %s',
    async (command, ...exchange) => {
      const { stdout } = await run(command, recorded.directory, ...exchange);
      expect(stdout).toContain('x\\u001b[2J');
      expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202a-\u202e]/u);
    },
  );
});

describe('mcp-recorder sessions', () => {
  it('lists who worked with which server and with which tools', async () => {
    const { code, stdout } = await run('sessions', recorded.directory);
    expect(code).toBe(0);
    const [, row] = stdout.split('\n');
    expect(row?.split(/ {2,}/)).toEqual([
      expect.stringMatching(/^2026-11-21 08:40:00\.\d{3} UTC$/),
      expect.stringMatching(/^2026-11-21 08:40:00\.\d{3} UTC$/),
      'ada@example.com (oidc, https://idp.example.com)',
      'inspector 2.12.0',
      'github',
      '3',
      'echo x2, x\\u001b[2J',
      'h:5d5d5d5d5d5d (mcp-session-id)',
    ]);
  });

  it('prints a stable shape as JSON', async () => {
    const { stdout } = await run('sessions', recorded.directory, '--json');
    expect(JSON.parse(stdout)).toEqual({
      store: recorded.directory,
      sessions: [
        {
          session: { id: `h:${'5d'.repeat(16)}`, how: 'mcp-session-id' },
          principal: expect.objectContaining({ how: 'oidc', subject: 'u-4711' }),
          client_info: { name: 'inspector', version: '2.12.0' },
          cluster: 'local',
          namespace: 'local',
          server: 'github',
          first_time: '2026-11-21T08:40:00.001000Z',
          last_time: expect.stringMatching(/^2026-11-21T08:40:00\.\d{6}Z$/),
          exchanges: 3,
          open_exchanges: 0,
          tools: [
            { name: 'echo', calls: 2 },
            { name: 'x\u001b[2J', calls: 1 },
          ],
          other_calls: 0,
        },
      ],
    });
  });

  it('goes on past an object that is damaged, and says so', async () => {
    const damaged = await recordIn([
      exchangeOf({ exchange: CALL, answer: 'a' }),
      exchangeOf({ exchange: EVENTS, answer: 'b' }),
    ]);
    try {
      await fs.writeFile(damaged.objects[0] ?? '', 'not zstd');
      const { code, stdout, stderr } = await run('sessions', damaged.directory, '--json');
      expect(code).toBe(0);
      expect(JSON.parse(stdout).sessions).toMatchObject([{ exchanges: 1 }]);
      expect(stderr).toContain(path.basename(damaged.objects[0] ?? ''));
    } finally {
      await damaged.remove();
    }
  });
});

describe('STORE', () => {
  it.each(['show', 'sessions', 'verify'])('that holds no recording makes %s exit with 2', async (command) => {
    const { code, stdout, stderr } = await run(command, path.join(recorded.directory, 'typo'));
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^mcp-recorder: No recording in .*typo: .*\n$/);
  });

  it.each([
    ['s3://Bucket/prefix', 's3://: found "Bucket"; needs the name of a bucket: 3 to 63 characters'],
    ['s3://bucket/a//b', 's3://bucket/: found "a//b"; needs path parts joined by single slashes'],
    ['gs://bucket/prefix', 'gs:// is not known. Give a directory or s3://BUCKET'],
  ])('%s is refused with the reason', async (place, message) => {
    const { code, stderr } = await run('verify', place);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  it.each([
    [['s3://bucket', '--s3-endpoint', 'http://key:secret@minio'], '--s3-endpoint needs the URL of an S3-'],
    [['s3://bucket', '--s3-region', 'eu central'], '--s3-region: found "eu central"; needs a region'],
    [['.', '--s3-path-style', '--s3-ca', 'x'], '--s3-path-style, --s3-ca needs a store s3://BUCKET'],
  ])('with flags that it can not use is refused: %j', async (words, message) => {
    const { code, stderr } = await run('sessions', ...words);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(stderr).not.toContain('secret');
  });

  it.each([
    ['sessions', 's3://key:secret@bucket'],
    ['sessions', 's3://key:secret/more@bucket'],
    ['sessions', 'http://key:secret@minio/bucket', '--s3-path-style'],
    ['sessions', 's3://bucket', '--s3-region', 'key:secret@eu'],
    ['bucket-policy', 's3://key:secret@bucket', '--role', 'reader'],
    ['bucket-policy', 's3://bucket//key:secret@b', '--role', 'reader'],
    ['bucket-policy', 'http://key:secret@minio/bucket', '--role', 'reader'],
  ])('is not repeated when it may hold a password: %s %s', async (...words) => {
    const { code, stderr } = await run(...words);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^mcp-recorder: /)]);
    expect(stderr).not.toContain('secret');
  });
});

describe('the stream of the test', () => {
  it('is complete', async () => {
    const { code, stdout } = await run('verify', recorded.directory);
    expect([code, stdout]).toEqual([0, expect.stringMatching(new RegExp(`${STREAM} +complete`))]);
  });
});
