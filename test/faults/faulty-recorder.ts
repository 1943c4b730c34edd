/**
 * Owns a process with a whole recorder whose disk and clock go wrong on command: `node faulty-recorder.ts <configuration>`.
 * The commands come by HTTP, on a port that it prints: `PUT /` with what is wrong from now on (`InnerFaults`); answered when it is in force.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createSwitchableFiles, type InnerFaults, makeClockSettable } from './switchable-files.ts';

// Before anything else is loaded: modules may keep `Date.now`.
const setClock = makeClockSettable();
const { startRecorder } = await import('@mcp-recorder/sidecar');
const { loadConfiguration } = await import('@mcp-recorder/sidecar/config/load');
const { formatAddress } = await import('@mcp-recorder/sidecar/config/address');

const { files, set, ...switched } = createSwitchableFiles();
const configuration = loadConfiguration({ file: process.argv[2], flags: {} });
const recorder = await startRecorder(configuration, { files });

const control = createServer((req, res) => {
  const pieces: Buffer[] = [];
  req.on('data', (piece: Buffer) => pieces.push(piece));
  req.on('end', () => {
    const faults = JSON.parse(Buffer.concat(pieces).toString()) as InnerFaults;
    setClock(faults.clockMs);
    set(faults);
    res.end(JSON.stringify({ strikes: switched.strikes, date: new Date().toISOString(), now: Date.now() }));
  });
});
await new Promise<void>((ready) => control.listen(0, '127.0.0.1', ready));
const { port } = control.address() as AddressInfo;

process.once('SIGTERM', async () => {
  const { uploaded } = await recorder.drain();
  process.exit(uploaded ? 0 : 1);
});
// The lines of `mcp-recorder record`, and one more.
console.log(`faults                 http://127.0.0.1:${port}`);
console.log(`  clients connect to   http://${formatAddress(recorder.listenAddress)}/mcp`);
console.log(`  status               http://${formatAddress(recorder.statusAddress)}/status`);
