/**
 * Owns the tools of the fixture server that exist in both protocol eras, and those that talk back to a 2025-11-25
 * client while they run. Names and answers are those that the conformance suites ask for.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { CallToolResult, ElicitRequestFormParams, McpServer } from '@modelcontextprotocol/server';
import { fromJsonSchema } from '@modelcontextprotocol/server';

/** A PNG of one red pixel, base64. */
export const PIXEL_PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';

/** A WAV file without samples, base64. */
const SILENT_WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';

/** Pause between two notifications of one call: long enough that they travel as separate events. */
const STEP_MS = 20;

const NO_ARGUMENTS = fromJsonSchema<Record<string, never>>({ type: 'object', properties: {} });

/** How a tool tells every listener that a list changed; each era has its own way. */
export interface ListChanges {
  toolsChanged(): void;
  promptsChanged(): void;
}

function text(value: string): CallToolResult {
  return { content: [{ type: 'text', text: value }] };
}

/** A property that clients repeat as `Mcp-Param-Region`; the keyword is MCP's, not one that JSON Schema's types know. */
const headerParameter: { type: 'string' } = Object.assign(
  { type: 'string' as const },
  { 'x-mcp-header': 'Region' },
);

/** Registers the tools that answer at once, one for each kind of content. */
export function registerContentTools(server: McpServer): void {
  server.registerTool('test_simple_text', { description: 'Answers with one text' }, () =>
    text('This is a simple text response for testing.'),
  );
  server.registerTool('test_image_content', { description: 'Answers with one image' }, () => ({
    content: [{ type: 'image', data: PIXEL_PNG, mimeType: 'image/png' }],
  }));
  server.registerTool('test_audio_content', { description: 'Answers with one sound' }, () => ({
    content: [{ type: 'audio', data: SILENT_WAV, mimeType: 'audio/wav' }],
  }));
  server.registerTool('test_embedded_resource', { description: 'Answers with one resource' }, () => ({
    content: [
      {
        type: 'resource',
        resource: {
          uri: 'test://embedded-resource',
          mimeType: 'text/plain',
          text: 'This is an embedded resource content.',
        },
      },
    ],
  }));
  server.registerTool(
    'test_multiple_content_types',
    { description: 'Answers with three kinds at once' },
    () => ({
      content: [
        { type: 'text', text: 'Multiple content types test:' },
        { type: 'image', data: PIXEL_PNG, mimeType: 'image/png' },
        {
          type: 'resource',
          resource: {
            uri: 'test://mixed-content-resource',
            mimeType: 'application/json',
            text: '{"test":"data","value":123}',
          },
        },
      ],
    }),
  );
  server.registerTool('test_error_handling', { description: 'Always fails' }, () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
  server.registerTool(
    'test_header_parameter',
    {
      description: 'Takes a parameter that clients also send as a header (Mcp-Param-Region)',
      inputSchema: fromJsonSchema<{ region: string }>({
        type: 'object',
        properties: { region: headerParameter },
        required: ['region'],
      }),
    },
    ({ region }) => text(`region ${region}`),
  );
  server.registerTool(
    'json_schema_2020_12_tool',
    {
      description: 'Has an input schema that only survives when nobody rewrites it',
      inputSchema: fromJsonSchema({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        type: 'object',
        $defs: {
          address: {
            $anchor: 'addressDef',
            type: 'object',
            properties: { street: { type: 'string' }, city: { type: 'string' } },
          },
        },
        properties: {
          name: { type: 'string' },
          address: { $ref: '#/$defs/address' },
          contactMethod: { type: 'string', enum: ['phone', 'email'] },
          phone: { type: 'string' },
          email: { type: 'string' },
        },
        allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
        if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
        // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
        then: { required: ['phone'] },
        else: { required: ['email'] },
        additionalProperties: false,
      }),
    },
    (given) => text(JSON.stringify(given)),
  );
}

/** Registers the tools that send something before their result, so that the answer becomes a stream. */
export function registerStreamingTools(server: McpServer, changes: ListChanges): void {
  const logging = async (ctx: { mcpReq: { log(level: 'info', data: unknown): Promise<void> } }) => {
    await ctx.mcpReq.log('info', 'Tool execution started');
    await delay(STEP_MS);
    await ctx.mcpReq.log('info', 'Tool processing data');
    await delay(STEP_MS);
    await ctx.mcpReq.log('info', 'Tool execution completed');
    return text('Tool with logging executed successfully');
  };
  server.registerTool('test_tool_with_logging', { description: 'Logs three times' }, logging);
  server.registerTool('test_logging_tool', { description: 'Logs when the client asked for it' }, logging);
  server.registerTool(
    'test_tool_with_progress',
    { description: 'Reports progress three times' },
    async (ctx) => {
      const progressToken = ctx.mcpReq._meta?.progressToken;
      if (progressToken === undefined) {
        return text('nobody asked for progress');
      }
      for (const progress of [0, 50, 100]) {
        await ctx.mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress, total: 100, message: `Completed step ${progress} of 100` },
        });
        await delay(STEP_MS);
      }
      return text(String(progressToken));
    },
  );
  server.registerTool(
    'test_reconnection',
    { description: 'Closes its stream before it answers: the client must come back for the result' },
    async (ctx) => {
      ctx.http?.closeSSE?.();
      await delay(100);
      return text('Sent after the stream was closed; it reached you by resumption.');
    },
  );
  server.registerTool('test_trigger_tool_change', { description: 'Says that the tools changed' }, () => {
    changes.toolsChanged();
    return text('announced');
  });
  server.registerTool('test_trigger_prompt_change', { description: 'Says that the prompts changed' }, () => {
    changes.promptsChanged();
    return text('announced');
  });
}

