"""One module per format, each with `MEMBER`. See `autonl_core/export` for how to add one."""
