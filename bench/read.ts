/**
 * Owns `npm run bench:read`: how fast and with how much memory a recording of a million calls in a real MinIO on this machine is read.
 * Commands are measured as people run them, each a process of its own from its start to its end; MinIO runs beside it. What a search takes
 * with an index is measured without the start of the process, which loads hundreds of modules: by the library, in fresh processes.
 * Writes everything as JSON to .bench/read.json; exit code 1 when a bound is missed, 2 when the run failed.
 * `--exchanges 100000` makes a smaller recording: for a first look, bounds are for a million.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import { type Minio, startMinio } from '../test/support/minio.ts';
import { BUCKET, indexIn, PLACE, PREFIX, runCommand, runSearch, type Usage } from './read-process.ts';
import { RARE_WORD, SOMEBODY, storeRecording } from './read-recording.ts';

const OUTPUT = fileURLToPath(new URL('../.bench/', import.meta.url));
const MAX_MIB = 300;

interface Measured extends Usage {
  name: string;
  /** In words; null: none but that of memory. */
  bound: string | null;
  met: boolean;
}

const { values: flags } = parseArgs({ options: { exchanges: { type: 'string', default: '1000000' } } });
const directory = path.join(OUTPUT, `read-${process.pid}`);
const cache = path.join(directory, 'cache');
let minio: Minio | null = null;
try {
  fs.mkdirSync(directory, { recursive: true });
  minio = await startMinio();
  process.exitCode = (await measure(minio)) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
} finally {
  await minio?.stop();
  fs.rmSync(directory, { recursive: true, force: true });
}

async function measure(server: Minio): Promise<boolean> {
  const store = createS3Store(server.options(BUCKET, PREFIX));
  const megabytes = (await storeRecording(store, Number(flags.exchanges))) / 1e6;
  const all: Measured[] = [];
  const take = (name: string, usage: Usage, bound: string | null, isMet: boolean): void => {
    const measured = { name, ...usage, bound, met: isMet && usage.maxMiB < MAX_MIB };
    all.push(measured);
    process.stdout.write(`${rowOf(measured)}\n`);
  };
  const command = async (name: string, args: readonly string[], maxMs: number | null = null) => {
    const usage = await runCommand(server, cache, args);
    take(name, usage, maxMs === null ? null : `< ${maxMs} ms`, usage.wallMs < (maxMs ?? Infinity));
  };
  const search = async (name: string, asked: object, maxMs: number) => {
    const usage = await runSearch(server, cache, asked);
    take(`library: ${name}`, usage, `< ${maxMs} ms`, usage.wallMs < maxMs);
  };
  const dayOf = (day: number) => ({
    since: `2026-10-${day}T00:00:00Z`,
    until: `2026-10-${day + 1}T00:00:00Z`,
  });
  const flagsOf = ({ since, until }: ReturnType<typeof dayOf>) => ['--since', since, '--until', until];
  const day = dayOf(12);
  const user = ['search', PLACE, '--user', SOMEBODY, '--limit', 'all', '--json'];
  const text = ['search', PLACE, '--text', RARE_WORD, '--limit', 'all', '--json'];

  await command('--version: what starting takes', ['--version']);
  await command('search by user in a day, --no-index', [...user, ...flagsOf(day), '--no-index'], 3_000);
  await command('search by user in a day, nothing in the index', [...user, ...flagsOf(day)], 3_000);
  await command('the same, all in the index', [...user, ...flagsOf(day)]);
  await command('newest 50 rows, nothing of them in the index', ['search', PLACE, '--json']);
  await command('search by user in all, little of it in the index', user);
  await command('search by tool, newest 50', ['search', PLACE, '--tool', 'delete_repo', '--json']);
  await command('search by outcome, newest 50', ['search', PLACE, '--outcome', 'error', '--json']);
  await command('search for a word in all, no words in the index', text);
  await command('the same, all in the index', text);
  await search('search by user in a day, all in the index', { users: [SOMEBODY], ...day }, 300);
  await search('search by user in another day', { users: [SOMEBODY], ...dayOf(20) }, 300);
  await search('search for a word in all, all in the index', { text: RARE_WORD }, 1_000);
  await command('sessions of a day', ['sessions', PLACE, ...flagsOf(day)]);
  const csv = ['--as', 'csv', '--out', path.join(directory, 'out.csv')];
  await command('export of a user and a day as CSV', [
    'export',
    PLACE,
    '--user',
    SOMEBODY,
    ...flagsOf(day),
    ...csv,
  ]);
  const verified = await runCommand(server, cache, ['verify', PLACE, '--json']);
  const rate = megabytes / (verified.cpuMs / 1_000);
  take(`verify of all, ${rate.toFixed(0)} MB/s of lines a core`, verified, '>= 100 MB/s a core', rate >= 100);

  const indexMegabytes = fs.statSync(indexIn(cache)).size / 1e6;
  const facts = { exchanges: Number(flags.exchanges), megabytes, indexMegabytes, all };
  fs.writeFileSync(path.join(OUTPUT, 'read.json'), `${JSON.stringify(facts, null, 2)}\n`);
  process.stdout.write(
    `${flags.exchanges} exchanges, ${megabytes.toFixed(0)} MB of lines; the index has ${indexMegabytes.toFixed(0)} MB\n`,
  );
  return all.every(({ met }) => met);
}

function rowOf({ name, wallMs, cpuMs, maxMiB, lines, bound, met }: Measured): string {
  const bounds = [...(bound === null ? [] : [bound]), `< ${MAX_MIB} MiB`].join(', ');
  const figures = `${wallMs.toFixed(0)} ms, ${cpuMs.toFixed(0)} ms CPU, ${maxMiB.toFixed(0)} MiB, ${lines} lines`;
  return `${met ? 'met   ' : 'MISSED'} ${name}: ${figures} (${bounds})`;
}
