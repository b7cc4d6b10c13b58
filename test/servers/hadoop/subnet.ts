import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

export interface Subnet extends Disposable {
  /** All of 127.0.0.0/8 is this machine. */
  address(number: number): string;
}

/** 127.x.y.* for one cluster alone, held by listening on an address of it: the kernel lets go when the holder ends. */
export async function claimSubnet(): Promise<Subnet> {
  for (;;) {
    const prefix = `127.${randomInt(100, 255)}.${randomInt(1, 255)}`;
    const server = createServer((socket) => socket.destroy());
    server.listen(8020, `${prefix}.254`).unref();
    try {
      await once(server, 'listening');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') continue;
      throw error;
    }
    return {
      address: (number) => `${prefix}.${number}`,
      [Symbol.dispose]: () => void server.close(),
    };
  }
}
