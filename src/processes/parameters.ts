import { parseXml } from '../xml.ts';
import { PARAMETER_NAME, RESERVED_PARAMETERS } from './descriptor.ts';

/**
 * Reads processor parameters as Calvalus writes them: `<parameters><a>1</a></parameters>` or lines `key=value`,
 * where lines that are empty or begin with `#` count for nothing (specification D.6).
 *
 * @throws Error naming the parameter that can not be a line of the parameters file
 */
export function parseParameters(text: string): ReadonlyMap<string, string> {
  const trimmed = text.trim();
  const pairs = trimmed.startsWith('<') ? pairsOfXml(trimmed) : pairsOfLines(trimmed);
  const parameters = new Map<string, string>();
  for (const [name, value] of pairs) {
    if (!PARAMETER_NAME.test(name)) throw new Error(`'${name}' is not the name of a parameter`);
    if (RESERVED_PARAMETERS.has(name)) {
      throw new Error(`the parameter ${name} is the framework's: give it as an input of its own`);
    }
    if (parameters.has(name)) throw new Error(`the parameter ${name} is given twice`);
    if (!isOneLine(value)) throw new Error(`the value of ${name} is not one line`);
    parameters.set(name, value);
  }
  return parameters;
}

/** Whether a value can stand in the parameters file without starting a line of its own. */
export const isOneLine = (value: string): boolean => !/[\p{Cc}\u2028\u2029]/u.test(value);

function pairsOfXml(text: string): [string, string][] {
  return parseXml(text).children.map((element) => {
    if (element.children.length > 0)
      throw new Error(`the parameter ${element.name} has elements inside`);
    return [element.name, element.text.trim()];
  });
}

function pairsOfLines(text: string): [string, string][] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const at = line.indexOf('=');
      if (at < 1) throw new Error(`'${line.slice(0, 80)}' is not key=value`);
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    });
}
