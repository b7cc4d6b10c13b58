/**
 * Compares two names by their Unicode characters, which is the order of their bytes in UTF-8 too. JavaScript's own
 * order differs: to it, characters beyond U+FFFF are two smaller ones.
 */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const [left, right] = [a.charCodeAt(index), b.charCodeAt(index)];
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** Halves of pairs (U+D800 to U+DFFF) come after everything else that one unit can say. */
const rank = (unit: number): number =>
  unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
