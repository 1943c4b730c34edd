/**
 * Owns the memory of what this process wrote, so that a decision that is made again writes nothing again.
 * Invariant: an object that anybody else touched since counts as not written; forgetting costs one more request, never a wrong object.
 */
import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../kube/resource.ts';

export interface Written {
  /**
   * Whether the object stands as it is wanted, by its content, or as it was last written.
   * @param id names it: kind, namespace, name
   * @param live our copy of it; undefined when the copy has none
   */
  stands(id: string, wanted: object, live: Readonly<KubeObject> | undefined): boolean;
  /** @param before our copy when it was written; @param version that the API server gave it */
  note(
    id: string,
    wanted: object,
    before: Readonly<KubeObject> | undefined,
    version: string | undefined,
  ): void;
  forget(id: string): void;
}

/** How long our copy may be behind our own write (ms); past this the write is made again, which changes nothing. */
const BEHIND_MS = 5_000;

export function createWritten(nowMs: () => number): Written {
  const known = new Map<
    string,
    { digest: string; version: string | undefined; before: string | undefined; atMs: number }
  >();
  return {
    stands(id, wanted, live) {
      if (live !== undefined && isAsWanted(wanted, live)) return true;
      const entry = known.get(id);
      if (entry?.digest !== digestOf(wanted)) return false;
      const version = live?.metadata.resourceVersion;
      if (version !== undefined && version === entry.version) return true;
      return version === entry.before && nowMs() - entry.atMs < BEHIND_MS;
    },
    note(id, wanted, before, version) {
      const digest = digestOf(wanted);
      known.set(id, { digest, version, before: before?.metadata.resourceVersion, atMs: nowMs() });
    },
    forget: (id) => void known.delete(id),
  };
}

/**
 * Whether an object has exactly the content that is wanted, and our labels and owners among its own. The API server's defaults make a difference
 * here: then memory tells.
 */
function isAsWanted(wanted: object, live: Readonly<KubeObject>): boolean {
  const { metadata: wantedMeta, ...content } = JSON.parse(
    JSON.stringify(wanted, withoutEmptyList),
  ) as Partial<KubeObject>;
  const { metadata, status: _, ...liveContent } = live as Readonly<KubeObject> & { status?: unknown };
  const { labels = {}, annotations = {}, ownerReferences } = wantedMeta ?? {};
  return (
    wantedMeta?.name === metadata.name &&
    isDeepStrictEqual(content, liveContent) &&
    isPartOf(labels, metadata.labels) &&
    isPartOf(annotations, metadata.annotations) &&
    isDeepStrictEqual(ownerReferences, metadata.ownerReferences)
  );
}

/** An empty list is wanted so that it is ours; the API server stores none. */
function withoutEmptyList(_key: string, value: unknown): unknown {
  return Array.isArray(value) && value.length === 0 ? undefined : value;
}

function isPartOf(wanted: Record<string, string>, live: Record<string, string> | undefined): boolean {
  return Object.entries(wanted).every(([name, value]) => live?.[name] === value);
}

function digestOf(wanted: object): string {
  return hash('sha256', JSON.stringify(wanted));
}
