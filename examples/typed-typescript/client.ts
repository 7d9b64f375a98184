// Prints the board as it was at a moment: node client.js http://127.0.0.1:8080/graphql [moment]
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';
import { BoardDocument } from './generated';

async function ask<Result, Variables>(
  url: string,
  document: TypedDocumentNode<Result, Variables>,
  variables: Variables,
): Promise<Result> {
  const token = process.env.RECOUNT_TOKEN;
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const answer = (await response.json()) as { data?: Result; errors?: { message: string }[] };
  if (answer.errors || !answer.data) throw new Error(answer.errors?.map((error) => error.message).join('; '));
  return answer.data;
}

async function main(): Promise<void> {
  const [url = 'http://127.0.0.1:8080/graphql', moment] = process.argv.slice(2);
  const board = await ask(url, BoardDocument, { moment });
  for (const item of board.items.nodes) {
    console.log(`${item.votes?.net ?? '?'}\t${item.status?.label ?? item.status?.key ?? '?'}\t${item.title ?? '?'}`);
  }
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
