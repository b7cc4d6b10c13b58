import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startPushbroom, temporaryDirectory } from '../servers/pushbroom.ts';
import type { Pushbroom } from '../servers/pushbroom.ts';
import { installClient } from './utils-ogc.ts';
import type { Described, Given, State } from './utils-ogc.ts';

const createClient = await installClient();

const described = (id: string, more: Partial<Described> = {}): Described => ({
  id,
  title: id,
  type: 'literal',
  reference: false,
  ...more,
});

const given = (id: string, value: unknown): Given => ({ description: described(id), value });

describe.skipIf(!createClient)('the WPS 2.0 client of @dlr-eoc/utils-ogc', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let server: Pushbroom;
  let url: string;
  beforeAll(async () => {
    directory = await temporaryDirectory();
    server = await startPushbroom(directory.path, {});
    url = `${server.publicUrl}/wps`;
  });
  afterAll(async () => {
    await server.stop();
    await directory[Symbol.asyncDispose]();
  });
  const client = () => createClient!();

  it('finds the processes', async () => {
    const processes = await client().getCapabilities(url).toPromise();
    expect(processes.map(({ id }) => id)).toContain('echo');
  });

  it('executes and waits', async () => {
    const outputs = [described('stringInput'), described('numberInput')];
    const inputs = [given('stringInput', 'hello'), given('numberInput', 42)];
    const results = await client().execute(url, 'echo', inputs, outputs).toPromise();
    expect(results).toMatchObject([
      { description: { id: 'stringInput' }, value: [{ value: { value: '"hello"' } }] },
      { description: { id: 'numberInput' }, value: [{ value: { value: '42' } }] },
    ]);
  });

  it('executes, polls until it is done and gets values and references', async () => {
    const outputs = [
      described('stringInput', { reference: true }),
      described('mixedInput', { type: 'complex', format: 'application/json' }),
    ];
    const mixed = described('mixedInput', { type: 'complex', format: 'application/json' });
    const inputs = [
      given('stringInput', 'hello'),
      given('pause', 1),
      { description: mixed, value: { a: [1, 2] } },
    ];
    const states: (string | undefined)[] = [];
    const onState = (state: State | null) => void states.push(state?.status);
    const results = await client()
      .executeAsync(url, 'echo', inputs, outputs, 100, onState)
      .toPromise();
    expect(states).toContain('Running');
    expect(states.at(-1)).toBe('Succeeded');
    const [text, json] = results;
    expect(await (await fetch(String(text!.value))).text()).toBe('"hello"');
    expect(json!.value).toEqual([{ a: [1, 2] }]);
  });

  it('dismisses', async () => {
    const inputs = [given('pause', 60)];
    const outputs = [described('pause')];
    const state = await client().executeAsyncBasic(url, 'echo', inputs, outputs).toPromise();
    expect(['Accepted', 'Running']).toContain(state.status);
    const dismissed = await client().dismiss(url, 'echo', state.jobID).toPromise();
    expect(dismissed).toEqual({ status: 'Dismissed', jobID: state.jobID });
  });

  it('hears what is wrong', async () => {
    const wrong = client()
      .execute(url, 'echo', [given('numberInput', 101)], [described('numberInput')])
      .toPromise();
    await expect(wrong).rejects.toThrow(/WrongInputData/);
  });
});
