/** How many bytes come before a last character of UTF-8 that is not complete; all of them if there is nothing else. */
export function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length - 1); back += 1) {
    const byte = bytes.at(-back)!;
    // 10xxxxxx goes on, 11xxxxxx begins (RFC 3629).
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const wanted = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return back < wanted ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
