import fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  readTranscript,
  recordsOf,
  transcripts,
} from '../../../test/fixtures/mesos-transcripts.ts';
import { BadRecord, parseAgents, parseEvent } from './parse.ts';

/** One of each type and shape that was recorded. */
const samples = [
  ...new Map(
    transcripts()
      .flatMap(recordsOf)
      .map((record) => [record.replaceAll(/"[^"]*"(?!:)|\d+/g, ''), record]),
  ).values(),
];
const odd = fc.constantFrom<unknown>(
  null,
  true,
  -1,
  1e308,
  0.5,
  '',
  '__proto__',
  'x'.repeat(1000),
  [],
  [[]],
  {},
  { value: {} },
  JSON.parse('{"__proto__":{"value":"polluted"},"constructor":1,"toString":2}'),
);

/** Replaces or removes what the path of numbers leads to. */
function mutate(value: unknown, [step = 0, ...path]: number[], by: unknown): unknown {
  if (typeof value !== 'object' || value === null) return by;
  const keys = Object.keys(value);
  const key = keys[step % Math.max(1, keys.length)];
  if (key === undefined) return by;
  const copy: Record<string, unknown> = Array.isArray(value)
    ? ([...(value as unknown[])] as unknown as Record<string, unknown>)
    : { ...value };
  if (path.length === 0 && by === undefined) delete copy[key];
  else copy[key] = path.length === 0 ? by : mutate(copy[key], path, by);
  return copy;
}

/** Runs without an error but `BadRecord`, and leaves every object of the language as it is. */
function check(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    expect(error).toBeInstanceOf(BadRecord);
    expect((error as BadRecord).message.length).toBeLessThan(1000);
  }
  expect(({} as { value?: unknown }).value).toBeUndefined();
}

const path = fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 8 });

test('mutated events are parsed or refused', () => {
  expect(samples.length).toBeGreaterThan(15);
  fc.assert(
    fc.property(
      fc.constantFrom(...samples),
      fc.array(fc.tuple(path, fc.option(odd, { nil: undefined })), { maxLength: 3 }),
      (record, mutations) => {
        const mutated = mutations.reduce<unknown>(
          (value, [where, by]) => mutate(value, where, by),
          JSON.parse(record),
        );
        check(() => parseEvent(JSON.stringify(mutated) ?? ''));
      },
    ),
    { numRuns: 2000 },
  );
});

test('torn and garbled records are parsed or refused', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...samples),
      fc.nat(),
      fc.string({ unit: 'binary', maxLength: 5 }),
      (record, place, garbage) => {
        const at = place % record.length;
        check(() => parseEvent(record.slice(0, at)));
        check(() => parseEvent(record.slice(0, at) + garbage + record.slice(at + 1)));
      },
    ),
    { numRuns: 500 },
  );
});

test('any JSON is parsed or refused, as an event and as an answer', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      check(() => parseEvent(JSON.stringify(value)));
      check(() => parseAgents(value));
      check(() => parseAgents({ get_agents: { agents: [value], recovered_agents: [value] } }));
    }),
  );
});

test('mutated answers are parsed or refused', () => {
  const answer = readTranscript('07e').find(
    ({ kind, body }) => kind === 'response' && (body as { type?: string })?.type === 'GET_AGENTS',
  )?.body;
  fc.assert(
    fc.property(path, odd, (where, by) => check(() => parseAgents(mutate(answer, where, by)))),
    { numRuns: 500 },
  );
});
