import json
import os
from pathlib import Path
from typing import List

from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from database import Line, Order, Session

PAGE = Path(__file__).parent / "shop.html"

app = FastAPI(title=os.environ.get("SHOP_NAME", "Shop"))


class LineSchema(BaseModel):
    article: str
    quantity: int = 1

    class Config:
        orm_mode = True


class NewOrder(BaseModel):
    number: str
    lines: List[LineSchema]


class Payment(BaseModel):
    paid: bool


class OrderSchema(NewOrder, Payment):
    id: int

    class Config:
        orm_mode = True


def database():
    with Session() as session:
        yield session


def existing_order(order_id: int, session: Session = Depends(database)):
    return session.get(Order, order_id) or not_found()


def not_found():
    raise HTTPException(404, "There is no such order.")


@app.get("/", include_in_schema=False)
def page():
    """A page that makes the requests below."""
    return FileResponse(PAGE)


@app.get("/healthz")
def healthz(session: Session = Depends(database)):
    session.execute(select(1))
    return {"shop": app.title}


@app.get("/offers")
def offers():
    """What a feature flag changes: its file is in flagd's format."""
    path = os.environ.get("FLAGD_OFFLINE_FLAG_SOURCE_PATH")
    if path is None:
        return {"free_delivery": False}
    with open(path) as file:
        flag = json.load(file)["flags"]["free-delivery"]
    return {"free_delivery": flag["variants"][flag["defaultVariant"]]}


@app.get("/orders", response_model=List[OrderSchema])
def list_orders(session: Session = Depends(database)):
    return session.scalars(select(Order).order_by(Order.id)).all()


@app.post("/orders", response_model=OrderSchema, status_code=201)
def create_order(wanted: NewOrder, session: Session = Depends(database)):
    order = Order(
        number=wanted.number,
        lines=[Line(**line.dict()) for line in wanted.lines],
    )
    session.add(order)
    try:
        session.commit()
    except IntegrityError:
        raise HTTPException(409, f"There is an order {wanted.number} already.")
    return order


@app.patch("/orders/{order_id}", response_model=OrderSchema)
def update_order(
    payment: Payment,
    order: Order = Depends(existing_order),
    session: Session = Depends(database),
):
    order.paid = payment.paid
    session.commit()
    return order


@app.delete("/orders/{order_id}", status_code=204)
def delete_order(
    order: Order = Depends(existing_order),
    session: Session = Depends(database),
):
    session.delete(order)
    session.commit()
    return Response(status_code=204)
