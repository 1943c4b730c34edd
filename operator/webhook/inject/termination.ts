/**
 * Owns how a pod with the recorder comes to its end (measured; docs/operations.md).
 * Invariant: the server gets SIGTERM when the recorder has drained, unless it has a preStop hook of its own; and it has then as much time
 * as it had before.
 */
import type { Container, LifecycleHandler, PodSpec } from 'kubernetes-types/core/v1';
import type { Changes } from './changes.ts';
import type { Flag } from './flags.ts';

/**
 * What a drain takes beyond the time that calls are given, s: endpoints are taken away (3), the last segment is uploaded (10), and the
 * kubelet comes to it (2).
 */
export const DRAIN_RESERVE_SECONDS = 15;
/** For that long requests still arrive after a pod has been told to stop, s. */
const ENDPOINTS_SECONDS = 3;
/** The API server's own default, s. */
const DEFAULT_GRACE_SECONDS = 30;

/** The hook that is answered when the recorder has drained. The kubelet does not verify the certificate. */
export function drainHook(path: string, statusPort: number): LifecycleHandler {
  return { httpGet: { path, port: statusPort, scheme: 'HTTPS' } };
}

/** Lets the server end after the drain, in place. */
export function setTermination(
  spec: PodSpec,
  server: Container,
  hook: LifecycleHandler,
  drainSeconds: number,
  changes: Changes,
): Flag[] {
  const grace = spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
  changes.setPodField('terminationGracePeriodSeconds', grace + drainSeconds + DRAIN_RESERVE_SECONDS);
  const own = server.lifecycle?.preStop;
  if (own === undefined) {
    changes.setField(server, 'lifecycle', { ...server.lifecycle, preStop: hook });
    return [];
  }
  const seconds = knownSeconds(own);
  if (seconds === null) return ['preStopUnknown'];
  return seconds < ENDPOINTS_SECONDS ? ['preStopTooShort'] : [];
}

/** How long a hook takes, s; null where only running it would tell. */
function knownSeconds({ sleep, exec }: LifecycleHandler): number | null {
  if (sleep !== undefined) return sleep.seconds;
  const command = exec?.command ?? [];
  const [program = '', flag, script] = command;
  const shell = /(?:^|\/)(?:ba|da|a)?sh$/.test(program) && flag === '-c' && command.length === 3;
  const match = /^\s*(?:\S*\/)?sleep\s+(\d+(?:\.\d+)?)s?\s*(;|&&|$)/.exec(
    shell ? (script ?? '') : command.join(' '),
  );
  if (match === null) return null;
  const seconds = Number(match[1]);
  // What a script does after its sleep only adds to it.
  return match[2] === '' || seconds >= ENDPOINTS_SECONDS ? seconds : null;
}
