/**
 * The process. Plain JavaScript, because it is read before the cache is there: for a `.ts` Node would load its type
 * stripper, 16 MB that nothing after it needs.
 */
import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

const place = (path) => new URL(`../${path}`, import.meta.url);

enableCompileCache(fileURLToPath(place('node_modules/.cache/pushbroom')));
const sources = place('src/main.ts');
await import(existsSync(sources) ? sources.href : place('dist/main.js').href);
