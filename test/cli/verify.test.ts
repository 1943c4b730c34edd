import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { createStreamBuilder, objectOf, store } from '../recording/stream-builder.ts';
import { run } from './command.ts';
import { CALL, EVENTS, exchangeOf, type Recorded, recordIn, STREAM } from './recorded.ts';

let recorded: Recorded;
const call = exchangeOf({ exchange: CALL, answer: 'Echo: hello' });

beforeEach(async () => {
  recorded = await recordIn([call, exchangeOf({ exchange: EVENTS, answer: 'b', events: true })]);
});
afterEach(() => recorded.remove());

/** Rewrites the lines of one stored object; the object itself stays well-formed. */
async function edit(object: string | undefined, change: (lines: string[]) => string[]) {
  const bytes = await fs.readFile(object ?? '');
  await fs.writeFile(
    object ?? '',
    objectOf(change(zstdDecompressSync(bytes).toString().trimEnd().split('\n'))),
  );
}

describe('mcp-recorder verify', () => {
  it('exits with 0 and says what is proven, and what can not be', async () => {
    const { code, stdout, stderr } = await run('verify', recorded.directory);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      new RegExp(`^STREAM +STATE .*\n${STREAM} +complete +local/local/github +2 +\\d+ `),
    );
    expect(stdout).toContain('All is explained: 1 stream (1 complete). Without a ledger');
  });

  it('exits with 1 and names stream, segment and line of a change', async () => {
    await edit(recorded.objects[0], (lines) =>
      lines.map((line) => line.replace('Echo: hello', 'Echo: HELLO')),
    );
    const { code, stdout } = await run('verify', recorded.directory);
    expect(code).toBe(1);
    expect(stdout).toMatch(new RegExp(`${STREAM} +tampered`));
    expect(stdout).toMatch(new RegExp(`FOUND root: stream ${STREAM}, segment 0`));
    expect(stdout).toContain('NOT EXPLAINED');
  });

  it('exits with 1 when a segment was removed', async () => {
    await fs.rm(recorded.objects[0] ?? '');
    const { code, stdout } = await run('verify', recorded.directory);
    expect([code, stdout]).toEqual([1, expect.stringContaining('FOUND missing_segment')]);
  });

  it('prints the report as JSON, with the same exit codes', async () => {
    const whole = await run('verify', recorded.directory, '--json');
    expect([whole.code, JSON.parse(whole.stdout)]).toEqual([
      0,
      {
        store: recorded.directory,
        explained: true,
        versions: 'none',
        findings: [],
        streams: [
          {
            stream: STREAM,
            state: 'complete',
            attested: false,
            place: 'local/local/github',
            segments: 2,
            lines: 16,
            since: '2026-11-21T08:40:00.000000Z',
            until: '2026-11-21T08:40:00.015000Z',
            last_segment: 1,
            statement: expect.any(String),
            findings: [],
          },
        ],
      },
    ]);
    await edit(recorded.objects[1], (lines) => lines.toSpliced(2, 1));
    const cut = await run('verify', recorded.directory, '--json');
    const report = JSON.parse(cut.stdout);
    expect([cut.code, report.explained]).toEqual([1, false]);
    expect(report.streams[0].findings).toContainEqual(
      expect.objectContaining({ code: 'sequence', stream: STREAM, segment: 1, message: expect.any(String) }),
    );
  });

  it('says since when a stream lives, which is an error only with --expect-closed', async () => {
    const live = await recordIn([call], true);
    try {
      const patient = await run('verify', live.directory);
      expect([patient.code, patient.stdout]).toEqual([
        0,
        expect.stringContaining(`${STREAM}: live since 2026-11-21T08:40:00.000000Z, last segment 0.`),
      ]);
      const strict = await run('verify', live.directory, '--expect-closed');
      expect([strict.code, strict.stdout]).toEqual([1, expect.stringContaining('FOUND not_closed')]);
    } finally {
      await live.remove();
    }
  });

  it('exits with 2, not 0, when all segments are gone', async () => {
    for (const object of recorded.objects) await fs.rm(object);
    const { code, stderr } = await run('verify', recorded.directory);
    expect([code, stderr]).toEqual([2, expect.stringContaining('holds no segment')]);
  });

  it.each([
    ['an unknown option', ['--nope']],
    ['no store', []],
    ['--exchange without --proof', ['.', '--exchange', CALL]],
    ['--proof without --exchange', ['.', '--proof', 'x']],
  ])('exits with 2 and one message, no stack, for %s', async (_what, args) => {
    const { code, stdout, stderr } = await run('verify', ...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).not.toMatch(/^ +at /m);
    expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(2);
  });
});

