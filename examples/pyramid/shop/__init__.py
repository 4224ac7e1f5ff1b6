import json
import os

from pyramid.config import Configurator

from .models import Session


def database(request):
    """The request's session, closed with it."""
    session = Session()
    request.add_finished_callback(lambda request: session.close())
    return session


def order_fields():
    """The JSON Schema of what orders have in this shop only."""
    path = os.environ.get("CUSTOM_FIELDS_PATH")
    if path is None:
        return {"type": "object", "maxProperties": 0}
    with open(path) as file:
        return json.load(file)["order"]


def main():
    with Configurator(
        settings={
            "shop.name": os.environ.get("SHOP_NAME", "Shop"),
            "order.fields": order_fields(),
        }
    ) as config:
        config.include("pyramid_jinja2")
        config.add_request_method(database, "db", reify=True)
        config.add_route("page", "/")
        config.add_route("healthz", "/healthz")
        config.add_route("orders", "/orders")
        config.add_route("order", r"/orders/{id:\d+}")
        config.scan(".views")
        return config.make_wsgi_app()
