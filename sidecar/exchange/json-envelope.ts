/**
 * Owns the list of envelope members that the recorder reads, and where each is kept while a message is scanned.
 * Invariant: slots of a level are contiguous and include those of the levels below it, so that a repeated member forgets all that its predecessor said.
 */

/** A member of an envelope object; `slot` is where its value's position is kept, -1 when only its name matters. */
export interface Member {
  text: string;
  codes: Uint16Array;
  slot: number;
  /** Level of its value when that is an object that is read too. */
  level: Level | null;
  /** Bit of this member within its level, for finding repetitions. */
  bit: number;
}

/** One object of the envelope. */
export interface Level {
  /** Members by length of their name. */
  byLength: (readonly Member[] | undefined)[];
  /** Slots of this level and of all levels below it: `[firstSlot, endSlot)`. */
  firstSlot: number;
  endSlot: number;
  /** True where differences between parsers are reported. */
  checked: boolean;
}

export const SLOT = {
  id: 0,
  method: 1,
  params: 2,
  name: 3,
  uri: 4,
  taskId: 5,
  protocolVersion: 6,
  requestState: 7,
  requestId: 8,
  refName: 9,
  refUri: 10,
  clientName: 11,
  clientVersion: 12,
  metaProtocolVersion: 13,
  traceparent: 14,
  metaClientName: 15,
  metaClientVersion: 16,
  result: 17,
  isError: 18,
  resultType: 19,
  resultTaskId: 20,
  resultState: 21,
  resultProtocolVersion: 22,
  resultTask: 23,
  taskTaskId: 24,
  error: 25,
  errorCode: 26,
  count: 27,
} as const;

/** Where each slot's value begins and ends in the scanned text; a beginning of 0: the member is absent. */
export interface Slots {
  starts: Int32Array;
  ends: Int32Array;
}

type Declared = [text: string, slot?: number | undefined, level?: Level];

function level(firstSlot: number, endSlot: number, checked: boolean, members: Declared[]): Level {
  const byLength: (Member[] | undefined)[] = [];
  members.forEach(([text, slot, below], index) => {
    const codes = Uint16Array.from(text, (character) => character.charCodeAt(0));
    const member: Member = { text, codes, slot: slot ?? -1, level: below ?? null, bit: 1 << index };
    const sameLength = byLength[text.length];
    if (sameLength) sameLength.push(member);
    else byLength[text.length] = [member];
  });
  // A hole would make every look-up leave the fast path of arrays.
  const filled = Array.from({ length: 64 }, (_, length) => byLength[length]);
  return { byLength: filled, firstSlot, endSlot, checked };
}

const CLIENT_INFO = level(SLOT.clientName, SLOT.clientVersion + 1, true, [
  ['name', SLOT.clientName],
  ['version', SLOT.clientVersion],
]);

const META_CLIENT_INFO = level(SLOT.metaClientName, SLOT.metaClientVersion + 1, true, [
  ['name', SLOT.metaClientName],
  ['version', SLOT.metaClientVersion],
]);

const META = level(SLOT.metaProtocolVersion, SLOT.metaClientVersion + 1, true, [
  ['io.modelcontextprotocol/protocolVersion', SLOT.metaProtocolVersion],
  ['io.modelcontextprotocol/clientInfo', undefined, META_CLIENT_INFO],
  ['io.modelcontextprotocol/clientCapabilities'],
  ['progressToken'],
  ['traceparent', SLOT.traceparent],
  ['tracestate'],
  ['baggage'],
]);

const REF = level(SLOT.refName, SLOT.refUri + 1, true, [
  ['type'],
  ['name', SLOT.refName],
  ['uri', SLOT.refUri],
]);

const PARAMS = level(SLOT.name, SLOT.metaClientVersion + 1, true, [
  ['name', SLOT.name],
  ['arguments'],
  ['uri', SLOT.uri],
  ['ref', undefined, REF],
  ['taskId', SLOT.taskId],
  ['protocolVersion', SLOT.protocolVersion],
  ['clientInfo', undefined, CLIENT_INFO],
  ['_meta', undefined, META],
  ['requestState', SLOT.requestState],
  ['requestId', SLOT.requestId],
  ['capabilities'],
  ['inputResponses'],
  ['task'],
  ['cursor'],
]);

const TASK = level(SLOT.taskTaskId, SLOT.taskTaskId + 1, false, [['taskId', SLOT.taskTaskId]]);

const RESULT = level(SLOT.isError, SLOT.taskTaskId + 1, false, [
  ['isError', SLOT.isError],
  ['resultType', SLOT.resultType],
  ['taskId', SLOT.resultTaskId],
  ['requestState', SLOT.resultState],
  ['protocolVersion', SLOT.resultProtocolVersion],
  ['task', SLOT.resultTask, TASK],
]);

const ERROR = level(SLOT.errorCode, SLOT.errorCode + 1, false, [['code', SLOT.errorCode]]);

/** The JSON-RPC message itself. */
export const MESSAGE: Level = level(0, SLOT.count, true, [
  ['jsonrpc'],
  ['id', SLOT.id],
  ['method', SLOT.method],
  ['params', SLOT.params, PARAMS],
  ['result', SLOT.result, RESULT],
  ['error', SLOT.error, ERROR],
]);

/**
 * Whether two names of equal length are one for parsers that ignore case as Go's encoding/json does:
 * ASCII letters, long s (U+017F) for s and the Kelvin sign (U+212A) for k.
 */
export function equalIgnoringCase(left: string, right: string): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index += 1) {
    if (folded(left.charCodeAt(index)) !== folded(right.charCodeAt(index))) return false;
  }
  return true;
}

function folded(code: number): number {
  if (code >= 0x41 && code <= 0x5a) return code + 0x20;
  if (code === 0x17f) return 0x73;
  if (code === 0x212a) return 0x6b;
  return code;
}
