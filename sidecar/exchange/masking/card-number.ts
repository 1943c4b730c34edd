/**
 * Owns what a payment card number is: digits of a known issuer (ISO/IEC 7812), written as cards are, whose check digit is right (Luhn).
 * Invariant: a run of digits and separators is read once, however many numbers it may hold.
 */

/** Prefixes by range of their first digits, and how many digits the numbers have. */
const ISSUERS: readonly { from: number; to: number; digits: number; lengths: readonly number[] }[] = [
  { from: 4, to: 4, digits: 1, lengths: [13, 16, 19] },
  { from: 51, to: 55, digits: 2, lengths: [16] },
  { from: 2221, to: 2720, digits: 4, lengths: [16] },
  { from: 34, to: 34, digits: 2, lengths: [15] },
  { from: 37, to: 37, digits: 2, lengths: [15] },
  { from: 300, to: 305, digits: 3, lengths: [14] },
  { from: 36, to: 36, digits: 2, lengths: [14] },
  { from: 38, to: 39, digits: 2, lengths: [14] },
  { from: 6011, to: 6011, digits: 4, lengths: [16, 19] },
  { from: 644, to: 649, digits: 3, lengths: [16, 19] },
  { from: 65, to: 65, digits: 2, lengths: [16, 19] },
  { from: 3528, to: 3589, digits: 4, lengths: [16, 19] },
  { from: 62, to: 62, digits: 2, lengths: [16, 17, 18, 19] },
  ...[5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763].map((from) => ({
    from,
    to: from,
    digits: 4,
    lengths: [13, 16, 18, 19],
  })),
];

/** Sizes of the groups in which cards print their numbers. */
const GROUPINGS = new Set(['4-4-4-4', '4-4-4-4-3', '4-6-5', '4-6-4', '6-13', '4-3-3-3']);
const MOST_GROUPS = 5;
const MOST_DIGITS = 19;
const FEWEST_DIGITS = 13;

interface Group {
  start: number;
  end: number;
}

/**
 * Finds the card numbers in the run of digits around an index.
 * @param strict false: neighbours are not looked at, and `+` separates too. So it reads sources whose escapes are not decoded.
 * @returns index behind the run
 */
export function findCardNumbers(
  codes: Uint16Array,
  length: number,
  at: number,
  strict: boolean,
  report: (start: number, end: number) => void,
): number {
  const groups = groupsAround(codes, length, at, strict);
  const runEnd = (groups.at(-1) as Group).end;
  if (strict && isAccountNumber(codes, groups[0] as Group)) return runEnd;
  for (let first = 0; first < groups.length; first += 1) {
    const last = lastGroupOfNumber(codes, length, groups, first, strict);
    if (last === null) continue;
    report((groups[first] as Group).start, (groups[last] as Group).end);
    first = last;
  }
  return runEnd;
}

/** Digits between single separators, left and right of an index that is a digit. */
function groupsAround(codes: Uint16Array, length: number, at: number, strict: boolean): Group[] {
  let start = at;
  while (start > 0) {
    if (isDigit(codes[start - 1])) start -= 1;
    else if (start > 1 && isSeparator(codes[start - 1], strict) && isDigit(codes[start - 2])) start -= 2;
    else break;
  }
  const groups: Group[] = [];
  let index = start;
  for (;;) {
    const begin = index;
    while (index < length && isDigit(codes[index])) index += 1;
    groups.push({ start: begin, end: index });
    if (index + 1 >= length || !isSeparator(codes[index], strict) || !isDigit(codes[index + 1]))
      return groups;
    index += 1;
  }
}

/** The group with which a number that begins with group `first` ends; null when none does. */
function lastGroupOfNumber(
  codes: Uint16Array,
  length: number,
  groups: readonly Group[],
  first: number,
  strict: boolean,
): number | null {
  const { start } = groups[first] as Group;
  if (strict && !isFreeBefore(codes, start)) return null;
  let digits = 0;
  let sizes = '';
  let separator = -1;
  for (let last = first; last < groups.length; last += 1) {
    const group = groups[last] as Group;
    if (last > first) {
      if (last - first === MOST_GROUPS) return null;
      const between = codes[group.start - 1] as number;
      if (separator !== -1 && separator !== between) return null;
      separator = between;
    }
    digits += group.end - group.start;
    sizes += `${last === first ? '' : '-'}${group.end - group.start}`;
    if (digits > MOST_DIGITS) return null;
    if (digits < FEWEST_DIGITS || (last > first && !GROUPINGS.has(sizes))) continue;
    if (strict && !isFreeBehind(codes, length, group.end)) continue;
    if (isCardNumber(codes, start, group.end, digits)) return last;
  }
  return null;
}

/** An IBAN (ISO 13616) begins with two letters and two digits. */
function isAccountNumber(codes: Uint16Array, { start, end }: Group): boolean {
  return end - start === 2 && start > 1 && isUpper(codes[start - 1]) && isUpper(codes[start - 2]);
}

function isUpper(code: number | undefined): boolean {
  return code !== undefined && code >= 0x41 && code <= 0x5a;
}

function isCardNumber(codes: Uint16Array, start: number, end: number, digits: number): boolean {
  let prefix = 0;
  let read = 0;
  let sum = 0;
  let issued = false;
  for (let index = start; index < end; index += 1) {
    const code = codes[index] as number;
    if (!isDigit(code)) continue;
    const digit = code - 0x30;
    if (read < 4) {
      prefix = prefix * 10 + digit;
      issued ||= isIssued(prefix, read + 1, digits);
    }
    read += 1;
    if (read === 4 && !issued) return false;
    const doubled = (digits - read) % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

function isIssued(prefix: number, digitsRead: number, length: number): boolean {
  return ISSUERS.some(
    ({ from, to, digits, lengths }) =>
      digits === digitsRead && prefix >= from && prefix <= to && lengths.includes(length),
  );
}

/** No letter, and no number that goes on before it. */
function isFreeBefore(codes: Uint16Array, start: number): boolean {
  if (start === 0) return true;
  const before = codes[start - 1] as number;
  if (isWord(before)) return false;
  return !(before === 0x2e && start > 1 && isDigit(codes[start - 2]));
}

function isFreeBehind(codes: Uint16Array, length: number, end: number): boolean {
  if (end >= length) return true;
  const behind = codes[end] as number;
  if (isWord(behind)) return false;
  return !(behind === 0x2e && end + 1 < length && isDigit(codes[end + 1]));
}

function isDigit(code: number | undefined): boolean {
  return code !== undefined && code >= 0x30 && code <= 0x39;
}

function isSeparator(code: number | undefined, strict: boolean): boolean {
  return code === 0x20 || code === 0x2d || (!strict && code === 0x2b);
}

function isWord(code: number): boolean {
  return isDigit(code) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code === 0x5f;
}
