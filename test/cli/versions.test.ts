import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltSegment, createStreamBuilder, objectOf, store } from '../recording/stream-builder.ts';
import { MINIO_REGION, type Minio, startMinio } from '../support/minio.ts';
import { runWith } from './command.ts';
import { CALL, exchangeOf, STREAM } from './recorded.ts';

let minio: Minio;
let client: S3Client;
let env: Record<string, string>;
const proxies: http.Server[] = [];
beforeAll(async () => {
  minio = await startMinio();
  client = minio.client();
  env = { AWS_ACCESS_KEY_ID: minio.rootUser, AWS_SECRET_ACCESS_KEY: minio.rootSecret };
});
afterAll(async () => {
  for (const proxy of proxies) {
    proxy.closeAllConnections();
    proxy.close();
  }
  await minio.stop();
});

interface Recording {
  bucket: string;
  prefix: string;
  target: ObjectStore;
  segments: [BuiltSegment, BuiltSegment, BuiltSegment];
}

/** A closed stream of three segments below a prefix of its own; the second holds an exchange. */
async function recordIn(bucket: string): Promise<Recording> {
  const prefix = `tests/${randomUUID()}`;
  const target = createS3Store(minio.options(bucket, prefix));
  const builder = createStreamBuilder({ stream: STREAM, startMs: Date.parse('2026-11-21T08:40:00Z') });
  const segments: Recording['segments'] = [
    builder.segment([]),
    builder.segment(exchangeOf({ exchange: CALL, answer: 'Echo: hello' })),
    builder.segment([], { last: true }),
  ];
  await store(target, ...segments);
  return { bucket, prefix, target, segments };
}

const at = ({ bucket, prefix }: Recording, { key }: BuiltSegment) => ({
  Bucket: bucket,
  Key: `${prefix}/${key}`,
});

/** What an owner of the bucket can do, and a recorder's credentials on MinIO too. */
async function overwrite(recording: Recording, segment: BuiltSegment, lines = segment.lines): Promise<void> {
  await client.send(new PutObjectCommand({ ...at(recording, segment), Body: objectOf(lines) }));
}

const forged = ({ lines }: BuiltSegment) => lines.map((line) => line.replace('Echo: hello', 'Echo: HELLO'));

async function findingsOf({ target }: Recording) {
  const report = await verifyStore(target, { expectClosed: true });
  const findings = [...report.findings, ...report.streams.flatMap((stream) => stream.findings)];
  expect(report.explained).toBe(findings.length === 0);
  return { versions: report.versions, findings, codes: findings.map(({ code }) => code) };
}

/** The reading command on the recording, as an auditor runs it. */
function read({ bucket, prefix }: Recording, command: string, ...more: string[]) {
  const flags = ['--s3-endpoint', minio.endpoint, '--s3-region', MINIO_REGION, '--s3-path-style'];
  return runWith(env, command, `s3://${bucket}/${prefix}`, ...flags, ...more);
}

/**
 * The server behind one that refuses to list versions, as AWS does for whom `s3:ListBucketVersions` is missing; MinIO itself gives that
 * right to everyone who may list objects.
 */
