/**
 * Owns the resources, prompts and completions of the fixture server, as the conformance suites ask for them.
 */
import type { McpServer } from '@modelcontextprotocol/server';
import { fromJsonSchema, ResourceTemplate } from '@modelcontextprotocol/server';
import { PIXEL_PNG } from './fixture-tools.ts';

/** Registers the three fixed resources and the template `test://template/{id}/data`. */
export function registerResources(server: McpServer): void {
  const textual = (name: string, text: string) => {
    const uri = `test://${name}`;
    server.registerResource(
      name,
      uri,
      { description: `A text named ${name}`, mimeType: 'text/plain' },
      () => ({
        contents: [{ uri, mimeType: 'text/plain', text }],
      }),
    );
  };
  textual('static-text', 'This is the content of the static text resource.');
  textual('watched-resource', 'Watched resource content');
  const binary = { description: 'One pixel', mimeType: 'image/png' };
  server.registerResource('static-binary', 'test://static-binary', binary, () => ({
    contents: [{ uri: 'test://static-binary', mimeType: 'image/png', blob: PIXEL_PNG }],
  }));
  server.registerResource(
    'template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { description: 'Any id will do', mimeType: 'application/json' },
    (uri, { id }) => ({
      contents: [
        {
          uri: uri.href,
          mimeType: 'application/json',
          text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
        },
      ],
    }),
  );
}

/** Registers the prompts, and completions for their arguments. */
export function registerPrompts(server: McpServer): void {
  server.registerPrompt('test_simple_prompt', { description: 'Takes nothing' }, () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'This is a simple prompt for testing.' } }],
  }));
  server.registerPrompt(
    'test_prompt_with_arguments',
    {
      description: 'Takes two texts',
      argsSchema: fromJsonSchema<{ arg1: string; arg2: string }>({
        type: 'object',
        properties: {
          arg1: { type: 'string', description: 'First test argument' },
          arg2: { type: 'string', description: 'Second test argument' },
        },
        required: ['arg1', 'arg2'],
      }),
    },
    ({ arg1, arg2 }) => ({
      messages: [
        {
          role: 'user',
          content: { type: 'text', text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` },
        },
      ],
    }),
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    {
      description: 'Takes the address of a resource',
      argsSchema: fromJsonSchema<{ resourceUri: string }>({
        type: 'object',
        properties: { resourceUri: { type: 'string' } },
        required: ['resourceUri'],
      }),
    },
    ({ resourceUri }) => ({
      messages: [
        {
          role: 'user',
          content: {
            type: 'resource',
            resource: {
              uri: resourceUri,
              mimeType: 'text/plain',
              text: 'Embedded resource content for testing.',
            },
          },
        },
        { role: 'user', content: { type: 'text', text: 'Please process the embedded resource above.' } },
      ],
    }),
  );
  server.registerPrompt('test_prompt_with_image', { description: 'Shows an image' }, () => ({
    messages: [
      { role: 'user', content: { type: 'image', data: PIXEL_PNG, mimeType: 'image/png' } },
      { role: 'user', content: { type: 'text', text: 'Please analyze the image above.' } },
    ],
  }));
  server.server.setRequestHandler('completion/complete', (request) => {
    const values = ['paris', 'park', 'party'].filter((word) =>
      word.startsWith(request.params.argument.value),
    );
    return { completion: { values, total: values.length, hasMore: false } };
  });
}
