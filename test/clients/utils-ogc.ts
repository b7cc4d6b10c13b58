/** The WPS client `@dlr-eoc/utils-ogc`, from a directory of its own: it brings libraries that nothing else here needs. */
import { copyFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { messageOf } from '../../src/errors.ts';
import { cache, execute, fill, hash } from '../servers/hadoop/installation.ts';

/** What the tests use of it. */
export interface WpsClient {
  getCapabilities(url: string): Observable<readonly { readonly id: string }[]>;
  execute(
    url: string,
    process: string,
    inputs: readonly Given[],
    outputs: readonly Described[],
  ): Answer;
  /** Polls until the job has ended. */
  executeAsync(
    url: string,
    process: string,
    inputs: readonly Given[],
    outputs: readonly Described[],
    /** Milliseconds between polls. */
    pollingRate: number,
    onState: (state: State | null) => void,
  ): Answer;
  executeAsyncBasic(
    url: string,
    process: string,
    inputs: readonly Given[],
    outputs: readonly Described[],
  ): Observable<State>;
  dismiss(url: string, process: string, jobId: string): Observable<State>;
}

export interface Described {
  readonly id: string;
  readonly title: string;
  readonly type: 'literal' | 'complex';
  readonly reference: boolean;
  readonly format?: string;
}

export interface Given {
  readonly description: Described;
  /** Sent as JSON, or as the address of a reference. */
  readonly value: unknown;
}

export interface State {
  readonly status: string;
  readonly jobID: string;
  readonly percentCompleted?: number;
}

type Answer = Observable<readonly { readonly description: Described; readonly value: unknown }[]>;

interface Observable<T> {
  toPromise(): Promise<T>;
}

type Client = new (version: '2.0.0', web: object) => WpsClient;

/**
 * Installs it where it is not yet.
 *
 * @returns makes a client; `undefined` where the packages are not to be had, which is said aloud, and in CI is an error
 */
export async function installClient(): Promise<(() => WpsClient) | undefined> {
  const files = ['package.json', 'package-lock.json'];
  const sources = files.map((file) => join(import.meta.dirname, 'utils-ogc', file));
  const directory = join(cache(), `utils-ogc-${hash(sources)}`);
  try {
    await fill(directory, async (made) => {
      await Promise.all(files.map((file, i) => copyFile(sources[i]!, join(made, file))));
      await execute('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], made);
    });
  } catch (error) {
    const what = `the packages of test/clients/utils-ogc: ${messageOf(error)}`;
    if (process.env['CI'] === 'true') throw new Error(`CI has to have ${what}`, { cause: error });
    process.stderr.write(`SKIPPED: tests that need ${what}\n`);
    return undefined;
  }
  const load = createRequire(join(directory, 'package.json'));
  const { WpsClient: Made } = load('@dlr-eoc/utils-ogc') as { WpsClient: Client };
  const { defer } = load('rxjs') as { defer: Defer };
  return () => new Made('2.0.0', webClient(defer));
}

interface WebOptions {
  readonly headers: Record<string, string>;
}

/** Asks whenever somebody subscribes: the client polls by subscribing again. */
type Defer = (ask: () => Promise<string>) => Observable<string>;

/** What the framework of its map applications would give it. */
const webClient = (defer: Defer) => ({
  get: (url: string, { headers }: WebOptions) => defer(() => textOf(fetch(url, { headers }))),
  post: (url: string, body: string, { headers }: WebOptions) =>
    defer(() => textOf(fetch(url, { method: 'POST', body, headers }))),
});

async function textOf(answered: Promise<Response>): Promise<string> {
  const response = await answered;
  const text = await response.text();
  // Without the number it would ask twice more, some seconds apart.
  if (!response.ok) throw Object.assign(new Error(text), { status: 400 });
  return text;
}