async function withoutVersions(): Promise<string> {
  const server = http.createServer((request, response) => {
    if (/[?&]versions/.test(request.url ?? '')) {
      response.writeHead(403, { 'content-type': 'application/xml' });
      response.end('<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>');
      return;
    }
    const { method, url, headers } = request;
    const onwards = http.request(minio.endpoint + url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onwards);
  });
  proxies.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe.each(['versioned', 'locked'])('a segment in the %s bucket', (bucket) => {
  it('that was overwritten is named, and its first version is what is judged', async () => {
    const recording = await recordIn(bucket);
    const [, second] = recording.segments;
    expect(await findingsOf(recording)).toMatchObject({ versions: 'checked', codes: [] });
    await overwrite(recording, second, forged(second));
    await overwrite(recording, second, second.lines.slice(0, -1));
    const { codes, findings } = await findingsOf(recording);
    expect(codes).toEqual(['overwritten']);
    expect(findings).toMatchObject([{ stream: STREAM, segment: 1 }]);
    const message = findings[0]?.message ?? '';
    expect(message).toContain(`over the first version of ${second.key} lie 2 later ones, put at 20`);
    expect(message.match(/20\d\d-\d\d-\d\dT[\d:.]+Z/g)).toHaveLength(2);
  });

  it('that was deleted is named, and is judged by what the store kept', async () => {
    const recording = await recordIn(bucket);
    await client.send(new DeleteObjectCommand(at(recording, recording.segments[0])));
    const { codes, findings } = await findingsOf(recording);
    expect(codes).toEqual(['deleted']);
    expect(findings[0]?.message).toMatch(
      /segment 0: its object v1\/segments\/\S+ was deleted at 20\S+Z, .*first is still there/,
    );
  });

  it('that was deleted and put again is both', async () => {
    const recording = await recordIn(bucket);
    const [, second] = recording.segments;
    await client.send(new DeleteObjectCommand(at(recording, second)));
    await overwrite(recording, second, forged(second));
    const { codes, findings } = await findingsOf(recording);
    expect(codes).toEqual(['overwritten', 'deleted']);
    expect(findings[1]?.message).toContain('it was stored again since');
  });

  it('that was put twice with the same bytes is as it was', async () => {
    const recording = await recordIn(bucket);
    await overwrite(recording, recording.segments[1]);
    expect((await findingsOf(recording)).codes).toEqual([]);
  });
});

describe('the versioned bucket', () => {
  it('where nothing but the deletion is left says that, and not once more that the segment is missing', async () => {
    const recording = await recordIn('versioned');
    const place = at(recording, recording.segments[0]);
    const { Versions } = await client.send(
      new ListObjectVersionsCommand({ Bucket: place.Bucket, Prefix: place.Key }),
    );
    await client.send(new DeleteObjectCommand(place));
    await client.send(new DeleteObjectCommand({ ...place, VersionId: Versions?.[0]?.VersionId }));
    const { codes, findings } = await findingsOf(recording);
    expect(codes).toEqual(['deleted']);
    expect(findings[0]?.message).toContain('nothing of it is left');
  });

  it.each(['first', 'later'])(
    'whose %s version is purged while it is verified is judged on',
    async (purged) => {
      const recording = await recordIn('versioned');
      const [, second] = recording.segments;
      await overwrite(recording, second);
      const place = at(recording, second);
      const { Versions = [] } = await client.send(
        new ListObjectVersionsCommand({ Bucket: place.Bucket, Prefix: place.Key }),
      );
      const victim = Versions[purged === 'first' ? 1 : 0]?.VersionId;
      const { target } = recording;
      let asked = 0;
      const purging: ObjectStore = {
        ...target,
        async get(key, signal, version) {
          asked += version === victim ? 1 : 0;
          // The first is read once to be judged, and once more to be compared.
          if (version === victim && asked === (purged === 'first' ? 2 : 1))
            await client.send(new DeleteObjectCommand({ ...place, VersionId: version }));
          return await target.get(key, signal, version);
        },
      };
      const { codes, findings } = await findingsOf({ ...recording, target: purging });
      expect(codes).toEqual(['overwritten']);
      expect(findings[0]?.message).toContain('could not be compared');
      expect(findings[0]?.message).toContain('removed meanwhile');
    },
  );

  it('whose recording was deleted whole is no empty store to verify', async () => {
    const recording = await recordIn('versioned');
    for (const segment of recording.segments) {
      await client.send(new DeleteObjectCommand(at(recording, segment)));
    }
    const { code, stdout } = await read(recording, 'verify');
    expect(code).toBe(1);
    expect(stdout).toContain('NOT EXPLAINED: 3 findings.');
  });

  it('shows what was recorded, not what was put over it, and says so', async () => {
    const recording = await recordIn('versioned');
    const [first, second] = recording.segments;
    await overwrite(recording, second, forged(second));
    await client.send(new DeleteObjectCommand(at(recording, first)));
    const shown = await read(recording, 'show', CALL);
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining('Echo: hello') });
    expect(shown.stderr).toContain(`${second.key} has later versions or was deleted since it was stored`);
    expect(JSON.parse((await read(recording, 'sessions', '--json')).stdout).sessions).toHaveLength(1);

    const { code, stdout } = await read(recording, 'verify');
    expect(code).toBe(1);
    expect(stdout).toContain('FOUND overwritten: ');
    expect(stdout).toContain('FOUND deleted: ');
    const json = JSON.parse((await read(recording, 'verify', '--json')).stdout);
    expect(json).toMatchObject({ explained: false, versions: 'checked', streams: [{ state: 'tampered' }] });
  });

  it('that may not be asked for versions is judged as it is now, and the report says so', async () => {
    const recording = await recordIn('versioned');
    const [, second] = recording.segments;
    const endpoint = await withoutVersions();
    const target = createS3Store({ ...minio.options('versioned', recording.prefix), endpoint });
    expect(await findingsOf({ ...recording, target })).toMatchObject({ versions: 'denied', codes: [] });
    const verified = await read({ ...recording }, 'verify', '--s3-endpoint', endpoint);
    expect(verified).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Versions could not be looked at'),
    });
    await overwrite(recording, second, forged(second));
    expect((await findingsOf({ ...recording, target })).codes).toContain('root');
  });
});

describe('the plain bucket', () => {
  it('keeps no versions: what was overwritten is found by its content', async () => {
    const recording = await recordIn('plain');
    const [, second] = recording.segments;
    expect(await findingsOf(recording)).toMatchObject({ versions: 'none', codes: [] });
    await overwrite(recording, second, forged(second));
    expect((await findingsOf(recording)).codes).toContain('root');
    await client.send(new DeleteObjectCommand(at(recording, second)));
    expect((await findingsOf(recording)).codes).toEqual(['missing_segment']);
  });
});
