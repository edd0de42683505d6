// What differs between two texts: by line where there are lines, else by word.

/** Cells of the table of common subsequences at most; larger texts count as replaced. */
const MOST = 4_000_000;

/** @typedef {"" | "+" | "−"} Sign */

/**
 * The pieces of both texts in order, neighbours of one sign joined: kept, added or taken away.
 * @param {string} before @param {string} after @returns {{lines: boolean, parts: [Sign, string][]}}
 */
export function textdiff(before, after) {
  const lines = `${before}${after}`.includes("\n");
  const split = (/** @type {string} */ text) => text.split(lines ? /(?<=\n)/ : /(?<=\s)(?=\S)/).filter(Boolean);
  const a = split(before), b = split(after), start = agree(a, b);
  const end = agree(a.slice(start).reverse(), b.slice(start).reverse());
  const parts = /** @type {[Sign, string][]} */ ([]);
  const say = (/** @type {Sign} */ sign, /** @type {string[]} */ pieces) => {
    for (const piece of pieces) {
      const last = parts.at(-1);
      if (last?.[0] === sign) last[1] += piece;
      else parts.push([sign, piece]);
    }
  };
  say("", a.slice(0, start));
  for (const [sign, piece] of middle(a.slice(start, a.length - end), b.slice(start, b.length - end))) say(sign, [piece]);
  say("", a.slice(a.length - end));
  return { lines, parts };
}

/** How many first pieces two lists share. @param {string[]} a @param {string[]} b */
function agree(a, b) {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n += 1;
  return n;
}

/** A longest common subsequence, and what is not of it. @param {string[]} a @param {string[]} b @returns {[Sign, string][]} */
function middle(a, b) {
  const wide = b.length + 1;
  if (a.length * b.length > MOST) return [...a.map(taken), ...b.map(added)];
  const common = new Uint16Array((a.length + 1) * wide);
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) {
    const at = i * wide + j;
    common[at] = a[i] === b[j] ? common[at + wide + 1] + 1 : Math.max(common[at + wide], common[at + 1]);
  }
  const parts = /** @type {[Sign, string][]} */ ([]);
  let i = 0, j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) { parts.push(["", a[i]]); i += 1; j += 1; }
    else if (common[(i + 1) * wide + j] >= common[i * wide + j + 1]) parts.push(taken(a[i++]));
    else parts.push(added(b[j++]));
  }
  return [...parts, ...a.slice(i).map(taken), ...b.slice(j).map(added)];
}

/** @param {string} piece @returns {[Sign, string]} */
const taken = (piece) => ["−", piece];
/** @param {string} piece @returns {[Sign, string]} */
const added = (piece) => ["+", piece];
