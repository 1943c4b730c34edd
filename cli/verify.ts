/**
 * Owns `mcp-recorder verify`: what a recording proves, in words and in JSON, and the proof of one exchange.
 * Exit codes: 0 all is explained; 1 tampered with or unexplained; 2 could not be read.
 */
import type { StreamReport } from '@mcp-recorder/recording/proof/verify-streams';
import { type StoreReport, verifyStore } from '@mcp-recorder/recording/read/verify-store';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { Command } from 'commander';
import type { Reading } from './audit/reading-log.ts';
import { CommandFailure, EXIT } from './failure.ts';
import { formatTime } from './exchange-text.ts';
import { printableLine } from './printable.ts';
import { createProgress } from './progress.ts';
import { writeProof } from './write-proof.ts';
import { addReadingOptions, addStoreArgument, type ReadingFlags, withStore } from './store-argument.ts';
import { type Column, count, renderTable, timeColumn } from './table.ts';

interface VerifyOptions extends ReadingFlags {
  json?: boolean;
  expectClosed?: boolean;
  exchange?: string;
  proof?: string;
}

export function verifyCommand(): Command {
  const command = new Command('verify')
    .summary('prove that a recording is as it was written')
    .description(
      'Proves that a recording is as it was written: every line, every segment, every stream.\n' +
        'Exit code 0: all is explained; 1: tampered with or unexplained; 2: could not be read.',
    );
  addStoreArgument(command)
    .option('--json', 'print the report as JSON')
    .option('--expect-closed', 'a stream that is not closed is an error')
    .option('--exchange <id>', 'write a proof of this exchange for a third party (with --proof)')
    .option('--proof <file>', 'where the proof goes; "mcp-recorder verify-proof" checks it');
  return addReadingOptions(command).action(async (argument: string, options: VerifyOptions) => {
    const { exchange, proof, json = false, expectClosed = false, ...flags } = options;
    if ((exchange === undefined) !== (proof === undefined)) {
      throw new CommandFailure(
        '--exchange and --proof belong together: which exchange, and where its proof goes.',
      );
    }
    const work = async (store: ObjectStore, reading: Reading) => {
      if (exchange !== undefined && proof !== undefined) {
        reading.saw({ session: null, exchange });
        const { ok, statements } = await writeProof(store, exchange, proof);
        const outcome = ok ? `Proof written to ${proof}.` : 'NOT PROVEN: nothing was written.';
        process.stdout.write(`${[...statements, outcome].map(printableLine).join('\n')}\n`);
        if (!ok) process.exitCode = EXIT.no;
        return;
      }
      const report = await verify(store, expectClosed);
      // What is not there proves nothing; a script must not take it for a yes.
      if (report.streams.length === 0 && report.findings.length === 0) {
        throw new CommandFailure(`No recording in ${store.location}: it holds no segment.`);
      }
      process.stdout.write(
        json
          ? `${JSON.stringify(toJson(store, report), null, 2)}\n`
          : `${describeReport(report).join('\n')}\n`,
      );
      if (!report.explained) process.exitCode = EXIT.no;
    };
    const asked = { command: 'verify', asked: { exchange } };
    await withStore(argument, flags, work, { asked, mayBeEmpty: true });
  });
}

/** The published shape of the report. */
function toJson(store: ObjectStore, { explained, versions, streams, findings }: StoreReport): object {
  return {
    store: store.location,
    explained,
    versions,
    streams: streams.map(({ lastSegment, ...stream }) => ({ ...stream, last_segment: lastSegment })),
    findings,
  };
}

async function verify(store: ObjectStore, expectClosed: boolean): Promise<StoreReport> {
  const progress = createProgress();
  try {
    return await verifyStore(store, {
      expectClosed,
      onProgress: ({ objects, bytes }) =>
        progress.update(`${count(objects, 'object')}, ${(bytes / 2 ** 20).toFixed(1)} MiB verified`),
    });
  } finally {
    progress.done();
  }
}

function describeReport({ streams, findings, explained, versions }: StoreReport): string[] {
  const rows = streams.map((report) => [
    report.stream,
    report.state,
    report.place ?? 'unknown',
    String(report.segments),
    String(report.lines),
    formatTime(report.since ?? '-'),
    formatTime(report.until ?? '-'),
  ]);
  const text = renderTable(COLUMNS, rows);
  for (const { stream, state, statement } of streams) {
    if (state !== 'complete') text.push('', printableLine(`${stream}: ${statement}.`));
  }
  const wrong = [...findings, ...streams.flatMap((report) => report.findings)];
  if (wrong.length > 0) {
    text.push('', ...wrong.map(({ code, message }) => printableLine(`FOUND ${code}: ${message}`)));
  }
  if (versions === 'denied') {
    text.push(
      '',
      'Versions could not be looked at: these credentials lack s3:ListBucketVersions. What was overwritten or deleted is judged as it is now.',
    );
  }
  text.push('', explained ? describeSuccess(streams) : `NOT EXPLAINED: ${count(wrong.length, 'finding')}.`);
  return text;
}

const COLUMNS: readonly Column[] = [
  { heading: 'STREAM', whole: true },
  { heading: 'STATE', least: 9 },
  { heading: 'SERVER', keep: 'end' },
  { heading: 'SEGMENTS', spare: 2 },
  { heading: 'LINES', spare: 1 },
  { ...timeColumn('FROM'), spare: 3 },
  timeColumn('TO'),
];

function describeSuccess(streams: readonly StreamReport[]): string {
  const states = Map.groupBy(streams, ({ state }) => state);
  const each = [...states].map(([state, of]) => `${of.length} ${state}`).join(', ');
  const bound =
    'Without a ledger it can not be known whether whole streams, or the end of one that is not closed, were removed.';
  return `All is explained: ${count(streams.length, 'stream')} (${each}). ${bound}`;
}
