"""All commands, by what they are for: a signature, a line of help, and a call of the module that does it."""
