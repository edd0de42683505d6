"""The `dyntaskmas` command."""
