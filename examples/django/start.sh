#!/bin/sh
# Serves on HOST and PORT.
exec /usr/bin/python3 -m waitress --listen="${HOST:-0.0.0.0}:$PORT" shop.wsgi:application
