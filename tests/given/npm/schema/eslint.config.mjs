// All rules of `schema-all` and `schema-relay`, but for those that the schema breaks on purpose.
import graphqlPlugin from '@graphql-eslint/eslint-plugin';

const off = {
  alphabetize: 'fields stand in the order in which they are read',
  'strict-id-in-types': 'totals, points of a series and payloads are values: they have no identity',
  'require-nullable-result-in-root': 'a payload is always there; what failed is in its userErrors',
  'input-name': 'arguments of mutations stand by themselves, as those of queries do',
  'require-field-of-type-query-in-mutation-result': 'what a mutation starts is read by a query afterwards',
  'no-root-type': 'there are mutations and subscriptions',
};

export default [
  {
    files: ['schema.graphql'],
    languageOptions: {
      parser: graphqlPlugin.parser,
      parserOptions: { graphQLConfig: { schema: './schema.graphql', documents: './questions/*.graphql' } },
    },
    plugins: { '@graphql-eslint': graphqlPlugin },
    rules: {
      ...graphqlPlugin.configs['flat/schema-all'].rules,
      ...graphqlPlugin.configs['flat/schema-relay'].rules,
      // Lists of plain values, and the shortcut `nodes`, beside the edges that Relay reads.
      '@graphql-eslint/relay-edge-types': [
        'error',
        { withEdgeSuffix: true, shouldImplementNode: true, listTypeCanWrapOnlyEdgeType: false },
      ],
      ...Object.fromEntries(Object.keys(off).map((rule) => [`@graphql-eslint/${rule}`, 'off'])),
    },
  },
];
