/**
 * Owns the faults of the matrix: how each is made and ended, and what the gate must do meanwhile, as data.
 * `docs/faults.md` says the same in words; `test/faults/docs.test.ts` holds both together.
 */
import type { CommitMode } from '@mcp-recorder/sidecar/config/schema';
import type { Minio } from '../support/minio.ts';
import type { FaultLane } from './fault-lane.ts';
import { type GateBounds, SPOOL_BOUNDS, STALL_BOUNDS, uploadBounds } from './gate-bounds.ts';
import { type LinkFault, STORE_ANSWERS } from './link-fault.ts';
import type { SceneName } from './scenes.ts';
import type { SmallDisk } from './small-disk.ts';

/** What a fault may touch. */
export interface Victims {
  lane: FaultLane;
  minio: Minio;
  /** Only of faults that need a disk. */
  disk: SmallDisk | null;
}

/**
 * `closes`: Degraded and Closed within their bounds, for one of the reasons. `stays open`: never Closed (Degraded is fine) for as long as a
 * fault that closes would have needed, and longer. `either`: what happens depends on sizes; when it closes, then for one of the reasons.
 */
export type Expectation =
  | { verdict: 'closes'; bounds: GateBounds; reasons: readonly string[] }
  | { verdict: 'stays open' }
  | { verdict: 'either'; reasons: readonly string[] };

export interface FaultCase {
  name: string;
  /** A MinIO of its own, a small disk for the spool, a recorder that fails inside. */
  needs?: 'minio' | 'disk' | 'inside';
  /** The link that it is on. */
  link?: 'store' | 'server';
  inject(victims: Victims): Promise<unknown>;
  heal(victims: Victims): Promise<unknown>;
  expect(scene: SceneName, commit: CommitMode): Expectation;
  /** The reason for the expectation. */
  why: string;
}

const HOUR_MS = 3_600_000;

const toStore = (fault: LinkFault) => ({
  link: 'store' as const,
  inject: ({ lane }: Victims) => linkOf(lane).set(fault),
  heal: ({ lane }: Victims) => linkOf(lane).heal(),
});
const toServer = (fault: LinkFault) => ({
  link: 'server' as const,
  inject: ({ lane }: Victims) => lane.server.set(fault),
  heal: ({ lane }: Victims) => lane.server.heal(),
});
const inside = (faults: Parameters<FaultLane['inside']>[0]) => ({
  needs: 'inside' as const,
  inject: ({ lane }: Victims) => lane.inside(faults),
  heal: ({ lane }: Victims) => lane.inside({}),
});

function linkOf(lane: FaultLane) {
  if (lane.store === null) throw new Error('this lane has no link to its store');
  return lane.store;
}
function diskOf({ disk }: Victims): SmallDisk {
  if (disk === null) throw new Error('this lane has no disk of its own');
  return disk;
}

const noUpload =
  (...reasons: string[]) =>
  (scene: SceneName): Expectation => ({ verdict: 'closes', bounds: uploadBounds(scene === 'idle'), reasons });
const staysOpen = (): Expectation => ({ verdict: 'stays open' });
/** Nothing is written while nobody calls. */
const noLine =
  (...reasons: string[]) =>
  (scene: SceneName): Expectation =>
    scene === 'idle' ? staysOpen() : { verdict: 'closes', bounds: SPOOL_BOUNDS, reasons };

