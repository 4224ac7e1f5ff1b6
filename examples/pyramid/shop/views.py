from jsonschema import ValidationError, validate
from pyramid.httpexceptions import HTTPNoContent, HTTPNotFound
from pyramid.view import view_config, view_defaults
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from .models import Line, Order


@view_config(route_name="healthz", renderer="json")
def healthz(request):
    request.db.execute(select(1))
    return {"shop": request.registry.settings["shop.name"]}


@view_defaults(route_name="orders", renderer="json")
class OrdersViews:
    def __init__(self, request):
        self.request = request

    @view_config(request_method="GET")
    def list(self):
        return self.request.db.scalars(select(Order).order_by(Order.id)).all()

    @view_config(request_method="POST")
    def create(self):
        wanted = self.request.json_body
        fields = wanted.get("fields", {})
        try:
            validate(fields, self.request.registry.settings["order.fields"])
        except ValidationError as error:
            self.request.response.status = 422
            return {"error": error.message}
        order = Order(
            number=wanted["number"],
            fields=fields,
            lines=[Line(**line) for line in wanted["lines"]],
        )
        self.request.db.add(order)
        try:
            self.request.db.commit()
        except IntegrityError:
            self.request.db.rollback()
            self.request.response.status = 409
            return {"error": f"There is an order {wanted['number']} already."}
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
