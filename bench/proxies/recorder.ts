/**
 * Owns the process of the candidates `recorder` and `recorder-off`: the recorder started by its one entry function.
 * Started with the origin of the upstream server, a directory for store and spool, and `on`, `off` or a configuration file; writes its port.
 * Invariant: `off` differs from `on` in nothing but the spool, which acknowledges every line and keeps none.
 */
import fs from 'node:fs';
import path from 'node:path';
import { loadConfiguration } from '@mcp-recorder/sidecar/config/load';
import { type RecorderParts, startRecorder } from '../../sidecar/main.ts';
import type { Spool } from '../../sidecar/spool/spool.ts';

const [, , upstream, directory, recording] = process.argv;
if (upstream === undefined || directory === undefined || recording === undefined) {
  throw new Error('usage: recorder.ts ORIGIN DIRECTORY on|off|FILE');
}
const isFile = recording !== 'on' && recording !== 'off';
const configuration = loadConfiguration({
  ...(isFile ? { file: recording } : {}),
  flags: {
    upstream: `${upstream}/mcp`,
    ...(isFile ? {} : { anonymous: true, store: path.join(directory, 'store') }),
    spool: path.join(directory, 'spool'),
    name: 'bench',
    listen: '127.0.0.1:0',
  },
});
const parts: RecorderParts = recording === 'off' ? { spool: createForgetfulSpool() } : {};
const recorder = await startRecorder({ ...configuration, log: { level: 'warn' } }, parts);
// Where its status is, for who looks.
fs.mkdirSync(directory, { recursive: true });
fs.writeFileSync(path.join(directory, 'status-port'), String(recorder.statusAddress.port));
process.stdout.write(`${recorder.listenAddress.port}\n`);
process.once('SIGTERM', () => {
  recorder.drain().then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      process.exit(1);
    },
  );
});

function createForgetfulSpool(): Spool {
  let lineCount = 0;
  return {
    stream: '00000000000000000000000000',
    append(lines, durable) {
      lineCount += lines.length;
      // Later, as the real one: callers may rely on append returning before its lines are durable.
      queueMicrotask(() => durable(null));
    },
    status: () => ({
      stream: '00000000000000000000000000',
      watermarks: { appended: lineCount, synced: lineCount, acked: lineCount },
      bytes: 0,
      sizeLimit: 0,
      sealedWaiting: 0,
      quarantined: 0,
      lagMs: 0,
      diskWaitMs: 0,
      stuck: null,
      lastProblem: null,
    }),
    setAckPolicy() {},
    drain: async () => ({ uploaded: true, left: 0 }),
  };
}
