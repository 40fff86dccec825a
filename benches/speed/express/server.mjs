// Stores the portal's form by Express and pg in two workers: the yardstick of P1. DATABASE_URL names an empty
// database. Four statements a transaction, one round trip each, as such programs are written.
import cluster from 'node:cluster';
import { createHash, randomBytes } from 'node:crypto';
import express from 'express';
import pg from 'pg';

const WORKERS = 2;
const NAME = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

async function tables() {
  const client = new pg.Client(process.env.DATABASE_URL);
  await client.connect();
  await client.query(`
    CREATE TABLE request (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, reference text NOT NULL UNIQUE, programme text NOT NULL,
        number text NOT NULL, deployment text NOT NULL, submission text NOT NULL UNIQUE, key_hash bytea NOT NULL,
        state text NOT NULL DEFAULT 'pending', submitted_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE edge (
        request_id bigint REFERENCES request, ordinal int, name text NOT NULL, PRIMARY KEY (request_id, ordinal));
    CREATE TABLE domain (
        request_id bigint REFERENCES request, edge int NOT NULL, name text, PRIMARY KEY (request_id, name));
    CREATE TABLE event (
        request_id bigint REFERENCES request, seq int, at timestamptz NOT NULL DEFAULT now(), code text NOT NULL,
        PRIMARY KEY (request_id, seq));
    CREATE INDEX ON request (id) WHERE state = 'pending';
    CREATE INDEX ON domain (name)`);
  await client.end();
}

function wanted(form) {
  const edges = [form.edge].flat().map((edge) => String(edge).trim().toLowerCase());
  const domains = [form.domains].flat().map((list) => String(list).toLowerCase().split(/[\s,]+/).filter(Boolean));
  const names = domains.flat();
  const right =
    ['volume_licensing', 'partner_network', 'service_provider', 'high_volume'].includes(form.programme) &&
    /^[A-Z0-9]{1,32}$/.test(form.number) && /[0-9]/.test(form.number) &&
    ['on_premises', 'split'].includes(form.deployment) && form.terms === 'on' && UUID.test(form.submission_id) &&
    edges.length === domains.length && edges.length <= 10 && names.length > 0 && names.length <= 1000 &&
    new Set(names).size === names.length && [...edges, ...names].every((name) => name.length <= 253 && NAME.test(name));
  return right ? { edges, domains } : null;
}

function serve() {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
  const app = express();
  app.post('/requests/new', express.urlencoded({ extended: false }), async (request, response) => {
    const form = request.body;
    const routes = wanted(form);
    if (!routes) {
      return response.sendStatus(422);
    }
    const reference = `PIC-${randomBytes(10).toString('hex').toUpperCase()}`;
    const key = randomBytes(16);
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const made = await client.query({
        name: 'request',
        text: `INSERT INTO request (reference, programme, number, deployment, submission, key_hash)
               VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
        values: [reference, form.programme, form.number, form.deployment, form.submission_id,
          createHash('sha256').update(key).digest()],
      });
      const id = made.rows[0].id;
      await client.query({
        name: 'edge',
        text: 'INSERT INTO edge SELECT $1, n, name FROM unnest($2::text[]) WITH ORDINALITY AS e (name, n)',
        values: [id, routes.edges],
      });
      await client.query({
        name: 'domain',
        text: 'INSERT INTO domain SELECT $1, edge, name FROM unnest($2::int[], $3::text[]) AS d (edge, name)',
        values: [id, routes.domains.flatMap((names, at) => names.map(() => at + 1)), routes.domains.flat()],
      });
      await client.query({
        name: 'event',
        text: "INSERT INTO event (request_id, seq, code) VALUES ($1, 1, 'submitted')",
        values: [id],
      });
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
    response.redirect(303, `/requests/${reference}/receipt`);
  });
  // All workers get the same free port.
  app.listen(0, '127.0.0.1');
}

if (cluster.isPrimary) {
  await tables();
  let listening = 0;
  cluster.on('listening', (_, address) => {
    listening += 1;
    if (listening === WORKERS) {
      console.log(`127.0.0.1:${address.port}`);
    }
  });
  cluster.on('exit', () => process.exit(1));
  for (let worker = 0; worker < WORKERS; worker += 1) {
    cluster.fork();
  }
} else {
  serve();
}
