import { createConnection } from 'node:net';
import type { Socket } from 'node:net';

import { messageOf } from '../../errors.ts';

export interface ZooKeeperServer {
  readonly host: string;
  readonly port: number;
}

export interface ZooKeeperAddress {
  readonly servers: readonly ZooKeeperServer[];
  /** Of the node below which the masters stand for election. */
  readonly path: string;
  /** `user:password`, for the scheme `digest`. */
  readonly auth?: string;
}

export interface LeaderOptions {
  /** How long one server may take, in milliseconds. */
  readonly timeoutMs?: number;
  /** From 0 to 1, without 1: which server is asked first. */
  readonly random?: () => number;
}

const TIMEOUT_MS = 5_000;
/** Bytes; a ZooKeeper server itself takes and gives at most 1 MiB (jute.maxbuffer). */
const MAX_ANSWER = 4 * 1024 * 1024;

/**
 * Reads what the leading Mesos master has written about itself: its MasterInfo as JSON (Mesos's "High-Availability
 * Mode": the masters stand for election with sequential nodes, and the lowest leads).
 *
 * Every reading is a connection and a session of its own, so nothing can be out of date and nothing stays behind. The
 * few messages that this takes are spoken here and not by a library: those at hand throw out of their sockets' events
 * when the other side does not speak ZooKeeper, which ends the process, and cannot be stopped while they connect.
 *
 * @throws Error that says for each server why not; the signal's reason when it aborts
 */
export async function readLeader(
  address: ZooKeeperAddress,
  signal: AbortSignal,
  { timeoutMs = TIMEOUT_MS, random = Math.random }: LeaderOptions = {},
): Promise<string> {
  const failures: string[] = [];
  for (const server of inTurn(address.servers, random())) {
    try {
      const patience = AbortSignal.timeout(timeoutMs);
      return await readFrom(server, address, AbortSignal.any([signal, patience]));
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Verdict) throw error;
      failures.push(`${server.host}:${server.port}: ${describe(error, timeoutMs)}`);
    }
  }
  throw new Error(`no ZooKeeper server tells who leads: ${failures.join('; ')}`);
}

/** So that not all services ask the same server. */
function inTurn<T>(items: readonly T[], random: number): readonly T[] {
  const first = Math.floor(random * items.length);
  return [...items.slice(first), ...items.slice(0, first)];
}

const describe = (error: unknown, timeoutMs: number): string =>
  error instanceof Error && error.name === 'TimeoutError'
    ? `no answer within ${timeoutMs / 1000} s`
    : messageOf(error);

/** What every server would say. */
class Verdict extends Error {}

async function readFrom(
  server: ZooKeeperServer,
  { path, auth }: ZooKeeperAddress,
  signal: AbortSignal,
): Promise<string> {
  const socket = createConnection({ ...server, noDelay: true, signal });
  try {
    const session = await openSession(socket, auth);
    const node = leaderAmong(await session.children(path), path);
    const info = await session.data(`${path}/${node}`);
    await session.close();
    return info;
  } catch (error) {
    // What an abort destroys says no more than that it was destroyed.
    signal.throwIfAborted();
    throw error;
  } finally {
    socket.destroy();
  }
}

/**
 * The name of the leader's node. Mesos counts in 32 bits with a sign (`src/zookeeper/group.cpp`); other nodes, e.g.
 * `log_replicas`, are of no interest.
 */
export function leaderAmong(children: readonly string[], path: string): string {
  const candidates = children.flatMap((name) => {
    const match = /^json\.info_(-?\d+)$/.exec(name);
    return match ? [{ name, sequence: Number(match[1]) }] : [];
  });
  const [leader] = candidates.toSorted((a, b) => a.sequence - b.sequence);
  if (leader) return leader.name;
  throw new Verdict(
    children.some((name) => /^(info_)?\d+$/.test(name))
      ? `the masters at ${path} of ZooKeeper are older than Mesos 0.24, which this service cannot speak to`
      : `no master leads: there is none at ${path} of ZooKeeper`,
  );
}

// From here on ZooKeeper's protocol, as in its `zookeeper.jute` and `ZooDefs.java`: messages are an int of 32 bits with
// their length and so many bytes; strings and buffers likewise; all numbers are big-endian.

