const PLAIN = /^[\w.,:/+@%-]*$/;

/**
 * The parameters file: one `key=value` a line, to be read as properties or sourced by a shell (specification D.3), so
 * anything but plain values is quoted. Keys that no shell could take are left as they are for those who read lines.
 */
export const parametersText = (parameters: Readonly<Record<string, string>>): string =>
  Object.entries(parameters)
    .map(([key, value]) => `${key}=${quote(value)}\n`)
    .join('');

const quote = (value: string): string =>
  PLAIN.test(value) ? value : `'${value.replaceAll("'", String.raw`'\''`)}'`;
