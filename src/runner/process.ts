/** In the environment of each program; by it, a program is known whose runner has died. */
export const ATTEMPT_VARIABLE = 'PUSHBROOM_ATTEMPT';

/** What to start: in a session, and so a process group, of its own. */
export interface Command {
  readonly argv: readonly string[];
  /** Absolute path. */
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** What the kernel says that a process has used, with all that it has waited for itself. Absent: not known. */
export interface ProcessUsage {
  readonly cpuUserMs?: number;
  readonly cpuSystemMs?: number;
  /** Where the CPU figures come from, as in `Usage.sources`. */
  readonly cpuSource?: string;
  readonly readBytes?: number;
  readonly writtenBytes?: number;
  /** Of the largest of them. */
  readonly peakMemoryBytes?: number;
}

export interface ProcessEnd {
  readonly exitCode?: number;
  readonly signal?: string;
  readonly usage: ProcessUsage;
}

export interface Started {
  /** Also of its process group. */
  readonly pid: number;
  /** Resolves when the process has ended, its whole group with it, and all that it said was heard. */
  readonly ended: Promise<ProcessEnd>;
}

/** Told what a process says, in order, while it runs or right after. The bytes are valid during the call only. */
export type Hear = (stream: 'out' | 'err', chunk: Buffer) => void;

/** Rejects with a `StartError`. */
export type StartProcess = (command: Command, hear: Hear) => Promise<Started>;

/** A process that could not be started; `code` is the system's, as `EACCES`. */
export class StartError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Ends a process group; one that is gone already is no error. */
export function killGroup(group: number | undefined, signal: NodeJS.Signals): void {
  if (group === undefined) return;
  try {
    process.kill(-group, signal);
  } catch {
    // ESRCH: nobody is left.
  }
}
