"""Takes Sleekplan's webhooks, keeps the log of events, and runs the process that serves it."""
