"""One module a command: EXAMPLE, add_arguments(parser) and run(args) -> exit status. cli.py loads just one."""
