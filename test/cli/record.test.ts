import { execFile } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { readSegments } from '@mcp-recorder/recording/read/store-reader';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunningProcess, startProcess } from '../support/child-process.ts';
import { eventually } from '../support/poll.ts';
import { run } from './command.ts';

const MAIN = path.join(import.meta.dirname, '../../cli/main.ts');

let upstream: http.Server;
let upstreamUrl: string;
/** Tools that the server was asked for. */
const asked: string[] = [];
let directory: string;
const started: RunningProcess[] = [];

/** Answers every JSON-RPC request with its arguments, and `hang` never. */
beforeAll(async () => {
  upstream = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { id, params } = JSON.parse(Buffer.concat(chunks).toString());
      asked.push(params.name);
      if (params.name === 'hang') return;
      response.setHeader('content-type', 'application/json');
      const content = [{ type: 'text', text: params.arguments.message }];
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { content } }));
    });
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp`;
});
afterAll(() => {
  upstream.closeAllConnections();
  upstream.close();
});
beforeEach(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-record-'));
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((recorder) => recorder.stop('SIGKILL')));
  await fs.rm(directory, { recursive: true });
});

const flags = (...more: string[]) => [
  'record',
  '--upstream',
  upstreamUrl,
  '--store',
  directory,
  '--listen',
  '127.0.0.1:0',
  '--anonymous',
  ...more,
];

async function start(...more: string[]) {
  const recorder = await startProcess({ args: [MAIN, ...flags(...more)], ready: /Ctrl-C or SIGTERM/ });
  started.push(recorder);
  const url = /clients connect to +(\S+)/.exec(recorder.stdout())?.[1] ?? '';
  return { recorder, url };
}

function call(url: string, name: string, signal?: AbortSignal): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name, arguments: { message: 'hello' } },
    }),
    signal: signal ?? null,
  });
}

describe('mcp-recorder record', () => {
  it('names a command that verifies, as a shell takes it, whatever the place is called', async () => {
    const { recorder, url } = await start('--store', path.join(directory, "it's; all $HOME here"));
    await (await call(url, 'echo')).json();
    await recorder.stop('SIGTERM');
    const named = /Verify with: mcp-recorder (.*)\n/.exec(recorder.stdout())?.[1] ?? '';
    const { stdout } = await promisify(execFile)('sh', ['-c', `"$0" "$1" ${named}`, process.execPath, MAIN]);
    expect(stdout).toContain('All is explained: 1 stream');
  });

  it('says where it is, records what passes, and on SIGTERM seals it and says what was recorded', async () => {
    const { recorder, url } = await start('--name', 'demo');
    expect(recorder.stdout()).toContain(`Recording ${upstreamUrl} as demo\n`);
    expect(recorder.stdout()).toContain(`the recording is in  ${directory}\n`);
    const status = /status +(\S+)/.exec(recorder.stdout())?.[1] ?? '';
    expect(await (await call(url, 'echo')).json()).toMatchObject({
      id: 1,
      result: { content: [{ text: 'hello' }] },
    });
    const told = JSON.parse(await (await fetch(status)).text());
    expect(told).toMatchObject({
      name: 'demo',
      stream: expect.stringMatching(/^[0-9A-Z]{26}$/),
      configuration: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      gate: { state: 'Open' },
      watermarks: { appended: 5, synced: 5, acked: 0 },
      spool: { size_limit_bytes: 536_870_912, quarantined: 0 },
      recorded: { exchanges: 1, operations: 1 },
    });
    const page = await fs.readFile(path.join(import.meta.dirname, '../../docs/configuration.md'), 'utf8');
    const documented = JSON.parse(/```json\n([^]*?)```/.exec(page)?.[1] ?? '');
    expect(Object.keys(told)).toEqual(Object.keys(documented));
    expect(Object.keys(told.spool)).toEqual(Object.keys(documented.spool));

    const { code } = await recorder.stop('SIGTERM');
    expect(code).toBe(0);
    expect(recorder.stdout()).toMatch(
      new RegExp(`Recorded 1 exchange, 1 operation, 1 segment in ${directory} \\(stream \\w{26}\\)\\.\n`),
    );
    expect((await run('verify', directory, '--expect-closed')).code).toBe(0);
    const shown = await run('show', directory, '--last');
    expect(shown.stdout).toContain('tools/call echo  [request from the client] -> ok');
    expect(shown.stdout).toContain('answer  hello');
  });

  it('ends in order on Ctrl-C although npm sends it twice', async () => {
    const { recorder, url } = await start();
    await call(url, 'echo');
    process.kill(recorder.pid, 'SIGINT');
    const { code } = await recorder.stop('SIGINT');
    expect([code, recorder.stdout()]).toEqual([0, expect.stringContaining('Recorded 1 exchange')]);
  });

  it('ends at once with 1 on a later signal while an exchange still runs', async () => {
    const { recorder, url } = await start();
    const hanging = call(url, 'hang').catch(() => null);
    await eventually(() => asked.includes('hang'), { withinMs: 5_000 });
    process.kill(recorder.pid, 'SIGTERM');
    const exit = await eventually(
      async () => {
        // Each try is a signal; those of the first half second count as the first one.
        const ended = await Promise.race([
          recorder.stop('SIGTERM'),
          new Promise<null>((go) => setTimeout(go, 100, null)),
        ]);
        return ended ?? false;
      },
      { withinMs: 10_000 },
    );
    expect(exit.code).toBe(1);
    expect(recorder.output()).toContain('ended before the recording was sealed');
    await hanging;
  });

  it('reads its file again when it changes, takes over what it can, and says what it can not', async () => {
    const file = path.join(directory, 'recorder.yaml');
    const write = (yaml: string) => fs.writeFile(file, `drain: {timeout: 1s}\n${yaml}`);
    await write('');
    const { recorder, url } = await start('--config', file);
    const status = /status +(\S+)/.exec(recorder.stdout())?.[1] ?? '';
    const told = async () => JSON.parse(await (await fetch(status)).text());
    expect((await told()).reload).toEqual({ restart_needed: [], refused: null });
    expect((await call(url, 'echo')).status).toBe(200);

    await write('recording: {maxRequestBytes: 10}\ncluster: other\n');
    await eventually(async () => (await call(url, 'echo')).status === 413, { withinMs: 10_000 });
    await eventually(async () => (await told()).reload.restart_needed.length > 0, { withinMs: 5_000 });
    expect((await told()).reload).toEqual({ restart_needed: ['cluster'], refused: null });
    expect(recorder.output()).toContain(
      `The configuration ${file} is in force as it is now. Only after a restart: cluster.`,
    );

    await write('rules:\n  - name: a\n    when: mcp.tol == "x"\n    action: Deny\n');
    const wrong = `${file}:4: rules[0].when (line 1, column 5): `;
    await eventually(async () => (await told()).reload.refused?.includes(wrong) ?? false, {
      withinMs: 10_000,
    });
    expect(recorder.output()).toContain('The configuration stays as it was. ');
    expect((await call(url, 'echo')).status).toBe(413);

    await recorder.stop('SIGTERM');
    const kinds: string[] = [];
    const onUnreadable = (problem: { message: string }): void => expect.fail(problem.message);
    for await (const segment of readSegments(createDirectoryStore(directory), { onUnreadable })) {
      for (const { line } of segment.lines()) if (line.type === 'config') kinds.push(line.config.kind);
    }
    expect(kinds).toEqual(['configuration', 'configuration_refused']);
  });

  it('is refused with 2 while another recorder has the spool', async () => {
    await start('--name', 'demo');
    const { code, stdout, stderr } = await run(...flags('--name', 'demo'));
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^mcp-recorder: .*spool.*in use/);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  it.each(['--listen', 'status.listen'])('is refused with 2 when the port of %s is taken', async (place) => {
    const taken = net.createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const file = path.join(directory, 'recorder.yaml');
    await fs.writeFile(file, place === '--listen' ? '{}' : `status: {listen: "127.0.0.1:${port}"}`);
    const listen = place === '--listen' ? ['--listen', `127.0.0.1:${port}`] : [];
    const { code, stderr } = await run(...flags('--config', file, ...listen));
    taken.close();
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining(`Can't listen on 127.0.0.1:${port}: another process listens there.`),
    ]);
  });

  it.each([
    [
      'a store below a file',
      'file/store',
      '127.0.0.1:0',
      "Can't use .*/file/store.*: a part of the path is no directory\\.",
    ],
    [
      'a host that is not ours',
      'store',
      '203.0.113.1:80',
      "Can't listen on 203\\.0\\.113\\.1:80: this machine has no such address\\.",
    ],
  ])('is refused with 2 and one line for %s', async (_what, place, listen, expected) => {
    await fs.writeFile(path.join(directory, 'file'), '');
    const store = path.join(directory, place);
    const { code, stderr } = await run(
      'record',
      '--upstream',
      upstreamUrl,
      '--store',
      store,
      '--listen',
      listen,
      '--anonymous',
    );
    expect([code, stderr.replace(/^\{.*\n/gm, '')]).toEqual([
      2,
      expect.stringMatching(`^mcp-recorder: ${expected}[^\n]*\n$`),
    ]);
  });

  it('is refused with 2 and every fault of the configuration', async () => {
    const { code, stdout, stderr } = await run('record', '--listen', 'x', '--name', 'A');
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr.trimEnd().split('\n')).toEqual([
      "mcp-recorder: The configuration can't be used:",
      expect.stringContaining('--name: found "A"'),
      expect.stringContaining('--listen: found "x"'),
      expect.stringContaining('(or give --upstream)'),
      expect.stringContaining('(or give --anonymous, or --issuer and --resource)'),
      expect.stringContaining('(or give --store)'),
    ]);
  });
});
