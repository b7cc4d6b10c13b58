/** Puts a stream's bytes together to lines. */
export class Lines {
  readonly #limit: number;
  #parts: Buffer[] = [];
  #length = 0;

  /** @param limit bytes of a line */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * @returns lines that are complete now, without what ends them
   * @throws Error for one that is too long
   */
  add(chunk: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      this.#keep(chunk.subarray(from, end));
      lines.push(Buffer.concat(this.#parts).toString('utf8'));
      this.#parts = [];
      this.#length = 0;
      from = end + 1;
    }
    this.#keep(chunk.subarray(from));
    return lines;
  }

  #keep(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > this.#limit) {
      this.#parts = [];
      this.#length = 0;
      throw new Error(`a line has more than ${this.#limit} bytes`);
    }
    if (part.length > 0) this.#parts.push(part);
  }
}
