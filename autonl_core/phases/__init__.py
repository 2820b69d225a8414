"""The phases of a search, one file each, in the order of `autonl_core.search`."""
