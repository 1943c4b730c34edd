/**
 * Owns which part of a configuration may change while the recorder runs.
 * Invariant: the result is what is in force from then on: what may not change stands in it as it was, and is named.
 */
import { isDeepStrictEqual } from 'node:util';
import type { CredentialConfiguration } from './access.ts';
import type { Configuration } from './schema.ts';

export interface Change {
  /** In force from now on, with the digest of what was wanted. */
  next: Configuration;
  /** Keys that keep their value until the recorder is started anew. */
  restartNeeded: string[];
}

/**
 * Takes over of `wanted` what can be taken over without a restart.
 * @param filesAreMounted other files of the credential come with a new pod only, and with it the restart
 */
export function changeOf(inForce: Configuration, wanted: Configuration, filesAreMounted: boolean): Change {
  const restartNeeded: string[] = [];
  const compare = (key: string, before: unknown, after: unknown): void => {
    if (!isDeepStrictEqual(before, after)) restartNeeded.push(key);
  };
  for (const key of ['name', 'cluster', 'namespace', 'listen', 'storage'] as const) {
    compare(key, inForce[key], wanted[key]);
  }
  compare('server.url', inForce.server.url, wanted.server.url);
  const changesFiles =
    filesAreMounted &&
    !isDeepStrictEqual(filesOf(inForce.server.credential), filesOf(wanted.server.credential));
  if (changesFiles) restartNeeded.push('server.credential');
  const { commit, spool, onFailure, maxUploadLagMs, maxRequestBytes } = wanted.recording;
  compare('recording.commit', inForce.recording.commit, commit);
  compare('recording.spool', inForce.recording.spool, spool);
  // A body that the memory in force has no room for could never pass.
  const hasRoom = maxRequestBytes <= inForce.limits.memoryBytes;
  if (!hasRoom) restartNeeded.push('recording.maxRequestBytes');
  compare('status.listen', inForce.status.listen, wanted.status.listen);
  const changesTls = (inForce.status.tls === undefined) !== (wanted.status.tls === undefined);
  if (changesTls) restartNeeded.push('status.tls');
  compare('status.live', inForce.status.live, wanted.status.live);
  compare('drain', inForce.drain, wanted.drain);
  compare('limits', inForce.limits, wanted.limits);
  const next: Configuration = {
    ...inForce,
    labels: wanted.labels,
    server: {
      ...inForce.server,
      credential: changesFiles ? inForce.server.credential : wanted.server.credential,
      callerToken: wanted.server.callerToken,
    },
    auth: wanted.auth,
    rules: wanted.rules,
    masking: wanted.masking,
    recording: {
      ...inForce.recording,
      onFailure,
      maxUploadLagMs,
      maxRequestBytes: hasRoom ? maxRequestBytes : inForce.recording.maxRequestBytes,
    },
    status: {
      ...inForce.status,
      ...(changesTls || wanted.status.tls === undefined ? {} : { tls: wanted.status.tls }),
    },
    log: wanted.log,
    digest: wanted.digest,
  };
  return { next, restartNeeded };
}

function filesOf(credential: CredentialConfiguration | null): unknown[] {
  const entries = Object.entries(credential ?? {}).filter(([key]) => key.endsWith('File'));
  return entries.map(([, file]) => file).sort();
}
