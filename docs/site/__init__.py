"""Makes a site of the documentation: stages the pages, writes the GraphQL reference, builds and checks."""
