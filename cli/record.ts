/**
 * Owns `mcp-recorder record`: the command line of a recorder that people run themselves.
 */
import type { ConfigurationFlags } from '@mcp-recorder/sidecar/config/load';
import { Command } from 'commander';

export function recordCommand(): Command {
  return new Command('record')
    .summary('put the recorder in front of an MCP server')
    .description(
      'Puts the recorder in front of an MCP server. Clients connect to the recorder; every exchange is on disk ' +
        'before it is passed on. SIGTERM or Ctrl-C lets running exchanges end, seals the recording and exits.\n' +
        'Exit code 0: all is in the store; 1: something waits in the spool; 2: could not start.',
    )
    .option('--upstream <url>', 'the MCP server, for example http://127.0.0.1:3001/mcp')
    .option('--store <dir>', 'directory of the recording')
    .option('--name <name>', 'name of the server in the recording (default: its host and port)')
    .option('--spool <dir>', 'directory of the local queue (default: spool/<name> in the store)')
    .option('--listen <host:port>', 'where clients connect (default: 127.0.0.1:8642)')
    .option('--config <file>', 'configuration file (YAML); flags override it')
    .action(async ({ config, ...flags }: ConfigurationFlags & { config?: string }) => {
      // The recorder is loaded only by those who record: reading commands start in half the time.
      const { loadConfiguration } = await import('@mcp-recorder/sidecar/config/load');
      const configuration = loadConfiguration({ file: config, flags });
      const { runRecorder, stopSignal } = await import('./recorder-run.ts');
      process.exitCode = await runRecorder(configuration, stopSignal(), ({ url, statusUrl, store }) => {
        process.stdout.write(
          `Recording ${configuration.server.url} as ${configuration.name}\n` +
            `  clients connect to   ${url}\n` +
            `  the recording is in  ${store}\n` +
            `  status               ${statusUrl}\n` +
            'Ctrl-C or SIGTERM seals the recording and ends.\n',
        );
      });
    });
}
