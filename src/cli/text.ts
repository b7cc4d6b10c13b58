/** A text that came from outside, made safe for one line of a terminal. */
export const oneLine = (text: string): string =>
  text
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/\p{Cc}/gu, '?')
    .trim();

type Cell = string | number | undefined;

/** Rows under a header, columns aligned with two blanks between them; each line ends in a newline. */
export function table(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return columns([header, ...rows]);
}

/** Aligned columns without a header. */
export function columns(rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => row.map((cell) => oneLine(String(cell ?? ''))));
  const widths: number[] = [];
  for (const row of texts) {
    row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  }
  return texts
    .map(
      (row) =>
        row
          .map((cell, at) => cell.padEnd(widths[at]!))
          .join('  ')
          .trimEnd() + '\n',
    )
    .join('');
}

/** `2026-01-31T10:20:30.123Z` as `2026-01-31 10:20:30`, UTC. */
export const timeText = (iso: string): string => iso.slice(0, 19).replace('T', ' ');

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < UNITS.length - 1; unit++) value /= 1000;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export const plural = (count: number, word: string, words = `${word}s`): string =>
  `${count} ${count === 1 ? word : words}`;
