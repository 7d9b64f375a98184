"""What Sleekplan's REST API is, as far as it is public: one way to ask it, and walks through its lists."""
