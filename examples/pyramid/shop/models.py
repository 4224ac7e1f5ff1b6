import os

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    String,
    create_engine,
)
from sqlalchemy.orm import declarative_base, relationship, sessionmaker

engine = create_engine(
    os.environ["DATABASE_URL"], pool_pre_ping=True, future=True
)
Session = sessionmaker(engine, future=True)
Base = declarative_base()


class Order(Base):
    __tablename__ = "orders"

    id = Column(Integer, primary_key=True)
    number = Column(String(40), nullable=False, unique=True)
    paid = Column(Boolean, nullable=False, default=False)
    fields = Column(JSON, nullable=False, default=dict)
    lines = relationship(
        "Line", order_by="Line.id", cascade="all, delete-orphan"
    )

    def __json__(self, request):
        return {
            "id": self.id,
            "number": self.number,
            "paid": self.paid,
            "fields": self.fields,
            "lines": self.lines,
        }


class Line(Base):
    __tablename__ = "lines"

    id = Column(Integer, primary_key=True)
    order_id = Column(
        ForeignKey("orders.id", ondelete="CASCADE"), nullable=False, index=True
    )
    article = Column(String(80), nullable=False)
    quantity = Column(Integer, nullable=False)

    def __json__(self, request):
        return {"article": self.article, "quantity": self.quantity}
