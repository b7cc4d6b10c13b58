/** What the command line needs from the world; `main.ts` gives the real one, tests their own. */

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export interface ServeOptions {
  /** Path of the YAML file. */
  readonly config?: string;
  /** What the flags say; each wins over the file. */
  readonly overrides: {
    readonly dataDir?: string;
    readonly host?: string;
    readonly port?: number;
    readonly internalHost?: string;
    readonly internalPort?: number;
    /** Where the server's log goes; standard error otherwise. */
    readonly logFile?: string;
  };
}

export interface RunningServer {
  /** Base URLs of the two listeners, without a slash at the end. */
  readonly publicUrl: string;
  readonly internalUrl: string;
  close(): Promise<void>;
}

/** The process, as far as it tells signals. */
interface Signals {
  on(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  off(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
}

export interface CliDeps {
  readonly stdout: Output;
  readonly stderr: Output;
  /** What is typed unseen, or comes on standard input. */
  readPassword(): Promise<string>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  /** The checkout or installed package: holds `demo/`. */
  readonly root: string;
  serve(options: ServeOptions): Promise<RunningServer>;
  /** Writes the bundles that ship with the product, each to a directory of its own, and returns their names. */
  buildBundles(outDir: string): Promise<readonly string[]>;
  readonly signals: Signals;
  exit(code: number): void;
  readonly fetch?: typeof fetch;
  /** Waits so many milliseconds between two looks at a job. */
  readonly pause?: (ms: number) => Promise<void>;
}

export const pauseOf = (deps: CliDeps): ((ms: number) => Promise<void>) =>
  deps.pause ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
