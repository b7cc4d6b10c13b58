import { Listener } from './wire.ts';

export interface FileServer {
  readonly url: string;
  /** `GET /path` in their order; may be emptied. */
  readonly hits: string[];
  stop(): Promise<void>;
}

/** What the recordings' file server had; those of tens of megabytes are a thousandth here. */
const SIZES: Readonly<Record<string, number>> = {
  '/scene_A.bin': 2048,
  '/big.bin': 5_000_000,
  '/mb30-a.bin': 30_000,
  '/mb60.bin': 60_000,
  '/mb100.bin': 100_000,
};

/** An HTTP server that counts how often the agents' fetchers ask it for what. */
export async function startFileServer(): Promise<FileServer> {
  const hits: string[] = [];
  const listener = new Listener('127.0.0.1', (request, response) => {
    hits.push(`${request.method} ${request.url}`);
    const path = request.url!.replace(/\?.*/, '');
    const isHead = request.method === 'HEAD';
    if (path.startsWith('/missing')) response.writeHead(404).end();
    else if (path === '/nohead.txt' && isHead) response.writeHead(405).end();
    else if (path === '/redir.txt')
      response.writeHead(302, { location: '/target-redir.txt' }).end();
    else if (path === '/nolen.txt') {
      response.writeHead(200, { 'transfer-encoding': 'chunked' });
      response.end(isHead ? undefined : 'no length');
    } else {
      const body = Buffer.alloc(SIZES[path] ?? 30, 'x');
      response.writeHead(200, { 'content-length': body.length });
      response.end(isHead ? undefined : body);
    }
  });
  await listener.open();
  return { url: listener.url, hits, stop: () => listener.close() };
}
