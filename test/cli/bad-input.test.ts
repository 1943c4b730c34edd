import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createStreamBuilder, objectOf } from '../recording/stream-builder.ts';
import { freePort } from '../support/child-process.ts';
import { MINIO_REGION, type Minio, startMinio } from '../support/minio.ts';
import { type CommandOutcome, runWith } from './command.ts';
import { CALL, EVENTS, exchangeOf, type Recorded, recordIn, STREAM } from './recorded.ts';

const LISTS = ['search', 'sessions', 'show'];
const COMMANDS = [...LISTS, 'verify'];

let minio: Minio;
let folder: string;
let recorded: Recorded;
let env: Record<string, string>;
let flags: string[];
beforeAll(async () => {
  minio = await startMinio();
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-bad-'));
  recorded = await recordIn([
    exchangeOf({ exchange: CALL, answer: 'one' }),
    exchangeOf({ exchange: EVENTS, answer: 'two' }),
  ]);
  env = {
    AWS_ACCESS_KEY_ID: minio.rootUser,
    AWS_SECRET_ACCESS_KEY: minio.rootSecret,
    XDG_CACHE_HOME: path.join(folder, 'cache'),
  };
  flags = ['--s3-endpoint', minio.endpoint, '--s3-region', MINIO_REGION, '--s3-path-style'];
});
afterAll(async () => {
  await minio.stop();
  await recorded.remove();
  await fs.rm(folder, { recursive: true });
});

/** Each command on the same store, at the same time. */
async function each(
  commands: readonly string[],
  words: readonly string[],
  more: Record<string, string> = {},
): Promise<(CommandOutcome & { command: string })[]> {
  return await Promise.all(
    commands.map(async (command) => ({
      command,
      ...(await runWith({ ...env, ...more }, command, ...words)),
    })),
  );
}

/** The command said one thing on standard error, of a line or two, and nothing else. */
function expectOneMessage(
  { code, stdout, stderr, command }: CommandOutcome & { command: string },
  message: RegExp,
) {
  expect([command, code, stdout], stderr).toEqual([command, 2, '']);
  expect(stderr).toMatch(message);
  expect(stderr.match(/^mcp-recorder: /gm)).toHaveLength(1);
  expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(3);
  expect(stderr).not.toMatch(/^ {4}at |node:internal|Error:/m);
}

/** A copy of the recording, its second object changed. */
async function changed(change: (bytes: Buffer) => Buffer): Promise<string> {
  const copy = path.join(folder, randomUUID());
  await fs.cp(recorded.directory, copy, { recursive: true });
  const object = path.join(copy, path.relative(recorded.directory, recorded.objects[1] ?? ''));
  const bytes = change(await fs.readFile(object));
  await fs.rm(object);
  await fs.writeFile(object, bytes);
  return copy;
}

