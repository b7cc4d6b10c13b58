import { isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';

/** A YAML document that still knows where everything stood. */
export interface YamlDocument {
  readonly content: unknown;
  /** `line 3, column 5` of a key or item, or of the last of its ancestors that is there. */
  placeOf(path: readonly string[]): string;
}

/**
 * @param schema `failsafe` where all that is no list or map stays the text that it was written as: `1.0` is not 1
 * @throws Error with line and column in its message
 */
export function parseYaml(text: string, schema: 'core' | 'failsafe' = 'core'): YamlDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, schema });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `line ${line}, column ${col}`;
  };
  const [error] = document.errors;
  if (error) throw new Error(`${place(error.pos[0])}: ${error.message}`);
  visit(document, {
    Alias(_, alias, ancestors) {
      const whole = alias.resolve(document);
      if (!whole || !ancestors.includes(whole)) return;
      throw new Error(
        `${place(alias.range![0])}: *${alias.source} is inside of what it stands for`,
      );
    },
  });
  return {
    content: document.toJS(),
    placeOf(path) {
      let node: unknown = document.contents;
      let offset = 0;
      for (const name of path) {
        const next = childOf(node, name);
        if (!next) break;
        [offset, node] = [next.offset ?? offset, next.node];
      }
      return place(offset);
    },
  };
}

interface Child {
  readonly node: unknown;
  readonly offset: number | undefined;
}

function childOf(node: unknown, name: string): Child | undefined {
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === name);
    return pair && { node: pair.value, offset: offsetOf(pair.key) };
  }
  const item: unknown = isSeq(node) ? node.items[Number(name)] : undefined;
  return item === undefined ? undefined : { node: item, offset: offsetOf(item) };
}

const offsetOf = (node: unknown): number | undefined =>
  isScalar(node) || isMap(node) || isSeq(node) ? node.range?.[0] : undefined;
