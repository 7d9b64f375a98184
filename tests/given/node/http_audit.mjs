// Runs graphql-http's audits of "GraphQL over HTTP" against a server, and says which failed.
import { auditServer } from 'graphql-http';

const results = await auditServer({ url: process.argv[2], fetchFn: fetch });
const failed = results.filter((result) => result.status !== 'ok');
for (const { status, id, name, reason } of failed) console.error(status, id, name, reason);
console.log(JSON.stringify({ ok: results.length - failed.length, of: results.length }));
