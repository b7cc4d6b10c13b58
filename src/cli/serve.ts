import { Command } from 'commander';
import { examples, integer } from './commands.ts';
import type { CliDeps } from './deps.ts';
import { aborted, stopSignal } from './stop.ts';

interface ServeFlags {
  readonly config?: string;
  readonly dataDir?: string;
  readonly host?: string;
  readonly port?: number;
  readonly internalHost?: string;
  readonly internalPort?: number;
  readonly logFile?: string;
}

const port = integer(0, 65_535);

export const serveCommand = (deps: CliDeps): Command =>
  new Command('serve')
    .description('run the server')
    .option('--config <file>', 'configuration (YAML); flags win over it')
    .option('--data-dir <dir>', 'where everything that is written goes')
    .option('--host <host>', 'address of the public listener')
    .option('--port <port>', 'its port; 0 takes a free one', port)
    .option('--internal-host <host>', 'address of the internal listener: never a public one')
    .option('--internal-port <port>', 'its port; 0 takes a free one', port)
    .option('--log-file <file>', 'where the log goes instead of standard error')
    .addHelpText(
      'after',
      examples('serve', 'serve --config pushbroom.yaml --data-dir /var/lib/pushbroom'),
    )
    .action(async ({ config, ...overrides }: ServeFlags) => {
      using stop = stopSignal(deps);
      const server = await deps.serve({ ...(config !== undefined && { config }), overrides });
      deps.stdout.write(
        `public    ${server.publicUrl}  (/wps, /ogcapi)\ninternal  ${server.internalUrl}  (console, /api)\n`,
      );
      await aborted(stop.signal);
      await server.close();
    });
