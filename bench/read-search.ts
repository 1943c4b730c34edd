/**
 * Owns one search by the library in a fresh process, timed from opening store and index to the last row.
 * Arguments: what is asked for, and how the store is reached, as JSON.
 */
import { EVERYTHING } from '@mcp-recorder/recording/index/filter';
import { openReader } from '@mcp-recorder/recording/index/reader';
import type { S3StoreOptions } from '@mcp-recorder/recording/store/s3-options';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';

interface Asked {
  index: string;
  users?: string[];
  text?: string;
  since?: string;
  until?: string;
}

const [asked, options] = process.argv.slice(2).map((json) => JSON.parse(json)) as [Asked, S3StoreOptions];
const { index, users = [], text = null, since, until } = asked;
const timeOf = (time: string | undefined) => time?.replace('Z', '.000000Z') ?? null;
performance.mark('began');
const store = createS3Store(options);
const reader = openReader(store, {
  indexFile: index,
  onUnreadable: ({ message }) => {
    throw new Error(message);
  },
});
const filter = { ...EVERYTHING, users, text, between: { since: timeOf(since), until: timeOf(until) } };
for await (const row of reader.search(filter, { limit: null, order: 'newest' }))
  process.stdout.write(`${row.time}\n`);
reader.close();
performance.measure('search', 'began');
