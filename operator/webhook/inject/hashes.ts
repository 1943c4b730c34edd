/**
 * Owns the digests that tell a pod with today's recorder from one with yesterday's.
 * Invariant: a digest changes when, and only when, something changes that takes another pod: what shapes it, or what its recorder reads at its
 * start only. What the recorder reloads while it runs is in neither.
 */
import type { RecordedMCPServer } from '../../api/recorded-mcp-server.ts';
import { digestOf } from '../../desired/canonical-json.ts';
import type { Settings } from '../../settings.ts';
import { credentialKeys } from './server-credential.ts';

/** Raised when this version makes another pod of the same resource and settings; recorded pods are then outdated, and stay. */
const SHAPE = 1;

export interface InjectionHashes {
  /** Over what of the resource shapes the pod: a pod with another one does not do what its owner asked for. */
  resource: string;
  /** Over what of the platform team's settings does: a pod with another one is outdated, and recorded all the same. */
  settings: string;
}

export function injectionHashes(resource: RecordedMCPServer, settings: Settings): InjectionHashes {
  const { server, storage, traffic, recording } = resource.spec;
  const { cluster, sidecar, stores } = settings;
  return {
    resource: digestOf({
      server: { container: server.container, port: server.port },
      ...(server.credential === undefined ? {} : { credential: credentialKeys(resource) }),
      storage,
      mode: traffic.mode,
      relocate: traffic.relocate,
      commit: recording.commit,
      spool: recording.spool,
    }),
    settings: digestOf({
      shape: SHAPE,
      cluster,
      sidecar,
      store: storage.store === undefined ? undefined : stores[storage.store],
    }),
  };
}
