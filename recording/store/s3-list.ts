/**
 * Owns reading an S3 bucket's names: objects, and all versions of them.
 * Invariant: one page is held at a time (and the versions of one key); keys that do not come in byte order are an error, as every reader
 * here relies on the order.
 */
import {
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
} from '@aws-sdk/client-s3';
import { compareKeys } from './object-key.ts';
import {
  type ListOptions,
  type ObjectHistory,
  type ObjectInfo,
  type ObjectVersion,
  StoreError,
} from './object-store.ts';
import type { S3Connection } from './s3-connection.ts';
import { answerOf, notS3 } from './s3-failure.ts';

export interface S3Place {
  bucket: string;
  /** What all keys in the bucket begin with, with its slash; '' = none. */
  root: string;
}

/** Keys are asked for in URL encoding: XML can't carry every character of a key. A store that ignores the wish says so. */
function decoder(encoding: string | undefined): (key: string) => string {
  return encoding === 'url' ? (key) => decodeURIComponent(key.replaceAll('+', ' ')) : (key) => key;
}

/** Takes the root off keys as they come, and checks that they ascend. */
function keyReader(root: string, prefix: string): (full: string) => string {
  let previous: string | null = null;
  return (full) => {
    const key = full.slice(root.length);
    if (!full.startsWith(root + prefix) || (previous !== null && compareKeys(previous, key) >= 0)) {
      const hint =
        'This store does not list in byte order of the keys (S3 directory buckets do not). Use one that does.';
      throw new StoreError('misconfigured', 'list', key, hint, new Error(`after ${previous} comes ${full}`));
    }
    previous = key;
    return key;
  };
}

export async function* listS3(
  connection: S3Connection,
  place: S3Place,
  prefix: string,
  { startAfter, firstPage, signal }: ListOptions,
): AsyncGenerator<ObjectInfo> {
  const readKey = keyReader(place.root, prefix);
  let token: string | undefined;
  do {
    const command = new ListObjectsV2Command({
      Bucket: place.bucket,
      Prefix: place.root + prefix,
      EncodingType: 'url',
      ...(token === undefined ? {} : { ContinuationToken: token }),
      ...(token === undefined && startAfter ? { StartAfter: place.root + startAfter } : {}),
      ...(token === undefined && firstPage !== undefined ? { MaxKeys: firstPage } : {}),
    });
    const page = await connection.ask('list', prefix, signal, (client, http) => client.send(command, http));
    if (page.Name === undefined && page.KeyCount === undefined)
      throw notS3('list', prefix, 'success without a listing');
    const decode = decoder(page.EncodingType);
    for (const { Key = '', Size = 0 } of page.Contents ?? []) {
      yield { key: readKey(decode(Key)), size: Size, sha256: null };
    }
    token = page.IsTruncated ? page.NextContinuationToken : undefined;
    if (page.IsTruncated && token === undefined)
      throw notS3('list', prefix, 'a page that does not say what follows');
  } while (token !== undefined);
}

interface Found {
  key: string;
  latest: boolean;
  version: ObjectVersion;
}

/** The SDK gives versions and deletions apart, each by key and newest first: this is one page in the order of its keys. */
function entries(page: ListObjectVersionsCommandOutput): Found[] {
  const decode = decoder(page.EncodingType);
  const found = [
    ...(page.Versions ?? []).map((entry) => ({ ...entry, kind: 'object' as const })),
    ...(page.DeleteMarkers ?? []).map((entry) => ({ ...entry, kind: 'deleted' as const, Size: 0 })),
  ].map(({ Key = '', IsLatest = false, VersionId, kind, Size = 0, LastModified }) => ({
    key: decode(Key),
    latest: IsLatest,
    version: { version: VersionId ?? null, kind, size: Size, time: LastModified?.toISOString() ?? null },
  }));
  return found.sort((a, b) => compareKeys(a.key, b.key));
}

/**
 * Oldest first. Objects stay in the order in which the store says that it took them: their times are not, as that of an upload in parts
 * is of its begin. Deletions are put among them by time, in the same second behind them; what the store calls the latest is last.
 */
function inOrder(found: Found[]): ObjectVersion[] {
  const oldestFirst = found.toReversed();
  const earlier = oldestFirst.filter(({ latest }) => !latest);
  const deletions = earlier.filter(({ version }) => version.kind === 'deleted');
  const ordered: Found[] = [];
  let takenBy = '';
  for (const object of earlier.filter(({ version }) => version.kind === 'object')) {
    const time = object.version.time ?? '';
    if (time > takenBy) takenBy = time;
    while ((deletions[0]?.version.time ?? takenBy) < takenBy) ordered.push(...deletions.splice(0, 1));
    ordered.push(object);
  }
  ordered.push(...deletions, ...oldestFirst.filter(({ latest }) => latest));
  const versions = ordered.map(({ version }) => version);
  // A store without versions calls its only one so; and its name would ask for the right to read versions.
  const [only] = versions;
  return versions.length === 1 && only?.version === 'null' ? [{ ...only, version: null }] : versions;
}

export async function* historyOfS3(
  connection: S3Connection,
  place: S3Place,
  prefix: string,
  options: ListOptions,
): AsyncGenerator<ObjectHistory> {
  const { startAfter, firstPage, signal } = options;
  const readKey = keyReader(place.root, prefix);
  const finish = (found: Found[]): ObjectHistory => {
    // Without their names each of them would be read as the newest.
    if (found.length > 1 && found.some(({ version }) => version.version === null))
      throw notS3('list', prefix, 'several versions of a key without their ids');
    return { key: readKey((found[0] as Found).key), versions: inOrder(found) };
  };
  let marker: { KeyMarker?: string; VersionIdMarker?: string } = startAfter
    ? { KeyMarker: place.root + startAfter }
    : {};
  let current: Found[] = [];
  for (let first = true, more = true; more; first = false) {
    const command = new ListObjectVersionsCommand({
      Bucket: place.bucket,
      Prefix: place.root + prefix,
      EncodingType: 'url',
      ...marker,
      ...(first && firstPage !== undefined ? { MaxKeys: firstPage } : {}),
    });
    let page: ListObjectVersionsCommandOutput;
    try {
      page = await connection.ask('list', prefix, signal, (client, http) => client.send(command, http));
    } catch (error) {
      if (!first || answerOf(error)?.s3Code !== 'NotImplemented') throw error;
      // A store that can't be asked for versions keeps none.
      for await (const { key, size } of listS3(connection, place, prefix, options)) {
        yield { key, versions: [{ version: null, kind: 'object', size, time: null }] };
      }
      return;
    }
    if (page.Name === undefined && page.IsTruncated === undefined)
      throw notS3('list', prefix, 'success without a listing');
    for (const entry of entries(page)) {
      if (current[0] !== undefined && current[0].key !== entry.key) {
        yield finish(current);
        current = [];
      }
      current.push(entry);
    }
    more = page.IsTruncated === true;
    const decode = decoder(page.EncodingType);
    marker = {
      ...(page.NextKeyMarker === undefined ? {} : { KeyMarker: decode(page.NextKeyMarker) }),
      ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }),
    };
    if (more && marker.KeyMarker === undefined)
      throw notS3('list', prefix, 'a page that does not say what follows');
  }
  if (current.length > 0) yield finish(current);
}
