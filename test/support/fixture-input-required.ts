/**
 * Owns the multi-round-trip tools and the prompt of the fixture server (2026-07-28): a call answers with what it
 * still needs to know, the client calls again with the answers and the same `requestState`.
 * Invariant: state that a client changed is refused (it is signed; the key lives as long as the process).
 */
import { randomBytes } from 'node:crypto';
import type {
  ClientCapabilities,
  InputRequest,
  McpServer,
  RequestStateCodec,
  ServerContext,
  ToolCallback,
} from '@modelcontextprotocol/server';
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  fromJsonSchema,
  inputRequired,
  inputResponse,
} from '@modelcontextprotocol/server';

interface RoundState {
  round: number;
}

const codec: RequestStateCodec<RoundState> = createRequestStateCodec({ key: randomBytes(32) });

/** Refuses a `requestState` that this process did not make; the server is given this as its hook. */
export const verifyRequestState = codec.verify;

function askFor(property: string, message: string): InputRequest {
  return inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { [property]: { type: 'string' } }, required: [property] },
  });
}

function askModel(question: string, maxTokens: number): InputRequest {
  return inputRequired.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text: question } }],
    maxTokens,
  });
}

/** The text that the user gave for `property` under `key`, when it is really a text. */
function givenText(ctx: ServerContext, key: string, property: string): string | undefined {
  const schema = fromJsonSchema<Record<string, string>>({
    type: 'object',
    properties: { [property]: { type: 'string' } },
    required: [property],
  });
  return acceptedContent(ctx.mcpReq.inputResponses, key, schema)?.[property];
}

/** Registers the tools whose names begin with `test_input_required_result_`, and those of `server-stateless`. */
export function registerInputRequiredTools(server: McpServer): void {
  const tool = (name: string, run: ToolCallback) =>
    server.registerTool(name, { description: 'Answers after one or more round trips' }, run);
  const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });

  tool('test_input_required_result_elicitation', (ctx) => {
    const name = givenText(ctx, 'user_name', 'name');
    return name === undefined
      ? inputRequired({ inputRequests: { user_name: askFor('name', 'What is your name?') } })
      : text(`Hello, ${name}!`);
  });
  tool('test_input_required_result_sampling', (ctx) => {
    const answer = inputResponse(ctx.mcpReq.inputResponses, 'capital_question');
    return answer.kind === 'sampling'
      ? text(JSON.stringify(answer.result.content))
      : inputRequired({
          inputRequests: { capital_question: askModel('What is the capital of France?', 100) },
        });
  });
  tool('test_input_required_result_list_roots', (ctx) => {
    const answer = inputResponse(ctx.mcpReq.inputResponses, 'client_roots');
    return answer.kind === 'roots'
      ? text(answer.roots.map((root) => root.uri).join(', '))
      : inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
  });
  const confirmed: ToolCallback = async (ctx) =>
    ctx.mcpReq.requestState<RoundState>() === undefined
      ? inputRequired({
          inputRequests: {
            confirm: inputRequired.elicit({
              message: 'Please confirm',
              requestedSchema: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] },
            }),
          },
          requestState: await codec.mint({ round: 1 }),
        })
      : text('state-ok');
  tool('test_input_required_result_request_state', confirmed);
  tool('test_input_required_result_tampered_state', confirmed);
  tool('test_input_required_result_multiple_inputs', async (ctx) => {
    const responses = ctx.mcpReq.inputResponses;
    const complete = ['user_name', 'greeting', 'client_roots'].every(
      (key) => inputResponse(responses, key).kind !== 'missing',
    );
    return complete
      ? text('all three arrived')
      : inputRequired({
          inputRequests: {
            user_name: askFor('name', 'What is your name?'),
            greeting: askModel('Generate a greeting', 50),
            client_roots: inputRequired.listRoots(),
          },
          requestState: await codec.mint({ round: 1 }),
        });
  });
  tool('test_input_required_result_multi_round', async (ctx) => {
    switch (ctx.mcpReq.requestState<RoundState>()?.round) {
      case undefined:
        return inputRequired({
          inputRequests: { step1: askFor('name', 'Step 1: What is your name?') },
          requestState: await codec.mint({ round: 1 }),
        });
      case 1:
        return inputRequired({
          inputRequests: { step2: askFor('color', 'Step 2: What is your favorite color?') },
          requestState: await codec.mint({ round: 2 }),
        });
      default:
        return text(`color ${givenText(ctx, 'step2', 'color')}`);
    }
  });
  tool('test_input_required_result_capabilities', (ctx) => {
    const can = (ctx.mcpReq.envelope as Record<string, unknown> | undefined)?.[
      CLIENT_CAPABILITIES_META_KEY
    ] as ClientCapabilities | undefined;
    const inputRequests: Record<string, InputRequest> = {};
    if (can?.sampling) {
      inputRequests.greeting = askModel('Generate a greeting', 50);
    }
    if (can?.elicitation) {
      inputRequests.user_name = askFor('name', 'What is your name?');
    }
    return Object.keys(inputRequests).length > 0 ? inputRequired({ inputRequests }) : text('nothing to ask');
  });
  // The SDK refuses with -32021 what the client did not say it can do: this one asks without looking.
  tool('test_missing_capability', () => inputRequired({ inputRequests: { ask: askModel('Anybody?', 10) } }));
  tool('test_streaming_elicitation', (ctx) =>
    givenText(ctx, 'user_name', 'name') === undefined
      ? inputRequired({ inputRequests: { user_name: askFor('name', 'What is your name?') } })
      : text('streamed'),
  );
}

/** Registers the prompt that needs an answer before it can be given. */
export function registerInputRequiredPrompt(server: McpServer): void {
  server.registerPrompt(
    'test_input_required_result_prompt',
    { description: 'Needs to know its context first' },
    (ctx) => {
      const context = givenText(ctx, 'user_context', 'context');
      return context === undefined
        ? inputRequired({
            inputRequests: { user_context: askFor('context', 'What context should the prompt use?') },
          })
        : { messages: [{ role: 'user', content: { type: 'text', text: `Context: ${context}` } }] };
    },
  );
}
