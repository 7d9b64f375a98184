"""What a declaration of the schema is made of: where data comes from, arguments, inputs, enums."""
