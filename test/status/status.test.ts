import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatAddress } from '../../sidecar/config/address.ts';
import { createStatusServer, type Readiness, type StatusServer } from '../../sidecar/status.ts';
import { idleMetrics } from '../support/idle-metrics.ts';

let server: StatusServer;
let readiness: Readiness;
let status: () => object;
const { registry } = idleMetrics(7);

beforeEach(async () => {
  readiness = { ready: true, reasons: [] };
  status = () => ({ gate: 'open' });
  server = await createStatusServer({
    listen: { host: '127.0.0.1', port: 0 },
    readiness: () => readiness,
    status: () => status(),
    registry,
  });
});
afterEach(() => server.close());

const ask = (path: string, init?: RequestInit) =>
  fetch(`http://${formatAddress(server.address)}${path}`, init);

describe('the status port', () => {
  it('is alive whatever the readiness is', async () => {
    readiness = { ready: false, reasons: ['The spool is full.'] };
    expect((await ask('/livez')).status).toBe(200);
  });

  it('is ready, or says why not', async () => {
    const ready = await ask('/readyz');
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, reasons: [] }]);
    readiness = { ready: false, reasons: ['The spool is full.'] };
    const unready = await ask('/readyz');
    expect([unready.status, await unready.json()]).toEqual([503, readiness]);
  });

  it('serves the metrics in the format of Prometheus', async () => {
    const response = await ask('/metrics');
    expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    expect(await response.text()).toContain('mcp_recorder_active_exchanges 7');
  });

  it('serves the status as JSON that no cache keeps', async () => {
    const response = await ask('/status?verbose=1');
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.json()).toEqual({ gate: 'open' });
  });

  it('answers HEAD without a body, other methods with 405 and other paths with what there is', async () => {
    const head = await ask('/livez', { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const post = await ask('/livez', { method: 'POST', body: 'x' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    const other = await ask('/mcp');
    expect(other.status).toBe(404);
    expect(await other.text()).toContain('/livez, /readyz, /metrics, /status');
  });

  it('answers 500 and lives on when the status can not be told', async () => {
    status = () => {
      throw new Error('no spool');
    };
    const response = await ask('/status');
    expect([response.status, await response.text()]).toEqual([500, expect.stringContaining('no spool')]);
    expect((await ask('/livez')).status).toBe(200);
  });

  it('rejects when its port is taken', async () => {
    await expect(
      createStatusServer({ listen: server.address, readiness: () => readiness, status, registry }),
    ).rejects.toMatchObject({ code: 'EADDRINUSE', port: server.address.port });
  });

  it('closes at once although a client is in the middle of a request', async () => {
    const socket = net.connect(server.address.port, server.address.host);
    socket.write('GET /livez HTTP/1.1\r\nhost: a\r\n\r\nGET /livez HTTP/1.1\r\n');
    await once(socket, 'data');
    const closed = once(socket, 'close');
    socket.on('error', () => {});
    await server.close();
    await closed;
  });
});
