/** One measured figure, beside a peer's of the same run. */
export interface Row {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly peer?: string;
  readonly peerValue?: number;
  /** Ours to the peer's; above 1 we are faster. */
  readonly ratio?: number;
  /** What is to be reached: the ratio where there is a peer, otherwise the value. */
  readonly target?: number;
  readonly ok?: boolean;
}

export interface Bench {
  readonly title: string;
  run(say: (line: string) => void): Promise<readonly Row[]>;
}

/** What to quote of several rounds. */
export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Of what there may be none. */
export const none = (what: string, value: number, unit: string): Row => ({
  what,
  value,
  unit,
  target: 0,
  ok: value === 0,
});

const number = (value: number | undefined): string =>
  value === undefined ? '' : value >= 100 ? value.toFixed(0) : value.toPrecision(3);

export function table(rows: readonly Row[]): string {
  const cells = [
    ['what', 'value', 'unit', 'peer', 'peer value', 'ratio', 'target', 'ok'],
    ...rows.map((row) => [
      row.what,
      number(row.value),
      row.unit,
      row.peer ?? '',
      number(row.peerValue),
      number(row.ratio),
      number(row.target),
      row.ok === undefined ? '' : row.ok ? 'yes' : 'NO',
    ]),
  ];
  const widths = cells[0]!.map((_, column) =>
    Math.max(...cells.map((line) => line[column]!.length)),
  );
  return cells
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
