"""What ``pathlupi`` can be told to do: a command is a file."""