describe('the proof of an exchange', () => {
  const proofOf = () => path.join(recorded.directory, 'proof.json');
  const write = () => run('verify', recorded.directory, '--exchange', CALL, '--proof', proofOf());

  it('is written from the store and holds without it', async () => {
    const written = await write();
    expect([written.code, written.stdout]).toEqual([0, expect.stringContaining('Proof written to')]);
    const proof = path.join(recorded.directory, '..', `${path.basename(recorded.directory)}.json`);
    await fs.rename(proofOf(), proof);
    await fs.rm(path.join(recorded.directory, 'v1'), { recursive: true });
    try {
      const { code, stdout } = await run('verify-proof', proof, '--key', recorded.publicKey);
      expect(code).toBe(0);
      expect(stdout).toContain(`exchange ${CALL} is whole, 4 parts`);
      expect(stdout).toContain(`sealed by the given key ${recorded.publicKey}`);
      expect(stdout).toMatch(/The proof holds\.\n$/);
    } finally {
      await fs.rm(proof);
    }
  });

  it('without a key says that whose it is stays open', async () => {
    await write();
    const { code, stdout } = await run('verify-proof', proofOf());
    expect([code, stdout]).toEqual([0, expect.stringContaining('no key was given')]);
  });

  it('of another key is refused', async () => {
    await write();
    const other = await recordIn([call]);
    await other.remove();
    const { code, stdout } = await run('verify-proof', proofOf(), '--key', other.publicKey);
    expect([code, stdout]).toEqual([1, expect.stringContaining('The proof DOES NOT HOLD.')]);
  });

  it('holds when the exchange stands on two segments, and when its recorder died and another one sealed it', async () => {
    const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-cli-'));
    try {
      const startMs = Date.parse('2026-11-21T08:40:00Z');
      const second = { stream: '01KAH3N8ZK4T9V2B6XN5R0WCEA', startMs: startMs + 10_000 };
      const dead = createStreamBuilder({ stream: STREAM, startMs });
      const healer = createStreamBuilder(second);
      const [request, ...rest] = call;
      const whole = dead.segment(request === undefined ? [] : [request]);
      const cut = dead.segment(rest.slice(0, -1), { recoveredBy: healer });
      const root = cut.root.toString('base64');
      const previousStreams = [{ stream: STREAM, segment: 1, root, how: 'recovered' } as const];
      // The same key seals and names: a builder that is told of the dead stream, with the healer's key.
      const naming = createStreamBuilder({ ...second, previousStreams, privateKey: healer.privateKey });
      await store(createDirectoryStore(directory), whole, cut, naming.segment([], { last: true }));
      expect((await run('verify', directory)).code).toBe(0);

      const proof = path.join(directory, 'proof.json');
      const written = await run('verify', directory, '--exchange', CALL, '--proof', proof);
      expect([written.code, written.stderr]).toEqual([0, '']);
      const { code, stdout } = await run('verify-proof', proof);
      expect(code).toBe(0);
      expect(stdout).toContain(`exchange ${CALL} is open-ended, at least 3 parts`);
      expect(stdout).toContain(`segment 1 was recovered by stream ${second.stream}`);
    } finally {
      await fs.rm(directory, { recursive: true });
    }
  });

  it('with a line left out, or changed, is refused', async () => {
    await write();
    const bundle = JSON.parse(await fs.readFile(proofOf(), 'utf8'));
    const lines = bundle.segments[0].lines;
    await fs.writeFile(
      proofOf(),
      JSON.stringify({ ...bundle, segments: [{ ...bundle.segments[0], lines: lines.toSpliced(2, 1) }] }),
    );
    expect((await run('verify-proof', proofOf())).code).toBe(1);
    await fs.writeFile(proofOf(), JSON.stringify(bundle).replace('Echo: hello', 'Echo: HELLO'));
    expect((await run('verify-proof', proofOf())).code).toBe(1);
  });

  it('is not written when the recording itself does not hold', async () => {
    await edit(recorded.objects[0], (lines) =>
      lines.map((line) => line.replace('Echo: hello', 'Echo: HELLO')),
    );
    const { code, stdout } = await write();
    expect([code, stdout]).toEqual([1, expect.stringContaining('NOT PROVEN: nothing was written.')]);
    await expect(fs.access(proofOf())).rejects.toThrow('ENOENT');
  });

  it('of an exchange that is not there, or of a file that is no JSON, exits with 2', async () => {
    const absent = await run('verify', recorded.directory, '--exchange', 'nope', '--proof', proofOf());
    expect([absent.code, absent.stderr]).toEqual([2, expect.stringContaining('No exchange nope')]);
    await fs.writeFile(proofOf(), 'x');
    const broken = await run('verify-proof', proofOf());
    expect([broken.code, broken.stderr]).toEqual([2, expect.stringContaining("Can't read the proof")]);
    const key = await run('verify-proof', proofOf(), '--key', 'ed25519:short');
    expect([key.code, key.stderr]).toEqual([2, expect.stringContaining('--key needs')]);
  });
});
