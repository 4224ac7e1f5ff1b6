from jsonschema import ValidationError, validate
from pyramid.httpexceptions import HTTPFound, HTTPNoContent, HTTPNotFound
from pyramid.view import view_config, view_defaults
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from .models import Line, Order


@view_config(route_name="healthz", renderer="json")
def healthz(request):
    request.db.execute(select(1))
    return {"shop": request.registry.settings["shop.name"]}


class Refused(Exception):
    """Why an order isn't stored, and the status that says so."""

    def __init__(self, message, status):
        super().__init__(message)
        self.status = status


def all_orders(request):
    return request.db.scalars(select(Order).order_by(Order.id)).all()


def store(request, number, lines, fields):
    try:
        validate(fields, request.registry.settings["order.fields"])
    except ValidationError as error:
        raise Refused(error.message, 422)
    order = Order(
        number=number, fields=fields, lines=[Line(**line) for line in lines]
    )
    request.db.add(order)
    try:
        request.db.commit()
    except IntegrityError:
        request.db.rollback()
        raise Refused(f"There is an order {number} already.", 409)
    return order


@view_defaults(route_name="page", renderer="templates/shop.jinja2")
class PageViews:
    def __init__(self, request):
        self.request = request
        settings = request.registry.settings
        self.properties = settings["order.fields"].get("properties", {})
        self.shop = settings["shop.name"]

    @view_config(request_method="GET")
    def show(self, error=None):
        return {
            "shop": self.shop,
            "fields": self.properties,
            "orders": all_orders(self.request),
            "error": error,
        }

    @view_config(request_method="POST")
    def order(self):
        form = self.request.POST
        line = {"article": form["article"], "quantity": int(form["quantity"])}
        fields = {
            name: form[f"fields.{name}"]
            for name in self.properties
            if form[f"fields.{name}"]
        }
        try:
            store(self.request, form["number"], [line], fields)
        except Refused as refusal:
            return self.show(error=refusal)
        return HTTPFound("/")


@view_defaults(route_name="orders", renderer="json")
class OrdersViews:
    def __init__(self, request):
        self.request = request

    @view_config(request_method="GET")
    def list(self):
        return all_orders(self.request)

    @view_config(request_method="POST")
    def create(self):
        wanted = self.request.json_body
        try:
            order = store(
                self.request,
                wanted["number"],
                wanted["lines"],
                wanted.get("fields", {}),
            )
        except Refused as refusal:
            self.request.response.status = refusal.status
            return {"error": str(refusal)}
        self.request.response.status = 201
        return order


@view_defaults(route_name="order", renderer="json")
class OrderViews:
    def __init__(self, request):
        self.request = request
        self.order = request.db.get(Order, int(request.matchdict["id"]))
        if self.order is None:
            raise HTTPNotFound()

    @view_config(request_method="PATCH")
    def update(self):
        self.order.paid = self.request.json_body["paid"]
        self.request.db.commit()
        return self.order

    @view_config(request_method="DELETE")
    def delete(self):
        self.request.db.delete(self.order)
        self.request.db.commit()
        return HTTPNoContent()
