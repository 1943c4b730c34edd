/**
 * Owns `mcp-recorder record`: the command line of a recorder that people run themselves.
 */
import type { ConfigurationFlags } from '@mcp-recorder/sidecar/config/flags';
import type { Configuration } from '@mcp-recorder/sidecar/config/schema';
import { Command } from 'commander';
import { printableText } from './printable.ts';
import type { Running } from './recorder-run.ts';
import { addS3Options } from './s3-options.ts';

export function recordCommand(): Command {
  const command = new Command('record')
    .summary('put the recorder in front of an MCP server')
    .description(
      'Puts the recorder in front of an MCP server. Clients connect to the recorder; every exchange is on disk ' +
        'before it is passed on. SIGTERM or Ctrl-C lets running exchanges end, seals the recording and exits.\n' +
        'Exit code 0: all is in the store; 1: something waits in the spool; 2: could not start.',
    )
    .option('--upstream <url>', 'the MCP server, for example http://127.0.0.1:3001/mcp')
    .option('--store <place>', 'where the recording goes: a directory, or s3://BUCKET/PREFIX');
  return addS3Options(command)
    .option('--name <name>', 'name of the server in the recording (default: its host and port)')
    .option(
      '--spool <dir>',
      'directory of the local queue (default: spool/<name> in the store; with s3:// under ~/.local/state)',
    )
    .option('--listen <host:port>', 'where clients connect (default: 127.0.0.1:8642)')
    .option('--commit <mode>', 'what must hold a line before it passes: Spool (default) or ObjectStorage')
    .option('--max-upload-lag <time>', 'how far the store may be behind before nothing passes (default: 30s)')
    .option('--on-failure <what>', 'Closed (default): what can not be recorded does not pass; Open: it does')
    .option('--anonymous', 'nobody is identified: whoever can connect may call')
    .option('--issuer <url>', 'callers need a token of this issuer (OIDC); with --resource')
    .option(
      '--resource <url>',
      'the URL that clients use: what tokens are for, and where clients find the issuer',
    )
    .option('--audience <name...>', 'what tokens may be for (default: the resource)')
    .option('--groups-claim <claim>', 'claim that names the groups of a caller (default: groups)')
    .option('--config <file>', 'configuration file (YAML); flags override it')
    .action(async ({ config, ...flags }: ConfigurationFlags & { config?: string }) => {
      // The recorder is loaded only by those who record: reading commands start in half the time.
      const { loadCheckedConfiguration } = await import('@mcp-recorder/sidecar/config/check-policy');
      const configuration = await loadCheckedConfiguration({ file: config, flags });
      const { runRecorder, stopSignal } = await import('./recorder-run.ts');
      const { watchConfiguration } = await import('./configuration-watch.ts');
      const say = (message: string): void =>
        void process.stderr.write(`mcp-recorder: ${printableText(message)}\n`);
      const watch =
        config === undefined ? null : watchConfiguration(config, flags, configuration.digest, say);
      const introduce = ({ url, statusUrl, store }: Running): void => {
        process.stdout.write(
          `Recording ${configuration.server.url} as ${configuration.name}\n` +
            `  clients connect to   ${url}\n` +
            `  the recording is in  ${store}\n` +
            `  status               ${statusUrl}\n` +
            `  callers              ${describeCallers(configuration)}\n` +
            'Ctrl-C or SIGTERM seals the recording and ends.\n',
        );
      };
      process.exitCode = await runRecorder(configuration, stopSignal(), introduce, watch);
    });
}

function describeCallers({ auth }: Configuration): string {
  if (auth.mode === 'Anonymous') return 'anyone who can connect; nobody is identified';
  const issuers = auth.issuers.map(({ issuer }) => issuer).join(', ');
  return auth.mode === 'Enforce'
    ? `only with a token of ${issuers}`
    : `anyone; tokens of ${issuers} are verified for the recording`;
}
