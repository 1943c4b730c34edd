/**
 * Owns what the members of a scanned message mean: its kind, and the facts that are recorded of it.
 * Invariant: a fact has the type that the specification gives it, or it is absent; nothing of the scanned text is kept alive.
 */
import type { ClientInfo } from '@mcp-recorder/recording/format/line';
import { SLOT, type Slots } from './json-envelope.ts';
import type { Message } from './json-scan.ts';
import { stringOf } from './json-text.ts';

const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;

/** Methods that nearly every message has: their names are shared, not copied. */
const METHODS = new Map(
  [
    'initialize',
    'ping',
    'server/discover',
    'tools/list',
    'tools/call',
    'prompts/list',
    'prompts/get',
    'resources/list',
    'resources/templates/list',
    'resources/read',
    'resources/subscribe',
    'resources/unsubscribe',
    'completion/complete',
    'logging/setLevel',
    'subscriptions/listen',
    'sampling/createMessage',
    'elicitation/create',
    'roots/list',
    'tasks/get',
    'tasks/result',
    'tasks/list',
    'tasks/update',
    'tasks/cancel',
    'notifications/initialized',
    'notifications/cancelled',
    'notifications/progress',
    'notifications/message',
    'notifications/resources/updated',
    'notifications/resources/list_changed',
    'notifications/tools/list_changed',
    'notifications/prompts/list_changed',
    'notifications/roots/list_changed',
  ].map((name) => [name, name]),
);

/**
 * Reads the facts of one scanned message.
 * @param text the text that was scanned
 * @param slots where the members of this message are
 */
export function readMessage(text: string, slots: Slots): Message {
  const method = methodAt(text, slots);
  const hasId = has(slots, SLOT.id);
  const message: Message = {
    kind: 'other',
    rpcId: hasId ? sourceAt(text, slots, SLOT.id) : null,
    method,
    target: null,
    protocolVersion: null,
    clientInfo: null,
    traceparent: null,
    requestState: null,
    taskId: null,
    cancelledRequestId: null,
    isError: false,
    hasError: false,
    errorCode: null,
    resultType: null,
    hasTask: false,
  };
  if (method !== null) {
    message.kind = hasId ? 'request' : 'notification';
    if (has(slots, SLOT.params)) readParams(text, slots, method, message);
  } else if (!has(slots, SLOT.method) && (has(slots, SLOT.result) || has(slots, SLOT.error))) {
    message.kind = 'response';
    readAnswer(text, slots, message);
  }
  return message;
}

function methodAt(text: string, slots: Slots): string | null {
  if (!isStringAt(text, slots, SLOT.method)) return null;
  const start = slots.starts[SLOT.method] as number;
  const end = slots.ends[SLOT.method] as number;
  return METHODS.get(text.slice(start + 1, end - 1)) ?? stringOf(text, start, end);
}

function readParams(text: string, slots: Slots, method: string, message: Message): void {
  const initializes = method === 'initialize';
  message.taskId = stringAt(text, slots, SLOT.taskId);
  message.target = targetOf(text, slots, method, message.taskId);
  message.requestState = stringAt(text, slots, SLOT.requestState);
  message.traceparent = stringAt(text, slots, SLOT.traceparent);
  message.protocolVersion = stringAt(text, slots, SLOT.metaProtocolVersion);
  if (message.protocolVersion === null && initializes) {
    message.protocolVersion = stringAt(text, slots, SLOT.protocolVersion);
  }
  if (initializes) message.clientInfo = clientInfoAt(text, slots, SLOT.clientName, SLOT.clientVersion);
  message.clientInfo ??= clientInfoAt(text, slots, SLOT.metaClientName, SLOT.metaClientVersion);
  if (method === 'notifications/cancelled' && has(slots, SLOT.requestId)) {
    message.cancelledRequestId = sourceAt(text, slots, SLOT.requestId);
  }
}

function targetOf(text: string, slots: Slots, method: string, taskId: string | null): string | null {
  if (method === 'tools/call' || method === 'prompts/get') return stringAt(text, slots, SLOT.name);
  if (method.startsWith('resources/')) return stringAt(text, slots, SLOT.uri);
  if (method.startsWith('tasks/')) return taskId;
  if (method !== 'completion/complete') return null;
  return stringAt(text, slots, SLOT.refName) ?? stringAt(text, slots, SLOT.refUri);
}

function clientInfoAt(text: string, slots: Slots, nameSlot: number, versionSlot: number): ClientInfo | null {
  const name = stringAt(text, slots, nameSlot);
  return name === null ? null : { name, version: stringAt(text, slots, versionSlot) };
}

function readAnswer(text: string, slots: Slots, message: Message): void {
  message.hasError = has(slots, SLOT.error) && text.charCodeAt(slots.starts[SLOT.error] as number) !== 0x6e;
  message.errorCode = numberAt(text, slots, SLOT.errorCode);
  message.isError =
    has(slots, SLOT.isError) && text.charCodeAt(slots.starts[SLOT.isError] as number) === 0x74;
  message.resultType = stringAt(text, slots, SLOT.resultType);
  message.requestState = stringAt(text, slots, SLOT.resultState);
  message.protocolVersion = stringAt(text, slots, SLOT.resultProtocolVersion);
  message.hasTask =
    has(slots, SLOT.resultTask) && text.charCodeAt(slots.starts[SLOT.resultTask] as number) === OPEN_BRACE;
  message.taskId = stringAt(text, slots, SLOT.taskTaskId) ?? stringAt(text, slots, SLOT.resultTaskId);
}

function has(slots: Slots, slot: number): boolean {
  return slots.starts[slot] !== 0;
}

function isStringAt(text: string, slots: Slots, slot: number): boolean {
  const start = slots.starts[slot] as number;
  return start !== 0 && text.charCodeAt(start) === QUOTE;
}

function stringAt(text: string, slots: Slots, slot: number): string | null {
  return isStringAt(text, slots, slot)
    ? stringOf(text, slots.starts[slot] as number, slots.ends[slot] as number)
    : null;
}

function numberAt(text: string, slots: Slots, slot: number): number | null {
  const start = slots.starts[slot] as number;
  if (start === 0) return null;
  const code = text.charCodeAt(start);
  const isNumber = code === 0x2d || (code >= 0x30 && code <= 0x39);
  return isNumber ? Number(text.slice(start, slots.ends[slot])) : null;
}

/** The JSON text of a value, as a copy of its own (see `stringOf`: joining and slicing makes the parent small). */
function sourceAt(text: string, slots: Slots, slot: number): string {
  const source = text.slice(slots.starts[slot], slots.ends[slot]);
  return source.length < 13 ? source : ` ${source}`.slice(1);
}
