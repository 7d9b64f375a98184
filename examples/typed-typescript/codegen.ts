import type { CodegenConfig } from '@graphql-codegen/cli';

const config: CodegenConfig = {
  schema: '../../schema/schema.graphql',
  documents: ['./*.graphql'],
  generates: {
    './generated.ts': {
      plugins: ['typescript', 'typescript-operations', 'typed-document-node'],
      config: {
        scalars: { DateTime: 'string', Duration: 'string', Position: 'number', JSON: 'unknown' },
        enumsAsTypes: true,
        onlyOperationTypes: true,
        useTypeImports: true,
      },
    },
  },
};

export default config;
