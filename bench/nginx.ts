/**
 * Owns the two nginx of the benchmark: the back end that answers from memory, and the pass-through proxy that others are
 * compared with. Invariant: each has its configuration, its logs and its temporary files in a directory of the run.
 */
import fs from 'node:fs';
import path from 'node:path';
import { freePort, type Pinned, startPinned, untilListening } from './processes.ts';
import type { Exchange } from './traffic.ts';

export interface Nginx extends Pinned {
  port: number;
}

/** Answers each request with the prepared response of its `X-Request-Id`. */
export async function startBackEnd(
  core: number,
  directory: string,
  exchanges: readonly Exchange[],
): Promise<Nginx> {
  const answers = exchanges.map(({ id, response }) => `    ${id} ${quoted(response)};`).join('\n');
  return start(core, path.join(directory, 'back-end'), (port) => [
    `map_hash_max_size ${4 * exchanges.length};`,
    `map $http_x_request_id $answer {\n${answers}\n  }`,
    'default_type application/json;',
    `server { listen 127.0.0.1:${port}; location / { return 200 $answer; } }`,
  ]);
}

/** One worker, kept connections to the back end, no access log; unbuffered, as MCP's event streams need it. */
export async function startPassThrough(
  core: number,
  directory: string,
  upstreamPort: number,
): Promise<Nginx> {
  return start(core, path.join(directory, 'nginx'), (port) => [
    `upstream server { server 127.0.0.1:${upstreamPort}; keepalive 512; keepalive_requests 1000000000; }`,
    `server { listen 127.0.0.1:${port}; location / {`,
    '  proxy_pass http://server; proxy_http_version 1.1; proxy_set_header Connection "";',
    '  proxy_set_header Host $http_host; proxy_buffering off;',
    '} }',
  ]);
}

async function start(core: number, directory: string, http: (port: number) => string[]): Promise<Nginx> {
  const port = await freePort();
  fs.mkdirSync(directory, { recursive: true });
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${directory}/${kind};`,
  );
  const configuration = `
daemon off; worker_processes 1; pid ${directory}/nginx.pid; error_log stderr error;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 16384; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; tcp_nodelay on;
  ${[...temporary, ...http(port)].join('\n  ')}
}
`;
  const file = path.join(directory, 'nginx.conf');
  fs.writeFileSync(file, configuration);
  const nginx = startPinned(core, ['nginx', '-p', directory, '-e', 'stderr', '-c', file]);
  await untilListening(port);
  return { ...nginx, port };
}

/** A value in nginx's configuration: only backslash and the quote itself mean something in it (`$` does not occur). */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
