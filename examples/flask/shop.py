import os

import click
from flask import (
    Flask,
    abort,
    current_app,
    jsonify,
    redirect,
    render_template,
    request,
)
from flask.cli import with_appcontext
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.exc import IntegrityError

db = SQLAlchemy()
migrate = Migrate()


class Order(db.Model):
    __tablename__ = "orders"

    id = db.Column(db.Integer, primary_key=True)
    number = db.Column(db.String(40), nullable=False, unique=True)
    paid = db.Column(db.Boolean, nullable=False, default=False)
    lines = db.relationship(
        "Line", order_by="Line.id", cascade="all, delete-orphan"
    )

    def as_dict(self):
        lines = [
            {"article": line.article, "quantity": line.quantity}
            for line in self.lines
        ]
        return {
            "id": self.id,
            "number": self.number,
            "paid": self.paid,
            "lines": lines,
        }


class Line(db.Model):
    __tablename__ = "lines"

    id = db.Column(db.Integer, primary_key=True)
    order_id = db.Column(
        db.ForeignKey("orders.id"), nullable=False, index=True
    )
    article = db.Column(db.String(80), nullable=False)
    quantity = db.Column(db.Integer, nullable=False, default=1)


def create_app():
    app = Flask(__name__)
    database = os.environ["SQLALCHEMY_DATABASE_URI"]
    app.config["SQLALCHEMY_DATABASE_URI"] = database
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_pre_ping": True}
    app.config["SHOP_NAME"] = os.environ.get("SHOP_NAME", "Shop")
    db.init_app(app)
    migrate.init_app(app, db)
    app.cli.add_command(clean_up)
    app.add_url_rule("/", view_func=page, methods=["GET", "POST"])
    app.add_url_rule("/healthz", view_func=healthz)
    app.add_url_rule("/orders", view_func=list_orders, methods=["GET"])
    app.add_url_rule("/orders", view_func=create_order, methods=["POST"])
    app.add_url_rule(
        "/orders/<int:order_id>", view_func=update_order, methods=["PATCH"]
    )
    app.add_url_rule(
        "/orders/<int:order_id>", view_func=delete_order, methods=["DELETE"]
    )
    return app


def healthz():
    db.session.execute(db.text("SELECT 1"))
    return {"shop": current_app.config["SHOP_NAME"]}


def all_orders():
    return db.session.scalars(db.select(Order).order_by(Order.id)).all()


def store(number, lines):
    """Stores an order; None if there is one with that number."""
    order = Order(number=number, lines=[Line(**line) for line in lines])
    db.session.add(order)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return None
    return order


def taken(number):
    return f"There is an order {number} already."


def page():
    error = None
    if request.method == "POST":
        form = request.form
        quantity = form.get("quantity", type=int) or abort(400)
        line = {"article": form["article"], "quantity": quantity}
        if store(form["number"], [line]):
            return redirect("/")
        error = taken(form["number"])
    return render_template("shop.html", orders=all_orders(), error=error)


def list_orders():
    return jsonify([order.as_dict() for order in all_orders()])


def create_order():
    wanted = request.get_json()
    order = store(wanted["number"], wanted["lines"])
    if order is None:
        return {"error": taken(wanted["number"])}, 409
    return order.as_dict(), 201


def update_order(order_id):
    order = db.session.get(Order, order_id) or abort(404)
    order.paid = request.get_json()["paid"]
    db.session.commit()
    return order.as_dict()


def delete_order(order_id):
    db.session.delete(db.session.get(Order, order_id) or abort(404))
    db.session.commit()
    return "", 204


@click.command("clean-up")
@with_appcontext
def clean_up():
    """Deletes the orders that have been paid."""
    paid = db.session.scalars(db.select(Order).filter_by(paid=True)).all()
    for order in paid:
        db.session.delete(order)
    db.session.commit()
    print(f"Deleted orders: {len(paid)}.")
