/**
 * Owns a process with a whole recorder that kills itself at the n-th file primitive since its start or since SIGTERM:
 * `node doomed-recorder.ts <configuration> start|drain <n> before|half|after`.
 * Segments are small, so that all that happens to a segment happens within a few hundred primitives.
 */
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { startRecorder } from '@mcp-recorder/sidecar';
import { loadConfiguration } from '@mcp-recorder/sidecar/config/load';
import { createDoomedFiles, type Death } from './doomed-files.ts';

const LIMITS = {
  segmentBytes: 256 * 1024,
  reserveBytes: 128 * 1024,
  batchBytes: 64 * 1024,
  sealAfterMs: 300,
};

const [file, since, at, how] = process.argv.slice(2);
const files = createDoomedFiles();
const doom = () => files.doom(Number(at), how as Death);
const configuration = loadConfiguration({ file, flags: {} });
if (since === 'start') doom();
const recorder = await startRecorder(configuration, {
  files: files.spool,
  store: createDirectoryStore(configuration.storage.location, files.store),
  limits: LIMITS,
});
process.once('SIGTERM', async () => {
  if (since === 'drain') doom();
  const { uploaded } = await recorder.drain();
  console.log(`drained after ${files.count()} primitives`);
  process.exit(uploaded ? 0 : 1);
});
console.log(`status http after ${files.count()} primitives`);