/** The faults that the issue names, in its order. */
export const MATRIX: readonly FaultCase[] = [
  {
    name: 'refused',
    ...toStore({ kind: 'refuse' }),
    expect: noUpload('store_unreachable'),
    why: 'nothing can be uploaded',
  },
  {
    name: 'black-holed',
    ...toStore({ kind: 'black hole' }),
    expect: noUpload('store_timeout'),
    why: 'nothing can be uploaded; silence counts from when the unanswered request was made',
  },
  {
    name: '500s',
    ...toStore({ kind: 'answer', answer: STORE_ANSWERS.internalError }),
    expect: noUpload('store_failed'),
    why: 'nothing can be uploaded',
  },
  {
    name: 'SlowDown',
    ...toStore({ kind: 'answer', answer: STORE_ANSWERS.slowDown }),
    expect: noUpload('store_throttled'),
    why: 'nothing can be uploaded',
  },
  {
    name: '403',
    ...toStore({ kind: 'answer', answer: STORE_ANSWERS.accessDenied }),
    expect: noUpload('store_denied'),
    why: 'nothing can be uploaded',
  },
  {
    name: 'expired credentials',
    ...toStore({ kind: 'answer', answer: STORE_ANSWERS.expiredToken }),
    expect: noUpload('store_credentials'),
    why: 'nothing can be uploaded',
  },
  {
    name: 'cut mid-PUT',
    ...toStore({ kind: 'cut request', afterBytes: 300 }),
    expect: noUpload('store_unreachable'),
    why: 'every request breaks off before its end, so nothing can be uploaded',
  },
  {
    name: 'answer lost',
    ...toStore({ kind: 'cut answer', afterBytes: 0 }),
    expect: noUpload('store_unreachable'),
    why: 'objects arrive, and the recorder is never told: it must not believe it',
  },
  {
    name: '2 s latency',
    ...toStore({ kind: 'delay', ms: 1_000 }),
    expect: (scene) =>
      scene === 'idle' ? staysOpen() : { verdict: 'either', reasons: ['store_lag', 'store_timeout'] },
    why: 'slow is not broken: a segment is sealed after 0.75 s and confirmed 2 s later, which leaves a quarter of a second of the bound of 3 s: enough for an idle machine',
  },
  {
    name: '10 kB/s',
    ...toStore({ kind: 'throttle', bytesPerSecond: 10_000 }),
    expect: (scene) =>
      scene === 'idle'
        ? staysOpen()
        : { verdict: 'either', reasons: ['store_lag', 'store_timeout', 'store_unreachable'] },
    why: 'closes if, and only if, the traffic compresses to more than 10 kB/s: then the store falls behind for good',
  },
  {
    name: 'MinIO killed',
    needs: 'minio',
    inject: ({ minio }) => minio.kill(),
    heal: ({ minio }) => minio.restart(),
    expect: noUpload('store_unreachable', 'store_failed'),
    why: 'nothing can be uploaded',
  },
  {
    name: 'disk full',
    needs: 'disk',
    inject: (victims) => diskOf(victims).fill(),
    heal: (victims) => diskOf(victims).free(),
    expect: (scene) =>
      scene === 'idle' ? staysOpen() : { verdict: 'either', reasons: ['spool_full', 'spool_stalled'] },
    why: 'the spool writes into files that it has allocated before and uses again; it closes when these do not do',
  },
  {
    name: 'disk read-only',
    needs: 'disk',
    inject: (victims) => diskOf(victims).turnReadOnly(),
    heal: (victims) => victims.lane.restart(() => diskOf(victims).repair()),
    expect: noLine('spool_failed'),
    why: 'the first line that is refused closes; the file system has to be unmounted and checked, so the recorder is restarted to heal',
  },
  {
    name: 'EIO on fdatasync',
    ...inside({ syncData: 'EIO' }),
    expect: noLine('spool_failed'),
    why: 'the first sync that fails closes',
  },
  {
    name: 'clock +1 h',
    ...inside({ clockMs: HOUR_MS }),
    expect: staysOpen,
    why: 'the client of the store corrects its signatures by what the store says; durations are measured by the monotonic clock',
  },
  {
    name: 'clock -1 h',
    ...inside({ clockMs: -HOUR_MS }),
    expect: staysOpen,
    why: 'as +1 h',
  },
];

/** Beyond the matrix. */
export const MORE_FAULTS: readonly FaultCase[] = [
  {
    name: 'store swallows',
    ...toStore({ kind: 'swallow' }),
    expect: noUpload('store_timeout'),
    why: 'as black-holed, and what was sent is lost',
  },
  {
    name: 'fdatasync hangs',
    ...inside({ syncData: 'hang' }),
    expect: (scene) =>
      scene === 'idle'
        ? staysOpen()
        : {
            verdict: 'closes',
            bounds: STALL_BOUNDS,
            reasons: ['spool_stalled'],
          },
    why: 'a disk that does not answer is as good as none; it is noticed by time alone',
  },
  {
    name: 'disk quota',
    ...inside({ write: 'EDQUOT' }),
    expect: noLine('spool_full'),
    why: 'the first line that is refused closes',
  },
  {
    name: 'server refused',
    ...toServer({ kind: 'refuse' }),
    expect: staysOpen,
    why: 'the gate is about recording; calls get 502, recorded',
  },
  {
    name: 'server black-holed',
    ...toServer({ kind: 'black hole' }),
    expect: staysOpen,
    why: 'the gate is about recording; calls wait',
  },
];
