import { PushbroomError } from '../../errors.ts';
import type { Process, ProcessInput } from '../../jobs/jobs.ts';
import type { ExecuteBody } from './schemas.ts';

/** An Execute as its URL says it. */
export interface KvpExecute {
  readonly body: ExecuteBody;
  /** As the header `Prefer` would. */
  readonly prefer?: string;
}

/**
 * An Execute by GET, as the draft of version 2.0 has it (requirements class KVP-encoded execute): `<input>=<value>`, or
 * `<input>[href]`, `[value]`, `[crs]` and others for what a value alone does not say; `<output>[include]=true`;
 * `response[f]` and `response[prefer]`. Values of a list are separated by commas.
 *
 * @throws INVALID_PARAMETER (locator: the parameter)
 */
export function readKvp(query: URLSearchParams, process: Process): KvpExecute {
  const inputs = new Map(process.inputs.map((input) => [input.id, input]));
  const outputs = new Set(process.outputs.map(({ id }) => id));
  const given = groupMembers(query);
  const wanted: [string, { format?: { mediaType: string } }][] = [];
  const values: [string, unknown][] = [];
  const response = given.get('response') ?? new Map<string, string>();
  for (const [id, members] of given) {
    if (id === 'response') continue;
    const input = inputs.get(id);
    const include = outputs.has(id) ? members.get('include') : undefined;
    if (!input && include === undefined) throw unknownParameter(id, process);
    if (include === 'true') wanted.push([id, formatOf(members)]);
    const hasValue = ['', 'href', 'value'].some((member) => members.has(member));
    if (input && hasValue) values.push([id, valueOf(input, members)]);
  }
  const prefer = response.get('prefer');
  return {
    body: {
      inputs: Object.fromEntries(values),
      ...(wanted.length > 0 && { outputs: Object.fromEntries(wanted) }),
      ...(response.get('f') === 'json' && { response: 'document' as const }),
    },
    ...(prefer !== undefined && { prefer }),
  };
}

/** Members by parameter, as OpenAPI's `deepObject` writes them; the value itself under the empty name. */
function groupMembers(query: URLSearchParams): Map<string, Map<string, string>> {
  const groups = new Map<string, Map<string, string>>();
  for (const [name, value] of query) {
    const [, id = name, member = ''] = /^([^[\]]+)\[(\w+)\]$/.exec(name) ?? [];
    const members = groups.get(id) ?? new Map<string, string>();
    if (members.has(member)) {
      throw invalid(name, `'${name.slice(0, 100)}' is given twice: separate values by commas.`);
    }
    groups.set(id, members.set(member, value));
  }
  return groups;
}

function valueOf(input: ProcessInput, members: ReadonlyMap<string, string>): unknown {
  const text = members.get('');
  if (text === undefined) return Object.fromEntries(members);
  if (input.type === 'bbox' || (input.type === 'wkt' && /^[-+.\d\s,e]+$/i.test(text))) {
    const crs = members.get('crs');
    const bbox = text.split(',').map((number) => (number.trim() === '' ? NaN : Number(number)));
    return { bbox, ...(crs !== undefined && { crs }) };
  }
  if (input.type === 'complex') return { value: text, ...formatOf(members).format };
  return (input.maxOccurs ?? 1) > 1 ? text.split(',') : text;
}

function formatOf(members: ReadonlyMap<string, string>): { format?: { mediaType: string } } {
  const mediaType = members.get('mediaType');
  return mediaType === undefined ? {} : { format: { mediaType } };
}

const unknownParameter = (id: string, process: Process): PushbroomError =>
  invalid(
    id,
    `There is no input '${id.slice(0, 100)}': ${process.id} has ${process.inputs.map((each) => each.id).join(', ')}.`,
  );

const invalid = (name: string, message: string): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', message, { locator: name.slice(0, 100) });
