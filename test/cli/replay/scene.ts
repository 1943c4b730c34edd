/** Owns a client's conversation with a server, said again word for word, and what it saw: of both eras. */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { startProcess, type RunningProcess } from '../../support/child-process.ts';
import { CLI } from '../../support/recorder-process.ts';

export type Era = 'legacy' | '2026-07-28';

/** Everything that the client saw, in order. */
export async function converse(url: string, era: Era): Promise<unknown[]> {
  const seen: unknown[] = [];
  const client = new Client(
    { name: 'conversation', version: '1.0.0' },
    {
      capabilities: { elicitation: {}, sampling: {}, roots: {} },
      versionNegotiation: { mode: era === 'legacy' ? 'legacy' : { pin: era } },
    },
  );
  client.setRequestHandler('elicitation/create', ({ params }) => {
    seen.push(['elicitation', params]);
    return { action: 'accept', content: { name: 'Ada', color: 'green', response: 'yes' } };
  });
  client.setRequestHandler('sampling/createMessage', ({ params }) => {
    seen.push(['sampling', params]);
    return { role: 'assistant', model: 'none', content: { type: 'text', text: 'sampled' } };
  });
  client.setNotificationHandler('notifications/message', ({ params }) => void seen.push(['log', params]));
  const tell = async (what: string, ask: () => Promise<unknown>): Promise<void> => {
    try {
      seen.push([what, await ask()]);
    } catch (error) {
      const { code, message } = error as { code?: unknown; message?: unknown };
      seen.push([what, 'failed', code, message]);
    }
  };
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  seen.push(client.getServerVersion(), client.getServerCapabilities());
  await tell('tools', () => client.listTools());
  const tools = [
    'test_simple_text',
    'test_image_content',
    'test_embedded_resource',
    'test_multiple_content_types',
    'test_tool_with_logging',
    'test_error_handling',
    'test_elicitation',
    ...(era === 'legacy' ? ['test_sampling'] : []),
  ];
  for (const name of tools) {
    await tell(name, () => client.callTool({ name, arguments: { message: 'm', prompt: 'p' } }));
  }
  await tell('progress', () =>
    client.callTool(
      { name: 'test_tool_with_progress', arguments: {} },
      { onprogress: ({ progress }) => seen.push(['step', progress]) },
    ),
  );
  await tell('no such tool', () => client.callTool({ name: 'no_such_tool', arguments: {} }));
  await tell('resources', () => client.listResources());
  await tell('resource', () => client.readResource({ uri: 'test://static-text' }));
  await tell('binary', () => client.readResource({ uri: 'test://static-binary' }));
  await tell('prompt', () => client.getPrompt({ name: 'test_simple_prompt' }));
  await tell('prompt with arguments', () =>
    client.getPrompt({ name: 'test_prompt_with_arguments', arguments: { arg1: 'a', arg2: 'b' } }),
  );
  await client.close();
  return seen;
}

export interface ReplayProcess {
  url: string;
  process: RunningProcess;
}

/** `mcp-recorder replay STORE --serve`, when it answers. */
export async function startReplay(store: string, ...more: string[]): Promise<ReplayProcess> {
  const args = [CLI, 'replay', store, '--serve', '127.0.0.1:0', '--no-index', ...more];
  const running = await startProcess({ args, ready: /Mock server: (\S+)/ });
  return { url: running.ready[1] ?? '', process: running };
}
