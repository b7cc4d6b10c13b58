/** What a processor says about its work on stdout (specification D.3 and D.6). */
export interface Announcements {
  readonly outputs: readonly { readonly path: string; readonly name?: string }[];
  /** `prepare` has fetched the input itself. */
  readonly input?: string;
  /** There is nothing to do: the result exists. */
  readonly skip: boolean;
}

/** Longer lines are log text only. */
const LONGEST_LINE = 8 * 1024;

const LINES: readonly [RegExp, (heard: Building, match: RegExpExecArray) => void][] = [
  [
    /^(?:CALVALUS_)?OUTPUT_PRODUCT\s+(.+?)\s*$/,
    (heard, [, path]) => heard.outputs.push({ path: path! }),
  ],
  [
    /^CALVALUS_NAMED_OUTPUT_PRODUCT\s+(\S+)\s+(.+?)\s*$/,
    (heard, [, name, path]) => heard.outputs.push({ path: path!, name: name! }),
  ],
  [/^CALVALUS_INPUT_PRODUCT\s+(.+?)\s*$/, (heard, [, path]) => (heard.input = path!)],
  [/^CALVALUS_SKIP_PROCESSING\s+yes\s*$/, (heard) => (heard.skip = true)],
];

interface Building {
  outputs: { path: string; name?: string }[];
  input?: string;
  skip: boolean;
}

/** Listens to a program's stdout, whatever way its lines are cut into chunks. */
export function createListener() {
  const heard: Building = { outputs: [], skip: false };
  let rest = '';
  const line = (text: string) => {
    if (!text.startsWith('CALVALUS') && !text.startsWith('OUTPUT')) return;
    for (const [pattern, act] of LINES) {
      const match = pattern.exec(text);
      if (match) act(heard, match);
    }
  };
  return {
    hear(chunk: Buffer): void {
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop()!.slice(0, LONGEST_LINE);
      for (const text of lines) if (text.length <= LONGEST_LINE) line(text);
    },
    end(): Announcements {
      line(rest);
      rest = '';
      return heard;
    },
  };
}
