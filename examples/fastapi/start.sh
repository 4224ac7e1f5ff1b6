#!/bin/sh
# Migrates the database, then serves on HOST and PORT.
set -e
/usr/bin/python3 database.py
exec /usr/bin/python3 -m uvicorn shop:app --host "${HOST:-0.0.0.0}" --port "$PORT"
