import type { IncomingMessage, ServerResponse } from 'node:http';

import { VERSION } from './agent-api.ts';
import { parseCall } from './call-checks.ts';
import { metrics, operatorCall, teardown } from './operator.ts';
import type { Master } from './master.ts';
import { perform, refuseHead, seenCall } from './scheduler-api.ts';
import type { Answer, ReceivedCall } from './types.ts';
import { bodyOf, json, notFound, ok, refused, reply } from './wire.ts';
import type { Reply } from './wire.ts';

/** What a test sees of a call and decides about it. */
export type Witness = (call: ReceivedCall) => Answer | undefined;

/** All of the leading master's HTTP endpoints. */
export async function serve(
  master: Master,
  witness: Witness,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname } = new URL(request.url!, 'http://master');
  const path = pathname.replace(/^\/master/, '') || '/';
  if (path === '/api/v1/scheduler') return serveScheduler(master, witness, request, response);
  const body = await bodyOf(request);
  const realm = request.method === 'GET' ? 'readonly' : 'readwrite';
  const isOpen = path === '/health' || path === '/version';
  const denied = isOpen ? undefined : authenticate(master, request, realm).denied;
  reply(response, denied ?? answer(master, path, body));
}

function answer(master: Master, path: string, body: string): Reply {
  const { host, port } = master.settings.address;
  switch (path) {
    case '/api/v1':
      return operatorCall(master, body);
    case '/health':
      return ok;
    case '/version':
      return json(VERSION);
    case '/metrics/snapshot':
      return json(metrics(master));
    case '/redirect':
      return { status: 307, headers: { location: `//${host}:${port}` } };
    case '/teardown':
      return teardown(master, new URLSearchParams(body).get('frameworkId') ?? undefined);
    default:
      return notFound;
  }
}

async function serveScheduler(
  master: Master,
  witness: Witness,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await bodyOf(request);
  const { denied, principal } = authenticate(master, request, 'scheduler');
  const head = denied ?? refuseHead(request);
  const checked = parseCall(body);
  const decided = witness(seenCall(request, body, checked));
  if (decided === 'hang') return;
  if (decided === 'cut') return void request.socket.resetAndDestroy();
  if (typeof decided === 'object') return reply(response, decided);
  const answered = head ?? perform(master, checked, request, response, principal);
  if (decided === 'lose') request.socket.resetAndDestroy();
  else if (answered) reply(response, answered);
}

/** HTTP Basic, where the cluster has credentials (17). */
function authenticate(
  { settings: { credentials } }: Master,
  request: IncomingMessage,
  realm: string,
): { readonly denied?: Reply; readonly principal?: string } {
  if (credentials.length === 0) return {};
  const given = request.headers.authorization;
  const found = credentials.find(
    ({ principal, secret }) =>
      given === `Basic ${Buffer.from(`${principal}:${secret}`).toString('base64')}`,
  );
  if (found) return { principal: found.principal };
  const challenge = { 'www-authenticate': `Basic realm="mesos-master-${realm}"` };
  return { denied: refused(401, '401 Unauthorized.', challenge) };
}

/** A master that does not lead, as `Master::Http::redirect` answers. */
export function serveStandby(
  leader: { readonly host: string; readonly port: number },
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const path = request.url!;
  const isBase = path === '/redirect' || path === '/master/redirect';
  const location = `//${leader.host}:${leader.port}${isBase ? '' : path}`;
  request.resume();
  reply(response, { status: 307, headers: { location } });
}