describe('a store that is none', () => {
  it.each([
    ['is not there', () => path.join(folder, 'nowhere'), /No recording in .*nowhere/],
    ['is a file', () => recorded.objects[0] ?? '', /No recording in /],
    ['is a directory of something else', () => os.tmpdir(), /No recording in .*there is no v1\/segments\//],
    [
      'is at a URL',
      () => 'https://bucket.example.com/prefix',
      /https:\/\/ is not known\. Give a directory or /,
    ],
    ['is at another kind of store', () => 'gs://bucket/prefix', /gs:\/\/ is not known/],
    ['has a name that no bucket has', () => 's3://Not_A_Bucket/x', /Not_A_Bucket.*needs/],
  ])('because it %s', async (_what, place, message) => {
    for (const outcome of await each(COMMANDS, [place()])) expectOneMessage(outcome, message);
  });

  it('because all in it is of a newer version of the format', async () => {
    const newer = path.join(folder, 'newer');
    await fs.mkdir(path.join(newer, 'v2/segments'), { recursive: true });
    await fs.writeFile(path.join(newer, 'v2/segments/x'), '');
    for (const outcome of await each(COMMANDS, [newer])) {
      expectOneMessage(
        outcome,
        /is of format version 2, and this mcp-recorder reads version 1: use a newer one/,
      );
    }
  });

  it('is told apart from one in which nothing was recorded yet', async () => {
    const empty = path.join(folder, 'empty');
    await fs.mkdir(path.join(empty, 'v1/segments'), { recursive: true });
    for (const { command, code, stdout, stderr } of await each(LISTS, [empty])) {
      expect([command, code, stderr]).toEqual([command, 0, '']);
      expect(stdout).toMatch(/^(Nothing found|No session|No operation has ended) in .*empty/);
    }
    const [verified] = await each(['verify'], [empty]);
    if (verified !== undefined) expectOneMessage(verified, /No recording in .*it holds no segment/);
  });
});

describe('a mistake in the command line', () => {
  it.each([
    ['an unknown flag', ['--frobnicate'], /unknown option '--frobnicate'/],
    ['no store', [], /missing required argument 'store'/],
  ])('that is %s', async (_what, words, message) => {
    const place = words.length === 0 ? [] : [recorded.directory];
    for (const { code, stdout, stderr } of await each(COMMANDS, [...place, ...words])) {
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(message);
    }
  });

  it.each([
    [['--since', 'last tuesday'], /--since: found "last tuesday"; needs a time such as/],
    [['--since', 'today', '--until', 'yesterday'], /--until is not after --since/],
    [['--outcome', 'failed'], /--outcome: found "failed"; needs one of ok, error,/],
    [['--limit', '0'], /--limit: found "0"; needs a number from 1, or all/],
    [['--limit', '-1'], /--limit: found "-1"/],
    [['--text', '... *'], /--text: found .*needs a word/],
    [['--user', ''], /--user needs a name/],
    [['--where', 'result.outcome ='], /--where: .* at character 16 of 'result\.outcome ='/],
    [
      ['--where', 'true &&\n  resul.outcome == "ok"'],
      /--where: Unknown variable: resul at line 2, character 3/,
    ],
    [['--where', '1 + 1'], /--where: '1 \+ 1' is of type int; needs what is true or false/],
  ])('of search that is %j', async (words, message) => {
    const [outcome] = await each(['search'], [recorded.directory, ...words]);
    if (outcome !== undefined) expectOneMessage(outcome, message);
  });
});

describe('a part that can not be read', () => {
  it.each([
    ['half uploaded', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2), /is damaged/],
    ['empty', () => Buffer.alloc(0), /is damaged/],
    ['no zstd', () => Buffer.from('<html>a login page</html>'), /is damaged/],
    [
      'damaged in its middle',
      (bytes: Buffer) => bytes.fill(0, bytes.length >> 1, (bytes.length >> 1) + 4),
      /is damaged/,
    ],
    [
      'of a newer version',
      () => objectOf([JSON.stringify({ v: 2, stream: STREAM, seq: 0, type: 'result' })]),
      /was written by a newer version of mcp-recorder \(format 2; this one reads format 1\)/,
    ],
    ['no JSON', () => objectOf(['{"v":1,"type":"result"']), /Line 0 of .* is no (JSON|line of version 1)/],
  ])('because it is %s: the rest is shown', async (_what, change, message) => {
    const place = await changed(change);
    for (const { command, code, stdout, stderr } of await each(LISTS, [place])) {
      expect([command, code]).toEqual([command, 0]);
      expect(stdout).toMatch(/ada@example\.com/);
      expect(stderr).toMatch(message);
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    }
    const [found] = await each(['search'], [place, '--json']);
    expect(JSON.parse(found?.stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      rows: 1,
      unreadable: 1,
    });
    const [verified] = await each(['verify'], [place]);
    expect(verified?.code).toBe(1);
  });

  it('because it is of a newer version, beside what is not', async () => {
    const place = await changed((bytes) => bytes);
    await fs.mkdir(path.join(place, 'v2'));
    await fs.writeFile(path.join(place, 'v2/x'), '');
    for (const { command, code, stdout, stderr } of await each(COMMANDS, [place])) {
      expect([command, code]).toEqual([command, 0]);
      expect(stdout).not.toBe('');
      expect(stderr).toMatch(/also holds what is recorded in format version 2; it is not read/);
    }
  });
});

