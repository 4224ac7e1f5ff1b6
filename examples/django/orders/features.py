"""Feature flags, from a file in the format of flagd.

The file may change while the app runs, so each request reads it. An app that
can install from PyPI has OpenFeature's provider do this, and gets targeting,
too; Debian has no package of that.
"""
import json
import os


def is_on(name):
    path = os.environ.get("FLAGD_OFFLINE_FLAG_SOURCE_PATH")
    if path is None:
        return False
    with open(path) as file:
        flag = json.load(file)["flags"].get(name)
    return flag is not None and flag["variants"][flag["defaultVariant"]]
