/**
 * Owns the watch over the configuration that is delivered to a pod: each delivery is held against its signature, taken over or refused.
 * Invariant: what is not taken changes nothing, and is said: in the recording once for each that is different, in the log, in the status.
 */
import type { Logger } from 'pino';
import {
  type Checked,
  checkDelivery,
  type Delivery,
  type Expected,
  readDelivery,
} from './config/delivered.ts';
import type { Recorder } from './main.ts';
import type { Reload } from './pod-parts.ts';

/** What of a recorder takes part. */
type Reconfigured = Pick<Recorder, 'reconfigure' | 'refuseConfiguration'>;

export interface ReloadWatch {
  readonly current: Reload;
  /** The authorities of the store, as they were delivered with the last configuration that was taken. */
  readonly storeCa: string | null;
  /** Begins to look. */
  start(recorder: Reconfigured): void;
  close(): void;
}

export interface ReloadOptions {
  expected: Expected;
  log: Logger;
  /** What the recorder was started with. */
  started: { delivery: Delivery; storeCa: string | null };
}

/** How often it is looked (ms): the kubelet delivers about once a minute. */
const LOOK_MS = 1_000;
/** So many refused deliveries are remembered, so that none is recorded twice. */
const MAX_REMEMBERED = 1_000;

export function createReloadWatch({ expected, log, started }: ReloadOptions): ReloadWatch {
  /** What became of the last delivery. */
  let verdict: Reload = { restartNeeded: [], refused: null };
  /** Why it can't be read now; null when it can. */
  let unreadable: string | null = null;
  let { storeCa } = started;
  let { fingerprint, digest: inForce } = started.delivery;
  const remembered = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  async function takeOver(
    delivered: Extract<Checked, { ok: true }>,
    recorder: Reconfigured,
  ): Promise<{ ok: true; restartNeeded: string[] } | { ok: false; reason: string }> {
    try {
      const restartNeeded = await recorder.reconfigure(delivered.configuration, delivered.signedBy);
      ({ storeCa } = delivered);
      return { ok: true, restartNeeded };
    } catch (error) {
      return { ok: false, reason: error instanceof Error ? error.message : String(error) };
    }
  }

  async function take(delivery: Delivery, recorder: Reconfigured): Promise<void> {
    const checked = await checkDelivery(delivery, expected);
    if (closed) return;
    const { signedBy } = checked;
    const { digest } = delivery;
    fingerprint = delivery.fingerprint;
    const taken = checked.ok ? await takeOver(checked, recorder) : checked;
    if (taken.ok) {
      const { restartNeeded } = taken;
      verdict = { restartNeeded, refused: null };
      const fields = { configuration: digest, signed_by: signedBy, restart_needed: restartNeeded };
      log.info(
        fields,
        digest === inForce ? 'the configuration is as it was' : 'the configuration has changed',
      );
      inForce = digest;
      return;
    }
    const { reason } = taken;
    if (!remembered.has(fingerprint)) {
      if (remembered.size >= MAX_REMEMBERED) remembered.delete(remembered.values().next().value ?? '');
      remembered.add(fingerprint);
      recorder.refuseConfiguration(digest, signedBy);
    }
    const hint =
      signedBy === null
        ? 'Somebody other than the operator has written it: look at who may change ConfigMaps here. The operator puts its own back.'
        : "It is the operator's, and can't be used: are both of the same version?";
    verdict = { ...verdict, refused: reason };
    log.warn({ configuration: digest, hint }, `the configuration stays as it was: ${reason}`);
  }

  async function look(recorder: Reconfigured): Promise<void> {
    try {
      const delivery = await readDelivery(expected);
      if (delivery.fingerprint !== fingerprint) await take(delivery, recorder);
      unreadable = null;
    } catch (error) {
      const why = `it can't be read: ${error instanceof Error ? error.message : String(error)}`;
      const hint = 'Look at the volume of the configuration, and at its ConfigMap.';
      if (why !== unreadable) log.warn({ hint }, `the configuration stays as it was: ${why}`);
      unreadable = why;
    }
    if (!closed) timer = setTimeout(() => void look(recorder), LOOK_MS);
  }

  return {
    get current() {
      return unreadable === null ? verdict : { ...verdict, refused: unreadable };
    },
    get storeCa() {
      return storeCa;
    },
    start(recorder) {
      timer = setTimeout(() => void look(recorder), LOOK_MS);
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
