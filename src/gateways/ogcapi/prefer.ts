/** What a client would like (RFC 7240). */
export interface Preference {
  readonly isAsync: boolean;
  /** Seconds that the client would wait for the results before it takes a status. */
  readonly wait?: number;
  /** As `Preference-Applied` says it when the results are the answer. */
  readonly applied?: string;
}

/** Of what cannot be read nothing is kept, as RFC 7240 wants it. */
export function readPreference(header = ''): Preference {
  const wishes = new Map(
    header.split(',').map((wish): [string, string] => {
      const [name = '', value = ''] = wish.replace(/;.*$/s, '').split('=', 2);
      return [name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, '$1')];
    }),
  );
  const seconds = wishes.get('wait');
  const wait = seconds !== undefined && /^\d{1,6}$/.test(seconds) ? Number(seconds) : undefined;
  const applied = [
    ...(wishes.has('respond-sync') ? ['respond-sync'] : []),
    ...(wait === undefined ? [] : [`wait=${wait}`]),
  ];
  return {
    isAsync: wishes.has('respond-async'),
    ...(wait !== undefined && { wait }),
    ...(applied.length > 0 && { applied: applied.join(', ') }),
  };
}
