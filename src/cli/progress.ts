import { SingleBar } from 'cli-progress';
import type { Output } from './deps.ts';
import { oneLine } from './text.ts';

export interface Progress {
  /** @param percent 0 to 100 */
  update(percent: number, text: string): void;
  stop(): void;
}

/** A bar on a terminal; in a pipe a line whenever something has changed. */
export function createProgress(output: Output): Progress {
  return output.isTTY ? createBar(output) : createLines(output);
}

function createBar(output: Output): Progress {
  const bar = new SingleBar({
    format: '{bar} {percentage} %  {text}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 30,
    hideCursor: true,
    // The bar wants a stream; a terminal is one.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see isTTY
    stream: output as NodeJS.WriteStream,
  });
  bar.start(100, 0, { text: '' });
  return {
    update: (percent, text) => bar.update(Math.floor(percent), { text: oneLine(text) }),
    stop: () => bar.stop(),
  };
}

function createLines(output: Output): Progress {
  let last = '';
  return {
    update(percent, text) {
      const line = `${String(Math.floor(percent)).padStart(3)} %  ${oneLine(text)}\n`;
      if (line !== last) output.write(line);
      last = line;
    },
    stop: () => {},
  };
}
