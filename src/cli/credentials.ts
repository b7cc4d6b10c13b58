import { PushbroomError } from '../errors.ts';
import type { CliDeps } from './deps.ts';

/** The header by which somebody logs in, from the environment: arguments are seen by everybody on a machine. */
export function authorizationOf(env: CliDeps['env']): { readonly authorization?: string } {
  const { PUSHBROOM_TOKEN: token, PUSHBROOM_USER: user, PUSHBROOM_PASSWORD: password } = env;
  if (token !== undefined && token !== '') return { authorization: `Bearer ${token}` };
  if (user === undefined || user === '') return {};
  if (password === undefined) {
    const message = 'PUSHBROOM_USER is set, PUSHBROOM_PASSWORD is not: set both';
    throw new PushbroomError('UNAUTHENTICATED', message);
  }
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

export const HOW_TO_LOG_IN = 'set PUSHBROOM_USER and PUSHBROOM_PASSWORD, or PUSHBROOM_TOKEN';
