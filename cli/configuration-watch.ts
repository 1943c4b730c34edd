/**
 * Owns the watch over the configuration file of a recorder that people run: read again when it changes, taken over or refused.
 * Invariant: what can't be used changes nothing, and is said: to who runs the recorder, in the recording, in the status.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Recorder, RecorderParts } from '@mcp-recorder/sidecar';
import { loadCheckedConfiguration } from '@mcp-recorder/sidecar/config/check-policy';
import type { ConfigurationFlags } from '@mcp-recorder/sidecar/config/flags';

type Reload = ReturnType<NonNullable<RecorderParts['reload']>>;
/** What of a recorder takes part. */
type Reconfigured = Pick<Recorder, 'reconfigure' | 'refuseConfiguration'>;

export interface ConfigurationWatch {
  /** What became of the file since the start, for the recorder's status. */
  reload(): Reload;
  /** Begins to look. */
  start(recorder: Reconfigured): void;
  /** Settled when nothing is taken over any more. */
  close(): Promise<void>;
}

/** How often it is looked (ms): editors replace files, so that being told of changes would miss some. */
const LOOK_MS = 1_000;

/**
 * @param digest of the configuration that the recorder was started with
 * @param say for who runs the recorder
 */
export function watchConfiguration(
  file: string,
  flags: ConfigurationFlags,
  digest: string,
  say: (message: string) => void,
): ConfigurationWatch {
  let inForce = digest;
  /** What stood in the file when it was looked at last. */
  let known: string | null = null;
  let reload: Reload = { restartNeeded: [], refused: null };
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  let closed = false;

  function refuse(reason: string): void {
    if (reason !== reload.refused) say(`The configuration stays as it was. ${reason}`);
    reload = { ...reload, refused: reason };
  }

  async function take(text: string, recorder: Reconfigured): Promise<void> {
    try {
      const configuration = await loadCheckedConfiguration({ file, text, flags });
      const restartNeeded = await recorder.reconfigure(configuration, null);
      const isAsBefore = configuration.digest === inForce && reload.refused === null;
      const rest = restartNeeded.length === 0 ? '' : ` Only after a restart: ${restartNeeded.join(', ')}.`;
      if (!isAsBefore) say(`The configuration ${file} is in force as it is now.${rest}`);
      inForce = configuration.digest;
      reload = { restartNeeded, refused: null };
    } catch (error) {
      recorder.refuseConfiguration(`sha256:${createHash('sha256').update(text).digest('hex')}`, null);
      refuse(messageOf(error));
    }
  }

  async function look(recorder: Reconfigured): Promise<void> {
    const text = await readFile(file, 'utf8').catch((error: unknown) => {
      // Perhaps it is being replaced. There is nothing that the recording could name.
      refuse(`${file} can't be read: ${messageOf(error)}`);
      return null;
    });
    // One that is there again is looked at again.
    if (text !== null && text !== known) await take(text, recorder);
    known = text;
  }

  return {
    reload: () => reload,
    start(recorder) {
      async function lookOn(): Promise<void> {
        await look(recorder);
        if (!closed) next();
      }
      function next(): void {
        timer = setTimeout(() => {
          looking = lookOn();
        }, LOOK_MS);
      }
      next();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await looking;
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
