/**
 * Owns the taking over of another configuration while the recorder runs.
 * Invariant: what decides about requests is exchanged at once and whole, together with the line that states it: what comes after that line
 * may have been judged by the old configuration, and nothing before it by the new one.
 */
import { encodeTail } from '@mcp-recorder/recording/format/encode';
import type { Logger } from 'pino';
import { changeOf } from './config/change.ts';
import type { Configuration } from './config/schema.ts';
import { closePolicy, loadPolicy } from './load-policy.ts';
import type { Recorder } from './main.ts';
import type { Policy } from './policy.ts';
import type { ProxyContext } from './proxy/context.ts';
import type { Report } from './report.ts';
import type { LineTail } from './spool/spool.ts';

export interface ReconfigurationParts {
  /** Exchanged here, and nowhere else. */
  inForce: { configuration: Configuration };
  context: Pick<ProxyContext, 'policy' | 'maxRequestBytes'>;
  /** In place of what any configuration says. */
  policy: Policy | null;
  /** Files come with a new pod only. */
  filesAreMounted: boolean;
  log: Logger;
  report: Report;
  /** Appends lines that belong to no exchange. @param digest of the configuration that is in force from these lines on */
  append(tails: LineTail[], digest: string | null): void;
  /** Another one is in force. */
  changed(before: Configuration['recording'], now: Configuration['recording']): void;
}

export function createReconfiguration(
  parts: ReconfigurationParts,
): Pick<Recorder, 'reconfigure' | 'refuseConfiguration'> {
  const { inForce, context, log, report } = parts;
  let last: Promise<unknown> = Promise.resolve();

  async function takeOver(wanted: Configuration, signedBy: string | null): Promise<string[]> {
    const { configuration: old } = inForce;
    const { policy: replaced } = context;
    const { next, restartNeeded } = changeOf(old, wanted, parts.filesAreMounted);
    const policy = parts.policy ?? (await loadPolicy(next, log, { configuration: old, policy: replaced }));
    // From here on at once.
    inForce.configuration = next;
    context.policy = policy;
    context.maxRequestBytes = next.recording.maxRequestBytes;
    if (next.digest !== old.digest) {
      const { digest: before } = old;
      const config = { kind: 'configuration', before, after: next.digest, signed_by: signedBy } as const;
      parts.append([encodeTail({ type: 'config', config })], next.digest);
    }
    closePolicy(replaced, policy);
    if (policy.rules !== replaced.rules) report.rulesChanged();
    log.level = next.log.level;
    parts.changed(old.recording, next.recording);
    return restartNeeded;
  }

  return {
    /** One after the other: each begins where the one before has ended. */
    reconfigure(wanted, signedBy) {
      const done = last.then(() => takeOver(wanted, signedBy));
      last = done.catch(() => {});
      return done;
    },
    refuseConfiguration(digest, signedBy) {
      const { digest: before } = inForce.configuration;
      const config = { kind: 'configuration_refused', before, after: digest, signed_by: signedBy } as const;
      parts.append([encodeTail({ type: 'config', config })], null);
    },
  };
}