const [GET_DATA, GET_CHILDREN, CLOSE, AUTH] = [4, 8, -11, 100] as const;
const AUTH_XID = -4;
const [NO_NODE, NO_AUTH, AUTH_FAILED] = [-101, -102, -115] as const;
const SESSION_MS = 10_000;

interface Session {
  children(path: string): Promise<string[]>;
  data(path: string): Promise<string>;
  close(): Promise<void>;
}

async function openSession(socket: Socket, auth: string | undefined): Promise<Session> {
  const answers = readMessages(socket);
  let xid = 0;
  const answer = async (): Promise<Reader> => {
    const { value } = await answers.next();
    if (!value) throw new Error('it closed the connection');
    return value;
  };
  const call = async (
    id: number,
    operation: number,
    path: string,
    ...fields: readonly Buffer[]
  ) => {
    socket.write(message(int(id), int(operation), ...fields));
    const reply = await answer();
    const answered = reply.int();
    reply.skip(8);
    const error = reply.int();
    if (answered !== id) throw new Error(`it answered ${answered} where ${id} was asked`);
    if (error !== 0) throw failure(error, path);
    return reply;
  };
  const ask = (operation: number, path: string) =>
    call((xid += 1), operation, path, text(path), Buffer.of(0));

  socket.write(greeting());
  const welcome = await answer();
  if (welcome.int() !== 0 || welcome.int() <= 0) throw new Error('it does not speak ZooKeeper');
  if (auth !== undefined) await call(AUTH_XID, AUTH, '', int(0), text('digest'), text(auth));
  return {
    children: async (path) => (await ask(GET_CHILDREN, path)).list((reply) => reply.text()),
    data: async (path) => (await ask(GET_DATA, path)).text(),
    close: async () => void (await call((xid += 1), CLOSE, '')),
  };
}

/** A new session: version 0, nothing seen yet, no id, an empty password, nothing read-only. */
const greeting = (): Buffer =>
  message(
    int(0),
    Buffer.alloc(8),
    int(SESSION_MS),
    Buffer.alloc(8),
    buffer(Buffer.alloc(16)),
    Buffer.of(0),
  );

function failure(code: number, path: string): Error {
  switch (code) {
    case NO_NODE:
      return new Verdict(`no master leads: ZooKeeper has no ${path}`);
    case NO_AUTH:
      return new Verdict(
        `ZooKeeper does not let ${path} be read: check user and password of zk://`,
      );
    case AUTH_FAILED:
      return new Verdict('ZooKeeper does not accept user and password of zk://');
    default:
      return new Error(`it answered with ZooKeeper's error ${code}`);
  }
}

function int(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}
const buffer = (bytes: Buffer): Buffer => Buffer.concat([int(bytes.length), bytes]);
const text = (value: string): Buffer => buffer(Buffer.from(value));
const message = (...fields: readonly Buffer[]): Buffer => buffer(Buffer.concat(fields));

type Reader = ReturnType<typeof createReader>;

/** Throws a RangeError where a message is shorter than it should be. */
function createReader(bytes: Buffer) {
  let at = 0;
  const skip = (count: number): number => {
    const from = at;
    if (count < 0 || at + count > bytes.length) throw new RangeError('its answer is cut off');
    at += count;
    return from;
  };
  const readInt = () => bytes.readInt32BE(skip(4));
  const readText = () => {
    // -1 stands for nothing.
    const length = Math.max(readInt(), 0);
    const from = skip(length);
    return bytes.toString('utf8', from, from + length);
  };
  return {
    skip,
    int: readInt,
    text: readText,
    list<T>(read: (reader: { text(): string }) => T): T[] {
      const items: T[] = [];
      for (let left = readInt(); left > 0; left -= 1) items.push(read({ text: readText }));
      return items;
    },
  };
}

async function* readMessages(socket: Socket): AsyncGenerator<Reader, undefined> {
  let rest = Buffer.alloc(0);
  for await (const chunk of socket) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    while (rest.length >= 4) {
      const length = rest.readInt32BE();
      if (length < 0 || length > MAX_ANSWER) throw new Error('it does not speak ZooKeeper');
      if (rest.length < 4 + length) break;
      yield createReader(rest.subarray(4, 4 + length));
      rest = rest.subarray(4 + length);
    }
  }
}