describe('a bucket', () => {
  /** A recording of two namespaces below a new prefix. */
  async function recordInBucket(): Promise<{ prefix: string; place: string }> {
    const prefix = randomUUID();
    const target = createS3Store(minio.options('plain', prefix));
    for (const [namespace, stream, exchange] of [
      ['open', STREAM, CALL],
      ['secret', '01KAH3M9ZK4T9V2B6XN5R0WCEB', EVENTS],
    ] as const) {
      const builder = createStreamBuilder({ stream, startMs: Date.parse('2026-11-21T08:40:00Z') });
      const { key, lines } = builder.segment(exchangeOf({ exchange, answer: `of ${namespace}` }), {
        last: true,
      });
      const object = objectOf(lines);
      const placed = key.replace('namespace=local', `namespace=${namespace}`);
      await target.putIfAbsent(placed, object, createHash('sha256').update(object).digest('hex'));
    }
    return { prefix, place: `s3://plain/${prefix}` };
  }

  async function userWith(statements: object[]): Promise<Record<string, string>> {
    const name = `user-${randomUUID().slice(0, 8)}`;
    const files = await minio.addUser(name, randomUUID(), { Version: '2012-10-17', Statement: statements });
    return {
      AWS_ACCESS_KEY_ID: await fs.readFile(files.accessKeyId, 'utf8'),
      AWS_SECRET_ACCESS_KEY: await fs.readFile(files.secretAccessKey, 'utf8'),
    };
  }

  const everything = {
    Effect: 'Allow',
    Action: ['s3:GetObject', 's3:GetObjectVersion', 's3:ListBucket', 's3:ListBucketVersions'],
    Resource: ['arn:aws:s3:::plain', 'arn:aws:s3:::plain/*'],
  };

  it.each([
    ['there is none of that name', 's3://nobody/x', {}, /no such bucket/i],
    ['nothing is below the prefix', 's3://plain/nothing', {}, /No recording in s3:\/\/plain\/nothing/],
    ['the key is unknown', 's3://plain/x', { AWS_ACCESS_KEY_ID: 'nobody' }, /\(credentials\)[^]*access key/],
  ])('that can not be read because %s', async (_what, place, more, message) => {
    for (const outcome of await each(COMMANDS, [place, ...flags], more)) expectOneMessage(outcome, message);
  });

  it('that can not be read because there are no credentials', async () => {
    const none = {
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    };
    for (const outcome of await each(COMMANDS, ['s3://plain/x', ...flags], none)) {
      expectOneMessage(outcome, /\(credentials\)[^]*No usable credentials were found/);
    }
  });

  it('that can not be read because nobody answers, or the host is not known', async () => {
    const port = await freePort();
    for (const [endpoint, hint] of [
      [`http://127.0.0.1:${port}`, /No connection to the store/],
      ['http://nowhere.invalid:9000', /host name of the store can not be resolved/],
    ] as const) {
      const words = [
        's3://plain/x',
        '--s3-endpoint',
        endpoint,
        '--s3-region',
        MINIO_REGION,
        '--s3-path-style',
      ];
      for (const outcome of await each(COMMANDS, words)) expectOneMessage(outcome, hint);
    }
  });

  it('of which these credentials may read nothing', async () => {
    const { place } = await recordInBucket();
    const nothing = await userWith([{ ...everything, Action: ['s3:GetBucketLocation'] }]);
    for (const outcome of await each(COMMANDS, [place, ...flags], nothing)) {
      expectOneMessage(outcome, /\(denied\)[^]*may not do this/);
    }
  });

  it('of which they may read all but one namespace: the rest is shown, and it is said once', async () => {
    const { prefix, place } = await recordInBucket();
    const resource = `arn:aws:s3:::plain/${prefix}/v1/segments/cluster=local/namespace=secret/*`;
    const partly = await userWith([
      everything,
      { Effect: 'Deny', Action: ['s3:GetObject*'], Resource: [resource] },
    ]);
    for (const since of [[], ['--since', '2026-11-21']]) {
      for (const { command, code, stdout, stderr } of await each(
        LISTS,
        [place, ...flags, ...since],
        partly,
      )) {
        expect([command, code], stderr).toEqual([command, 0]);
        expect(stdout).toMatch(/ada@example\.com/);
        expect(stderr).toMatch(
          /These credentials may not read what is in v1\/segments\/cluster=local\/namespace=secret\//,
        );
        expect(stderr.trimEnd().split('\n')).toHaveLength(1);
      }
    }
    // What may not be read can't be judged.
    const [verified] = await each(['verify'], [place, ...flags], partly);
    if (verified !== undefined) expectOneMessage(verified, /\(denied\)/);
  });
});
