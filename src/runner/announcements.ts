import { StringDecoder } from 'node:string_decoder';

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

/** Lines without the blanks at their end. No expression can be read in two ways, so none takes more than one pass. */
const LINES: readonly [RegExp, (heard: Building, match: RegExpExecArray) => void][] = [
  [
    /^(?:CALVALUS_)?OUTPUT_PRODUCT\s+(\S.*)$/,
    (heard, [, path]) => heard.outputs.push({ path: path! }),
  ],
  [
    /^CALVALUS_NAMED_OUTPUT_PRODUCT\s+(\S+)\s+(\S.*)$/,
    (heard, [, name, path]) => heard.outputs.push({ path: path!, name: name! }),
  ],
  [/^CALVALUS_INPUT_PRODUCT\s+(\S.*)$/, (heard, [, path]) => (heard.input = path!)],
  [/^CALVALUS_SKIP_PROCESSING\s+yes$/, (heard) => (heard.skip = true)],
];

interface Building {
  outputs: { path: string; name?: string }[];
  input?: string;
  skip: boolean;
}

/** Listens to a program's stdout, whatever way its lines and characters are cut into chunks. */
export function createListener() {
  const heard: Building = { outputs: [], skip: false };
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const hearLine = (line: string) => {
    if (line.length > LONGEST_LINE) return;
    if (!line.startsWith('CALVALUS_') && !line.startsWith('OUTPUT_PRODUCT')) return;
    const text = line.trimEnd();
    for (const [pattern, act] of LINES) {
      const match = pattern.exec(text);
      if (match) act(heard, match);
    }
  };
  return {
    hear(chunk: Buffer): void {
      const lines = (rest + decoder.write(chunk)).split('\n');
      // One character more than a line may have tells that it was too long.
      rest = lines.pop()!.slice(0, LONGEST_LINE + 1);
      for (const line of lines) hearLine(line);
    },
    end(): Announcements {
      hearLine(rest + decoder.end());
      rest = '';
      return heard;
    },
  };
}
