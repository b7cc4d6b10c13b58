/** A binary heap: the smallest item by `isBefore` comes out first. */
export class Heap<T> {
  readonly #items: T[];
  readonly #isBefore: (a: T, b: T) => boolean;

  /** @param items that it begins with; in any order, which costs less than pushing each */
  constructor(isBefore: (a: T, b: T) => boolean, items: readonly T[] = []) {
    this.#isBefore = isBefore;
    this.#items = [...items];
    for (let index = (items.length >> 1) - 1; index >= 0; index -= 1) {
      this.#sink(index, this.#items[index]!);
    }
  }

  get size(): number {
    return this.#items.length;
  }

  /** All of them, in no order. */
  items(): readonly T[] {
    return this.#items;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let index = items.push(item) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#isBefore(item, items[parent]!)) break;
      items[index] = items[parent]!;
      index = parent;
    }
    items[index] = item;
  }

  pop(): T | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return first;
    this.#sink(0, last);
    return first;
  }

  /** Puts an item at that place, or below it. */
  #sink(start: number, item: T): void {
    const items = this.#items;
    let index = start;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.#isBefore(items[child + 1]!, items[child]!)) child += 1;
      if (!this.#isBefore(items[child]!, item)) break;
      items[index] = items[child]!;
      index = child;
    }
    items[index] = item;
  }
}
