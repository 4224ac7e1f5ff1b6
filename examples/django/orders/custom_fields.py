"""What orders have in this shop only, by a JSON Schema in a file."""
import json
import os

import jsonschema

# A shop without custom fields.
NONE = {"type": "object", "maxProperties": 0}


def schema():
    path = os.environ.get("CUSTOM_FIELDS_PATH")
    if path is None:
        return NONE
    with open(path) as file:
        return json.load(file).get("order", NONE)


def properties():
    """The schema of each field, by its name."""
    return schema().get("properties", {})


def titles():
    """The title of each field, by its name."""
    return {name: of.get("title", name) for name, of in properties().items()}


def fault(fields):
    """What is wrong with the values of an order; None if nothing is."""
    if not isinstance(fields, dict):
        return "fields: write an object"
    try:
        jsonschema.validate(fields, schema())
    except jsonschema.ValidationError as error:
        return f"{error.json_path.replace('$', 'fields', 1)}: {error.message}"