/** What became of calls of `wait_for_cancellation`, by the name that each call gave itself. */
const waits = new Map<string, 'waiting' | 'cancelled'>();

/**
 * Registers two tools by which a test sees that a cancellation reached the server: one that never answers by
 * itself, and one that says what became of such a call.
 */
export function registerCancellationTools(server: McpServer): void {
  const named = fromJsonSchema<{ name: string }>({
    type: 'object',
    properties: { name: { type: 'string' } },
    required: ['name'],
  });
  const waiting = { description: 'Answers when it is cancelled', inputSchema: named };
  server.registerTool('wait_for_cancellation', waiting, async ({ name }, ctx) => {
    waits.set(name, 'waiting');
    const { signal } = ctx.mcpReq;
    await new Promise((done) => {
      signal.addEventListener('abort', done, { once: true });
    });
    waits.set(name, 'cancelled');
    return text('cancelled');
  });
  const asking = { description: 'Says what became of a waiting call', inputSchema: named };
  server.registerTool('state_of_waiting_call', asking, ({ name }) => text(waits.get(name) ?? 'unknown'));
}

/** Registers the tools that ask the client something while they run (2025-11-25 and before). */
export function registerAskingTools(server: McpServer): void {
  server.registerTool(
    'test_sampling',
    {
      description: "Asks the client's model",
      inputSchema: fromJsonSchema<{ prompt: string }>({
        type: 'object',
        properties: { prompt: { type: 'string' } },
        required: ['prompt'],
      }),
    },
    async ({ prompt }, ctx) => {
      const answer = await ctx.mcpReq.requestSampling({
        messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
        maxTokens: 100,
      });
      return text(`LLM response: ${JSON.stringify(answer.content)}`);
    },
  );
  const form = (
    name: string,
    message: string,
    requestedSchema: ElicitRequestFormParams['requestedSchema'],
  ) => {
    server.registerTool(name, { description: 'Asks the user', inputSchema: NO_ARGUMENTS }, async (_, ctx) => {
      const answer = await ctx.mcpReq.elicitInput({ mode: 'form', message, requestedSchema });
      return text(
        `Elicitation completed: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`,
      );
    });
  };
  server.registerTool(
    'test_elicitation',
    {
      description: 'Asks the user for one text',
      inputSchema: fromJsonSchema<{ message: string }>({
        type: 'object',
        properties: { message: { type: 'string' } },
        required: ['message'],
      }),
    },
    async ({ message }, ctx) => {
      const answer = await ctx.mcpReq.elicitInput({
        mode: 'form',
        message,
        requestedSchema: {
          type: 'object',
          properties: { response: { type: 'string', description: "User's response" } },
          required: ['response'],
        },
      });
      return text(`User response: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
    },
  );
  form('test_elicitation_sep1034_defaults', 'Please review the defaults', {
    type: 'object',
    properties: {
      name: { type: 'string', default: 'John Doe' },
      age: { type: 'integer', default: 30 },
      score: { type: 'number', default: 95.5 },
      status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
      verified: { type: 'boolean', default: true },
    },
    required: [],
  });
  form('test_elicitation_sep1330_enums', 'Please choose', {
    type: 'object',
    properties: {
      untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
      titledSingle: { type: 'string', oneOf: titled('value', 'Option') },
      legacyEnum: {
        type: 'string',
        enum: ['opt1', 'opt2', 'opt3'],
        enumNames: ['Option One', 'Option Two', 'Option Three'],
      },
      untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
      titledMulti: { type: 'array', items: { anyOf: titled('value', 'Choice') } },
    },
    required: [],
  });
}

function titled(value: string, title: string): { const: string; title: string }[] {
  return ['First', 'Second', 'Third'].map((ordinal, at) => ({
    const: `${value}${at + 1}`,
    title: `${ordinal} ${title}`,
  }));
}
