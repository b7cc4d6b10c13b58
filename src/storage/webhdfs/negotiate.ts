import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** A program has not done what it should; the message says what it said. */
export class ProgramError extends Error {}

export interface Ticket {
  /** Where tickets are kept, of the account's own cache where absent. */
  readonly cache?: string | undefined;
  /** Certificates in PEM that servers are checked against, in place of the system's. */
  readonly caFile?: string | undefined;
}

export interface NegotiatedAnswer {
  /** 0 where there was none. */
  readonly status: number;
  readonly text: string;
}

const CONNECT_SECONDS = 10;
const MOST_SECONDS = 60;
const MOST_BYTES = 1024 * 1024;
const EXCERPT = 300;
/** env(1): no such program. */
const NOT_FOUND = 127;

/**
 * Asks with a Kerberos ticket (SPNEGO, RFC 4559), by curl: Node cannot without a native module. What is asked for may hold
 * a token, so it goes by stdin, where no list of processes shows it.
 *
 * @throws ProgramError
 */
export async function askNegotiated(
  method: 'GET' | 'PUT',
  url: URL,
  { cache, caFile }: Ticket,
): Promise<NegotiatedAnswer> {
  const settings = [
    `url = ${quoted(url.href)}`,
    `request = ${quoted(method)}`,
    'negotiate',
    'user = ":"',
    'silent',
    'show-error',
    'globoff',
    'proto = "=http,https"',
    `connect-timeout = ${CONNECT_SECONDS}`,
    `max-time = ${MOST_SECONDS}`,
    `max-filesize = ${MOST_BYTES}`,
    String.raw`write-out = "\n%{http_code}"`,
    ...(caFile === undefined ? [] : [`cacert = ${quoted(caFile)}`]),
  ];
  const variables = cache === undefined ? [] : [`KRB5CCNAME=FILE:${cache}`];
  // The account's own settings (.curlrc) do not count.
  const command = ['env', ...variables, 'curl', '--disable', '--config', '-'] as const;
  const output = await run(command, `${settings.join('\n')}\n`);
  const end = output.lastIndexOf('\n');
  return { status: Number(output.slice(end + 1)), text: output.slice(0, end) };
}

/** Gets a ticket by a key that was written to a file. @throws ProgramError */
export async function getTicket(keytab: string, principal: string, cache: string): Promise<void> {
  await run(['kinit', '-k', '-t', keytab, '-c', `FILE:${cache}`, principal], '');
}

const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;

async function run(
  [command, ...parameters]: readonly [string, ...string[]],
  input: string,
): Promise<string> {
  const name = parameters.includes('curl') ? 'curl' : command;
  const child = spawn(command, parameters, { stdio: ['pipe', 'pipe', 'pipe'] });
  let [output, words] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    words = (words + chunk).slice(-EXCERPT);
  });
  // It may end without having read.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [code] = (await once(child, 'close').catch((cause: unknown) => {
    throw new ProgramError(`${name} cannot be started: is it installed?`, { cause });
  })) as [number | null];
  if (code === 0) return output;
  if (code === NOT_FOUND) throw new ProgramError(`${name} is not installed here`);
  throw new ProgramError(`${name} says: ${words.trim() || `nothing, and ends with ${code}`}`);
}
