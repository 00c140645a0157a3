// server.js - the peer: Tiffin's calls as they would be written well in Node. See README.md.
'use strict';

const cluster = require('node:cluster');
const fastify = require('fastify');
const Redis = require('ioredis');
const { Database } = require('./database');
const { uuid7 } = require('./ids');
const { answerProblems } = require('./problem');

const { PORT, DATABASE_URL, REDIS_URL, WEBHOOK_SECRET, POOL_SIZE = '8', WORKERS = '1' } = process.env;

async function serve() {
  const database = new Database(DATABASE_URL, Number(POOL_SIZE));
  await database.open();
  // Commands do not wait for the answers to those before them. A PSP that is not answered in time sends its webhook again.
  const redis = new Redis(REDIS_URL, { maxRetriesPerRequest: 1 });
  redis.on('error', (error) => console.error(error.message)); // it connects again by itself

  const app = fastify({
    logger: { level: 'warn' },
    requestIdHeader: 'x-request-id',
    genReqId: uuid7,
    // Strict, as Tiffin is: what is not known or not of its type is refused, not removed or converted.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  });
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('X-Request-Id', request.id);
    done();
  });
  answerProblems(app);
  app.register(require('./orders'), { database });
  app.register(require('./payments'), { database });
  app.register(require('./webhooks'), { redis, secret: WEBHOOK_SECRET });
  await app.listen({ host: '127.0.0.1', port: Number(PORT), backlog: 4096 });
}

function superviseWorkers(count) {
  let listening = 0;
  cluster.on('listening', () => {
    if (++listening === count) console.log('listening');
  });
  cluster.on('exit', (worker, code) => process.exit(code || 1)); // a benchmark on fewer would be wrong
  for (let i = 0; i < count; i++) cluster.fork();
}

async function main() {
  if (cluster.isPrimary && Number(WORKERS) > 1) {
    superviseWorkers(Number(WORKERS));
    return;
  }
  await serve();
  if (cluster.isPrimary) console.log('listening');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
