#!/bin/sh
# Run once by the postgres image, when the database is new: the role of the service owns its database and nothing else.
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres --set=password="$AUTONL_POSTGRES_PASSWORD" <<'SQL'
CREATE ROLE autonl LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE autonl OWNER autonl;
REVOKE ALL ON DATABASE autonl FROM PUBLIC;
SQL
