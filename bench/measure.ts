import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import type { OutgoingHttpHeaders } from 'node:http';

/** The value below which a share of all values lies, 0.99 for p99. */
export const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1] ?? Number.NaN;

/** Resident memory of a process in MB: now, or the most that it ever was. */
export async function residentMb(pid: number, when: 'now' | 'peak' = 'now'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const line = when === 'now' ? /^VmRSS:\s+(\d+)/m : /^VmHWM:\s+(\d+)/m;
  return Number(line.exec(status)![1]) / 1024;
}

export interface Request {
  readonly url: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** From the request's first byte to the answer's last. */
  readonly milliseconds: number;
}

/** Sends requests over kept connections, with as little work as Node allows: the server is what is measured. */
export function createClient(connections: number): (request: Request) => Promise<Answer> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  return ({ url, body, ...options }) =>
    new Promise((resolve, reject) => {
      const begun = performance.now();
      const sent = request(url, { ...options, agent }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => {
          const milliseconds = performance.now() - begun;
          resolve({ status: response.statusCode!, text, milliseconds });
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
}

export interface Load {
  /** Good answers per second. */
  readonly rate: number;
  /** Milliseconds of each good answer. */
  readonly times: readonly number[];
  /** Everything else. */
  readonly failures: readonly string[];
}

/** Some clients that each ask again as soon as they are answered. */
export async function load(options: {
  readonly request: Request;
  readonly clients: number;
  readonly seconds: number;
  isGood(answer: Answer): boolean;
}): Promise<Load> {
  const send = createClient(options.clients);
  const times: number[] = [];
  const failures: string[] = [];
  const begun = performance.now();
  const end = begun + options.seconds * 1000;
  const client = async () => {
    while (performance.now() < end) {
      try {
        const answer = await send(options.request);
        if (options.isGood(answer)) times.push(answer.milliseconds);
        else failures.push(`${answer.status}: ${answer.text}`);
      } catch (error) {
        failures.push(String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: options.clients }, client));
  return { rate: times.length / ((performance.now() - begun) / 1000), times, failures };
}
