/**
 * Owns the digests that tell a pod with today's recorder from one with yesterday's.
 * Invariant: a digest changes when, and only when, something changes that a new pod would be made with; what the recorder reloads by itself is in neither.
 */
import type { RecordedMCPServer } from '../../api/recorded-mcp-server.ts';
import { digestOf } from '../../desired/canonical-json.ts';
import type { Settings } from '../../settings.ts';
import { credentialsSecret } from './storage.ts';

/** Raised when this version makes another pod of the same resource and settings. */
const SHAPE = 1;

export interface InjectionHashes {
  /** Over what of the resource shapes the pod: a pod with another one does not do what its owner asked for. */
  resource: string;
  /** Over what of the platform team's settings does: a pod with another one is outdated, and recorded all the same. */
  settings: string;
}

export function injectionHashes(resource: RecordedMCPServer, settings: Settings): InjectionHashes {
  const { server, storage, traffic, recording } = resource.spec;
  const { image, imagePullPolicy, imagePullSecrets, ports, uid, resources, drainSeconds } = settings.sidecar;
  const { mode, relocate } = traffic;
  return {
    resource: digestOf({
      server,
      mode,
      relocate,
      spool: recording.spool.sizeLimit,
      store: storage.store,
      credentials: storage.s3?.credentialsSecretRef?.name,
    }),
    settings: digestOf({
      shape: SHAPE,
      image,
      imagePullPolicy,
      imagePullSecrets,
      ports,
      uid,
      resources,
      drainSeconds,
      credentials: storage.store === undefined ? null : credentialsSecret(resource, settings),
    }),
  };
}
