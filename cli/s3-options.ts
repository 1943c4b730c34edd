/**
 * Owns the flags that say how an S3-compatible store is reached: the same ones on every command that takes a store.
 */
import type { S3StoreOptions } from '@mcp-recorder/recording/store/s3-options';
import type { Command } from 'commander';

/** What the flags give, as commander names it; only a store `s3://...` takes them. */
export interface S3Flags {
  s3Endpoint?: string;
  s3Region?: string;
  s3PathStyle?: boolean;
  s3Ca?: string;
}

/** Adds the flags. Credentials have none: command lines are seen by everyone on the machine. */
export function addS3Options(command: Command): Command {
  return command
    .option('--s3-endpoint <url>', 'an S3-compatible store other than AWS')
    .option('--s3-region <region>', 'region of the bucket (default: as AWS tools find it)')
    .option('--s3-path-style', 'the name of the bucket in the path, as most stores other than AWS want it')
    .option('--s3-ca <file>', 'certificate authorities (PEM) to trust beside those of the system');
}

/** The flags that reach the same store, as a shell takes them; '' when none are needed. */
export function formatS3Flags({ endpoint, region, pathStyle, caFile }: S3StoreOptions): string {
  const flags = [
    ...(endpoint === null ? [] : ['--s3-endpoint', endpoint]),
    ...(region === null ? [] : ['--s3-region', region]),
    ...(pathStyle ? ['--s3-path-style'] : []),
    ...(caFile === null ? [] : ['--s3-ca', quote(caFile)]),
  ];
  return flags.map((word) => ` ${word}`).join('');
}

function quote(word: string): string {
  return /^[\w./@:+,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
