"""The ways in: GraphQL over HTTP, WebSockets and event streams."""
