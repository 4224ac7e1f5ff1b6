#!/bin/sh
# Migrates the database, then serves on HOST and PORT.
set -e
/usr/bin/python3 -m shop.initialize_db
exec /usr/bin/python3 -m waitress --listen="${HOST:-0.0.0.0}:$PORT" --call shop:main
