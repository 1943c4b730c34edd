#!/usr/bin/env -S node --max-semi-space-size=8 --expose-gc
/**
 * Owns the process of a recorder in a pod: what the environment and the signed files say, started, reloaded, ended.
 * Invariants: it does not start on a configuration that the operator has not signed; exit code 0 means that all is in the store.
 */
import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { formatAddress } from './config/address.ts';
import { checkDelivery, readDelivery } from './config/delivered.ts';
import { readPodSettings } from './config/pod.ts';
import { giveBackWhenIdle } from './idle-memory.ts';
import { answerLink } from './link.ts';
import { startRecorder } from './main.ts';
import { createReloadWatch } from './reload.ts';
import { SpoolDirectoryError } from './spool/lock.ts';

/** As the command line has them. */
const EXIT = { ok: 0, left: 1, failed: 2 } as const;

/**
 * So long after a drain by the hook the process ends by itself, when both hooks have their answers (ms). A pod that ends needs it no more. But
 * the kubelet calls the server's hook also when it makes only that container anew, in a pod that lives on: there it starts the recorder again.
 */
const ANSWERED_MS = 5_000;

/** Settled when the process is told to end; from the start on, since the first process of a container ignores signals that it does not handle. */
const ended = new Promise<void>((resolve) => {
  process.on('SIGTERM', () => resolve());
  process.on('SIGINT', () => resolve());
});

async function run(): Promise<number> {
  const settings = readPodSettings();
  const { namespace, server, keys, tokenFile, drainPath, sessionKey, identity } = settings;
  const expected = { directory: settings.configDirectory, namespace, server, keys };
  const delivery = await readDelivery(expected).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    const { directory } = expected;
    throw new Error(
      `The configuration of ${namespace}/${server} can't be read from ${directory}: ${why}.\nThe ConfigMap that the operator writes must be mounted there.`,
    );
  });
  const checked = await checkDelivery(delivery, expected);
  if (!checked.ok) {
    throw new Error(
      `The configuration of ${namespace}/${server} in ${expected.directory} can't be used: ${checked.reason}.\nOnly the operator may write it; it signs what it writes.`,
    );
  }
  const { configuration, storeCa } = checked;
  const log = pino({ level: configuration.log.level }, pino.destination(2));
  const watch = createReloadWatch({ expected, log, started: { delivery, storeCa } });
  const reload = () => watch.current;
  const serverUrl = new URL(configuration.server.origin);
  const serverPort = Number(serverUrl.port || (serverUrl.protocol === 'https:' ? 443 : 80));
  const recorder = await startRecorder(configuration, {
    log,
    reload,
    pod: {
      identity,
      sessionKey: { id: sessionKeyId(sessionKey), key: sessionKey },
      drainPath,
      readStoreCa: storeCa === null ? null : () => watch.storeCa ?? storeCa,
      link: (status) => answerLink({ tokenFile, serverPort, reload }, status),
    },
  });
  watch.start(recorder);
  const stopGivingBack = giveBackWhenIdle(() => recorder.lines);
  log.info(
    {
      stream: recorder.stream,
      listen: formatAddress(recorder.listenAddress),
      status: formatAddress(recorder.statusAddress),
      configuration: configuration.digest,
      signed_by: checked.signedBy,
    },
    `recording ${configuration.server.url} as ${configuration.name}`,
  );
  await Promise.race([ended, recorder.drained.then(() => pause(ANSWERED_MS))]);
  watch.close();
  stopGivingBack();
  const { uploaded } = await recorder.drain(true);
  return uploaded ? EXIT.ok : EXIT.left;
}

/** Names the key without telling it. */
function sessionKeyId(key: Buffer): string {
  return `shared-${createHash('sha256').update(key).digest('hex').slice(0, 8)}`;
}

/** What keeps a recorder from starting, with what to do about it. */
function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error instanceof SpoolDirectoryError ? `${error.message}\n${error.hint}` : error.message;
}

process.exitCode = await run().catch((error: unknown) => {
  process.stderr.write(`mcp-recorder: ${describeFailure(error)}\n`);
  return EXIT.failed;
});
// What may still be under way (a look at the store that nobody waits for) must not hold up the end of the pod.
process.exit();
