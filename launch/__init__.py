"""The command line, the process table, the supervisor, example sites and systemd units."""
