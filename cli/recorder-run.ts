/**
 * Owns one run of the recorder in this process: started, ended when asked, and what was recorded is said.
 * Invariant: exit code 0 means that the recording was sealed and everything in it is in the store.
 */
import { startRecorder } from '@mcp-recorder/sidecar';
import { formatAddress } from '@mcp-recorder/sidecar/config/address';
import type { Configuration } from '@mcp-recorder/sidecar/config/schema';
import type { ConfigurationWatch } from './configuration-watch.ts';
import { EXIT } from './failure.ts';
import { formatS3Flags, quote } from './s3-options.ts';
import { count } from './table.ts';

/** Under npm a Ctrl-C arrives twice, from the terminal and from npm; a person takes longer to press it again. */
const SAME_SIGNAL_MS = 500;

/** Where a recorder that runs can be reached. */
export interface Running {
  /** The MCP endpoint for clients. */
  url: string;
  statusUrl: string;
  /** Where the recording is, as reading commands take it. */
  store: string;
}

/**
 * Runs the recorder until `stop` is settled, drains it and says what was recorded.
 * @param started called once clients can connect
 * @param watch over the file that the configuration came from, when there is one
 * @returns the exit code: 0 when all is in the store, 1 when something waits in the spool for the next start
 * @throws what keeps the recorder from starting
 */
export async function runRecorder(
  configuration: Configuration,
  stop: Promise<unknown>,
  started: (running: Running) => void,
  watch: ConfigurationWatch | null = null,
): Promise<number> {
  const recorder = await startRecorder(configuration, watch === null ? {} : { reload: watch.reload });
  watch?.start(recorder);
  const store = configuration.storage.location;
  started({
    url: `http://${formatAddress(recorder.listenAddress)}${configuration.server.path}`,
    statusUrl: `http://${formatAddress(recorder.statusAddress)}/status`,
    store,
  });
  await stop;
  await watch?.close();
  process.stdout.write('Ending: running exchanges may finish, then the recording is sealed.\n');
  const report = await recorder.drain();
  const recorded = [
    count(report.exchanges, 'exchange'),
    count(report.operations, 'operation'),
    count(report.segments, 'segment'),
  ];
  process.stdout.write(`Recorded ${recorded.join(', ')} in ${store} (stream ${report.stream}).\n`);
  if (report.uploaded) {
    const { storage } = configuration;
    const flags = storage.kind === 's3' ? formatS3Flags(storage.s3) : '';
    process.stdout.write(`Verify with: mcp-recorder verify ${quote(store)}${flags}\n`);
    return EXIT.ok;
  }
  const spool = configuration.recording.spool.directory;
  process.stderr.write(
    `mcp-recorder: not everything could be stored. The rest is safe in ${spool}; the next start with this spool stores it.\n`,
  );
  return EXIT.no;
}

/** Settled by SIGTERM or SIGINT; the next one ends the process at once. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let firstMs: number | null = null;
    const onSignal = () => {
      firstMs ??= Date.now();
      if (Date.now() - firstMs > SAME_SIGNAL_MS) {
        process.stderr.write(
          'mcp-recorder: ended before the recording was sealed; the next start does it.\n',
        );
        process.exit(EXIT.no);
      }
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
