#!/bin/sh
# Migrates the database, then serves on HOST and PORT.
set -e
/usr/bin/python3 manage.py migrate --no-input
exec /usr/bin/python3 -m waitress --listen="${HOST:-0.0.0.0}:$PORT" shop.wsgi:application
