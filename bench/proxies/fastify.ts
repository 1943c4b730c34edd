/**
 * Owns the process of the candidate `fastify`: `@fastify/http-proxy` as its documentation sets it up, without logging.
 * Started with the origin of the upstream server; writes the port that it listens on.
 */
import proxy from '@fastify/http-proxy';
import fastify from 'fastify';

const [, , upstream] = process.argv;
if (upstream === undefined) throw new Error('usage: fastify.ts ORIGIN');
const server = fastify({ logger: false });
await server.register(proxy, { upstream });
const address = await server.listen({ host: '127.0.0.1', port: 0 });
process.stdout.write(`${new URL(address).port}\n`);
process.once('SIGTERM', () => process.exit(0));
